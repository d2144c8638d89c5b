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
    /// The number under which events are stored that tell others of this mark.
    pub const fn number(self) -> i64 {
        match self {
            Self::Delivered => 5,
            Self::Read => 6,
        }
    }

    /// The number under which events with this mark are stored that the actor keeps to themselves. So whatever looks for
    /// the marks that were told does not find these.
    pub const fn private_number(self) -> i64 {
        match self {
            Self::Delivered => 12,
            Self::Read => 13,
        }
    }
}

/// The actor moved their mark forward: they received or read the messages in a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// Which mark moved.
    pub mark: Mark,
    /// The range from the earlier position of the mark through the message that the actor named. Of a mark that is told,
    /// it begins later where the actor did not share such marks until then.
    pub range: Range,
    /// Everyone in a small conversation. In a large one, the senders of the messages in the range and the actor. So a
    /// message to N people causes N deliveries of receipts and not N². Of a mark that is not told, the actor alone.
    pub audience: Audience,
}

impl Marked {
    /// Whether others are told of it.
    pub fn is_shared(&self) -> bool {
        self.audience != Audience::Oneself
    }
}

impl Kind for Marked {
    const NUMBERS: &'static [i64] = &[
        Mark::Delivered.number(),
        Mark::Read.number(),
        Mark::Delivered.private_number(),
        Mark::Read.private_number(),
    ];

    fn record(&self) -> Record {
        let (number, users) = match &self.audience {
            Audience::Everyone => (self.mark.number(), None),
            Audience::Only(users) => (self.mark.number(), Some(Arc::clone(users))),
            Audience::Oneself => (self.mark.private_number(), None),
        };
        Record { users, range: Some(self.range), ..Record::of(number) }
    }

    fn read(record: Record) -> Result<Self, Unreadable> {
        let marks = [Mark::Delivered, Mark::Read];
        let private = marks.into_iter().find(|mark| mark.private_number() == record.kind);
        let shared = if record.kind == Mark::Read.number() { Mark::Read } else { Mark::Delivered };
        Ok(Self {
            mark: private.unwrap_or(shared),
            range: record.range.ok_or(Unreadable::Missing("a range"))?,
            audience: match private {
                Some(_) => Audience::Oneself,
                None => record.users.map_or(Audience::Everyone, Audience::Only),
            },
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
