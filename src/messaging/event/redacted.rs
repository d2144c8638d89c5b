//! Somebody redacted a message.

use super::{Audience, Event, Kind, Range, Record, Unreadable};
use crate::messaging::{Facts, Position, UserId};

/// The actor took the text and the metadata of a message away for good. The event that it was sent stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redacted {
    /// The position of the message.
    pub position: Position,
}

impl Redacted {
    /// The range of the log that holds just the message.
    fn range(self) -> Range {
        Range { from: Position(self.position.0 - 1), through: self.position }
    }
}

impl Kind for Redacted {
    const NUMBERS: &'static [i64] = &[9];

    fn record(&self) -> Record {
        Record { range: Some(self.range()), ..Record::of(9) }
    }

    fn read(record: Record) -> Result<Self, Unreadable> {
        let range = record.range.ok_or(Unreadable::Missing("a range"))?;
        Ok(Self { position: range.through })
    }

    fn audience(&self) -> &Audience {
        &Audience::Everyone
    }

    fn covers(&self) -> Option<Range> {
        // Whoever may not see the message is not told.
        Some(self.range())
    }

    fn joining(&self) -> &[UserId] {
        &[]
    }

    fn leaving<'a>(&'a self, _: &'a UserId) -> &'a [UserId] {
        &[]
    }

    fn is_activity(&self) -> bool {
        // It brings nothing new into the conversation.
        false
    }

    fn apply(&self, event: &Event, facts: &mut Facts) {
        facts.redact(self.position, event.at);
    }
}
