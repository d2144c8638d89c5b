//! The log: the one place that decides what happened and in which order, and the only one that knows SQL.
//!
//! Here live the tables, the [`Writer`] that appends to the log in group commits, the reader behind every
//! query and replay, and the rows of users and sessions. What never lives here: rules (they are in
//! `messaging`), subscribers, GraphQL. Nothing of sea-orm leaves this module.

mod backup;
mod batch;
mod check;
mod connection;
mod convert;
mod damage;
mod database;
mod diagnosis;
mod entities;
mod file;
mod head;
mod load;
mod people;
mod reader;
mod readiness;
mod restore;
mod schema;
mod sql;
mod stays;
mod store;
mod writer;

use crate::metrics::METRICS;
use crate::trouble::Trouble;

pub use backup::{Backup, backup};
pub use batch::Each;
pub use check::{Census, check};
pub use database::{Database, DatabaseOptions, Observer};
pub use head::Look;
pub use people::{EndedSessions, NewSession, SessionRow, UserRow};
pub use reader::{
    ConversationFilter, Direction, MarkTime, Membership, Page, ParticipantKey, Receipt, Received,
    SubscriptionFilter,
};
pub use readiness::Unready;
pub use restore::{Restored, restore};
pub use writer::{Committed, Rules, SubmitError, Writer};

/// Statements fail.
static DATABASE: Trouble = Trouble::new("the database fails", "the database answers again");

/// The database cannot answer now. The cause has been logged; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailable;

impl From<sea_orm::DbErr> for Unavailable {
    fn from(error: sea_orm::DbErr) -> Self {
        METRICS.database_failures.inc();
        DATABASE.note(&error);
        Self
    }
}
