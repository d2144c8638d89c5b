//! The rules of messaging, as pure functions over plain data.
//!
//! Here lives what a conversation is, who takes part in it and when, what may happen to it, and what each participant
//! may see. [`decide()`] turns a [`Command`] and the [`Facts`] that [`needs()`] names into a [`Decision`] or a
//! [`Refusal`]. `command` has one file for each action, `event` one for each kind of event. What never lives here: I/O
//! of any kind, the clock, randomness, the database, GraphQL. The caller passes ids and times in, so property tests can
//! run the rules by the million without a database.

// A new kind of event or action must not fall into a wildcard arm.
#![warn(clippy::wildcard_enum_match_arm)]

mod command;
mod digest;
mod event;
mod facts;
mod id;
mod metadata;
mod participation;
mod position;
mod status;
mod text;

pub use command::{
    Action, Add, Command, Decision, Edit, Leave, MarkThrough, Needs, Redact, Refusal, Remove, Rename, Report,
    Send, Start, UpTo, Update, decide, needs,
};
pub use digest::{People, Request};
pub use event::{
    Audience, Change, Description, Event, Joined, Kinds, Left, Mark, Marked, Message, Origin, Range, Record,
    Redacted, Removed, Renamed, Sent, Started, Undeliverable, Unreadable, Updated,
};
pub use facts::{Conversation, CoveredSender, Facts, KeyedStart};
pub use id::{ConversationId, KeyId, MessageId, SessionId, UserId, WebhookId};
pub use metadata::Metadata;
pub use participation::{Covered, Interval, Participation, Role, View, view};
pub use position::{Chain, Epoch, Place, Position, Timestamp};
pub use status::{Counts, Sharing, Status};
pub use text::{
    Body, ConnectionId, DisplayName, ExternalId, Handle, IdempotencyKey, Invalid, Reason, ServiceName, Title,
};
