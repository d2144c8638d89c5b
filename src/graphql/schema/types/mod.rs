//! The types of the schema, one file for each. They hold types of `messaging` and of `log`, never rows of tables.

mod conversation;
mod cursor;
mod date_time;
mod event;
mod message;
mod node;
mod participant;
mod previous;
mod receipt;
mod status;
mod user;

pub(crate) use conversation::Conversation;
pub(crate) use cursor::Cursor;
pub(crate) use date_time::DateTime;
pub(crate) use event::{CONVERSATION, Event, MessageSent, StatusChanged};
pub(crate) use message::Message;
pub(crate) use node::{Node, node};
pub(crate) use participant::Participant;
pub(crate) use previous::Previous;
pub(crate) use receipt::Receipt;
pub(crate) use status::DeliveryStatus;
pub(crate) use user::User;
