//! The plain form in which every kind of event is stored and sent.

use std::sync::Arc;

use thiserror::Error;

use super::Message;
use crate::messaging::{Position, UserId};

/// A range of the log: the positions with `from < position <= through`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Range {
    /// The position right before the first one of the range.
    pub from: Position,
    /// The last position of the range.
    pub through: Position,
}

/// What an event changed, in plain members. The log stores them in columns, the feed sends them, and the chain covers
/// them. So a new kind of event needs no new column, and no new code in the log or the feed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The number of its kind.
    pub kind: i64,
    /// The users that it is about, in their order.
    pub users: Option<Arc<[UserId]>>,
    /// The range of the log that it is about.
    pub range: Option<Range>,
    /// The rest of its data, as JSON that only its kind reads.
    pub data: Option<String>,
    /// The message that it sent. The log stores it in a table of its own.
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

/// Why a [`Record`] is not an event. Each text follows the name of the wrong member, which is `kind` or `data`.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// No kind has this number.
    #[error("is unknown to this version of herald")]
    Kind,
    /// The kind needs this member of the record, and the record has none.
    #[error("needs {0}, but the event has none")]
    Missing(&'static str),
    /// The data does not have the form that its kind writes.
    #[error("cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
}
