//! The content of herald's database at the end, as plain data: the log, and the rows that follow from it.
//!
//! Ids are the texts that clients know (`msg_…`), so that both can be compared. What never lives here: what the log
//! should have. The checker knows that.

mod read;

use std::collections::HashMap;

pub(crate) use read::{read, read_all};

/// What an event did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Started,
    Joined,
    Left,
    Sent,
    Delivered,
    Read,
    Renamed,
    Undeliverable,
    Removed,
    Redacted,
    Updated,
}

impl Kind {
    /// How the kinds are numbered in the table.
    pub(crate) fn numbered(number: i64) -> Option<Self> {
        Some(match number {
            1 => Self::Started,
            2 => Self::Joined,
            3 => Self::Left,
            4 => Self::Sent,
            5 | 12 => Self::Delivered,
            6 | 13 => Self::Read,
            7 => Self::Renamed,
            11 => Self::Undeliverable,
            8 => Self::Removed,
            9 => Self::Redacted,
            10 => Self::Updated,
            _ => return None,
        })
    }

    /// Whether the number is of marks that others are not told of.
    pub(crate) fn is_private(number: i64) -> bool {
        matches!(number, 12 | 13)
    }

    pub(crate) fn is_mark(self) -> bool {
        matches!(self, Self::Delivered | Self::Read)
    }
}

/// The title that a conversation was given, and the one that it had before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Renaming {
    pub(crate) title: Option<String>,
    pub(crate) former: Option<String>,
}

/// A row of `events`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) position: i64,
    pub(crate) kind: Kind,
    pub(crate) conversation: String,
    pub(crate) actor: String,
    /// The connection that caused it, where one was named. Each person has one session here, so that the
    /// actor and the connection are the origin.
    pub(crate) connection: Option<String>,
    /// Those who were brought in or removed, those who are told of a mark, or the next owner.
    pub(crate) users: Option<Vec<String>>,
    pub(crate) from: Option<i64>,
    pub(crate) through: Option<i64>,
    /// Whether it is a mark of which only the actor's own devices are told.
    pub(crate) is_private: bool,
    /// What a conversation is called from here on; absent where something else happened.
    pub(crate) renaming: Option<Renaming>,
    /// Why a message could not be brought to the actor; absent where something else happened.
    pub(crate) reason: Option<String>,
    /// Microseconds since 1970.
    pub(crate) at: i64,
}

/// A row of `messages`.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) position: i64,
    pub(crate) id: String,
    pub(crate) conversation: String,
    pub(crate) sender: String,
    pub(crate) body: String,
    pub(crate) key: Option<String>,
    /// Microseconds since 1970.
    pub(crate) sent_at: i64,
    /// Microseconds since 1970; absent where nobody redacted it.
    pub(crate) redacted_at: Option<i64>,
}

/// A row of `participants`: one person's part in one conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) conversation: String,
    pub(crate) user: String,
    pub(crate) joined: i64,
    pub(crate) left: Option<i64>,
    pub(crate) delivered: i64,
    pub(crate) read: i64,
    /// The position since which it is that of an owner.
    pub(crate) owner_since: Option<i64>,
}

impl Part {
    /// Whether what happened at `position` happened while they took part.
    pub(crate) fn holds(&self, position: i64) -> bool {
        self.joined <= position && self.left.is_none_or(|left| position <= left)
    }
}

/// Everything that is read from the database.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    /// What `log_head` says.
    pub(crate) head: i64,
    /// In the order of their positions.
    pub(crate) events: Vec<Event>,
    /// In the order of their positions.
    pub(crate) messages: Vec<Message>,
    pub(crate) parts: Vec<Part>,
    /// The titles of conversations, by id.
    pub(crate) titles: HashMap<String, Option<String>>,
}

impl Log {
    /// How many events it has beyond those that it shares with another log.
    pub(crate) fn beyond(&self, other: &Self) -> usize {
        let shared = self.events.iter().zip(&other.events).take_while(|(here, there)| here == there);
        self.events.len() - shared.count()
    }
}
