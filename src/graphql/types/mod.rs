//! The types of the schema, one file each. They are made of `messaging`'s types, never of rows.

mod conversation;
mod cursor;
mod date_time;
mod event;
mod message;
mod node;
mod participant;
mod receipt;
mod status;
mod user;

pub(super) use conversation::Conversation;
pub(crate) use cursor::Cursor;
pub(super) use date_time::DateTime;
pub(super) use event::{Event, MessageSent, StatusChanged};
pub(super) use message::Message;
pub(super) use node::{Node, node};
pub(super) use participant::Participant;
pub(super) use receipt::Receipt;
pub(super) use status::DeliveryStatus;
pub(super) use user::User;
