//! The log: the one place that decides what happened and in which order, and the only one that knows SQL.
//!
//! Here live the tables, the [`Writer`] that appends to the log in group commits, the reader behind every
//! query and replay, and the rows of users and sessions. What never lives here: rules (they are in
//! `messaging`), subscribers, GraphQL. Nothing of sea-orm leaves this module.

mod batch;
mod connection;
mod convert;
mod database;
mod entities;
mod head;
mod load;
mod people;
mod reader;
mod sql;
mod stays;
mod store;
mod writer;

pub use batch::Each;
pub use database::{Database, DatabaseOptions, Observer};
pub use head::Look;
pub use people::{EndedSessions, NewSession, SessionRow, UserRow};
pub use reader::{
    Direction, Interest, Kinds, MarkTime, Membership, Page, ParticipantKey, Receipt, Received, Scope,
};
pub use writer::{Committed, Rules, SubmitError, Writer};

/// The database cannot answer now. The cause has been logged; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailable;

impl From<sea_orm::DbErr> for Unavailable {
    fn from(error: sea_orm::DbErr) -> Self {
        tracing::error!(%error, "the database failed");
        Self
    }
}
