//! The types of the schema, one file for each. They hold types of `messaging` and of `log`, never rows of tables.

mod conversation;
mod cursor;
mod date_time;
mod event;
mod json;
mod message;
mod node;
mod own_participation;
mod participant;
mod previous;
mod receipt;
mod role;
mod session;
mod status;
mod unread_totals;
mod user;

pub(crate) use conversation::Conversation;
pub(crate) use cursor::Cursor;
pub(crate) use date_time::DateTime;
pub(crate) use event::{CONVERSATION, Event, MessageSent, StatusChanged};
pub(crate) use json::Json;
pub(crate) use message::Message;
pub(crate) use node::{Node, node, visible_conversation, visible_message};
pub(crate) use own_participation::OwnParticipation;
pub(crate) use participant::Participant;
pub(crate) use previous::Previous;
pub(crate) use receipt::Receipt;
pub(crate) use role::ConversationRole;
pub(crate) use session::Session;
pub(crate) use status::DeliveryStatus;
pub(crate) use unread_totals::UnreadTotals;
pub(crate) use user::User;
