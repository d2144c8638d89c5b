//! The plain form that every kind of event is kept and sent in.

use std::sync::Arc;

use thiserror::Error;

use super::Message;
use crate::messaging::{Position, UserId};

/// A part of the log: `from < position <= through`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Range {
    /// Right before its first position.
    pub from: Position,
    /// Its last position.
    pub through: Position,
}

/// What an event changed, in plain members. The log keeps them in columns, the feed sends them, and the chain covers
/// them; so a new kind of event needs no column and no code in either.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The number of its kind.
    pub kind: i64,
    /// The people it is about, in their order.
    pub users: Option<Arc<[UserId]>>,
    /// The part of the log it is about.
    pub range: Option<Range>,
    /// Whatever else its kind says, as JSON that only this kind reads.
    pub data: Option<String>,
    /// The message that it sent, which the log keeps in a table of its own.
    pub message: Option<Arc<Message>>,
}

impl Record {
    pub(super) fn of(kind: i64) -> Self {
        Self { kind, ..Self::default() }
    }

    pub(super) fn users(self) -> Result<Arc<[UserId]>, Unreadable> {
        self.users.ok_or(Unreadable::Missing("users"))
    }
}

/// Why a [`Record`] is no event. Each text continues the name of the member that is wrong: `kind` or `data`.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// No kind has this number.
    #[error("is none that this version of herald knows")]
    Kind,
    /// The kind needs this member of the record, and the record has none.
    #[error("needs {0}, and the event has none")]
    Missing(&'static str),
    /// The data has another form than the kind writes.
    #[error("cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
}
