//! Somebody received or read messages.

use std::sync::Arc;

use super::{Audience, Event, Kind, Range, Record, Unreadable};
use crate::messaging::{Facts, UserId};

/// What a recipient says about messages. A message that is read is also received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mark {
    /// The messages are received.
    Delivered,
    /// The messages are read.
    Read,
}

impl Mark {
    /// The number under which events with this mark are stored.
    pub const fn number(self) -> i64 {
        match self {
            Self::Delivered => 5,
            Self::Read => 6,
        }
    }
}

/// The actor moved their mark forward: they received or read the messages in a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// Which mark moved.
    pub mark: Mark,
    /// The range from the earlier position of the mark through the message that the actor named.
    pub range: Range,
    /// Everyone in a small conversation. In a large one, the senders of the messages in the range and the actor. So a
    /// message to N people causes N deliveries of receipts and not N².
    pub audience: Audience,
}

impl Kind for Marked {
    const NUMBERS: &'static [i64] = &[Mark::Delivered.number(), Mark::Read.number()];

    fn record(&self) -> Record {
        let users = match &self.audience {
            Audience::Everyone => None,
            Audience::Only(users) => Some(Arc::clone(users)),
        };
        Record { users, range: Some(self.range), ..Record::of(self.mark.number()) }
    }

    fn read(record: Record) -> Result<Self, Unreadable> {
        Ok(Self {
            mark: if record.kind == Mark::Read.number() { Mark::Read } else { Mark::Delivered },
            range: record.range.ok_or(Unreadable::Missing("a range"))?,
            audience: record.users.map_or(Audience::Everyone, Audience::Only),
        })
    }

    fn audience(&self) -> &Audience {
        &self.audience
    }

    fn covers(&self) -> Option<Range> {
        Some(self.range)
    }

    fn joining(&self) -> &[UserId] {
        &[]
    }

    fn leaving<'a>(&'a self, _: &'a UserId) -> &'a [UserId] {
        &[]
    }

    fn is_activity(&self) -> bool {
        // A mark does not move its conversation to the top of a list.
        false
    }

    fn apply(&self, event: &Event, facts: &mut Facts) {
        facts.mark(event, self.mark, self.range.through);
    }
}
