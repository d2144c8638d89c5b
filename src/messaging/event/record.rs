//! The plain form that every kind of event is kept and sent in.

use std::fmt;
use std::sync::Arc;

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

/// Why a stored form is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// No kind has this number.
    Kind,
    /// Something that its kind needs is absent.
    Missing(&'static str),
    /// Its data is not what its kind writes, and why.
    Malformed(String),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind => f.write_str("has a kind that this version of herald does not know"),
            Self::Missing(what) => write!(f, "has no {what}"),
            Self::Malformed(cause) => write!(f, "has data that cannot be read: {cause}"),
        }
    }
}

impl std::error::Error for Unreadable {}
