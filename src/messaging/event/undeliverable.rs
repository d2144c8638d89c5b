//! A message could not be brought to a recipient.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Audience, Event, Kind, Range, Record, Unreadable};
use crate::messaging::{Facts, Position, Reason, UserId};

/// A service says that it could not bring a message to the actor, who is a recipient and has not received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undeliverable {
    /// The position of the message.
    pub message: Position,
    /// Why, in the words of the service.
    pub reason: Reason,
    /// The sender of the message.
    pub audience: Audience,
}

/// The JSON of its data.
#[derive(Serialize, Deserialize)]
struct Data {
    reason: String,
}

impl Undeliverable {
    /// The number under which its events are stored.
    pub const NUMBER: i64 = 11;

    /// The reason in the stored data of such an event.
    ///
    /// # Errors
    /// When the data is of another form.
    pub fn reason_in(data: &str) -> Result<Reason, Unreadable> {
        let Data { reason } = serde_json::from_str(data)?;
        Ok(Reason::trusted(reason))
    }

    fn range(&self) -> Range {
        Range { from: Position(self.message.0 - 1), through: self.message }
    }
}

impl Kind for Undeliverable {
    const NUMBERS: &'static [i64] = &[Self::NUMBER];

    fn record(&self) -> Record {
        let users = match &self.audience {
            Audience::Everyone | Audience::Oneself => None,
            Audience::Only(users) => Some(Arc::clone(users)),
        };
        let data = Data { reason: self.reason.to_string() };
        let data = serde_json::to_string(&data).ok();
        Record { users, range: Some(self.range()), data, ..Record::of(Self::NUMBER) }
    }

    fn read(record: Record) -> Result<Self, Unreadable> {
        Ok(Self {
            message: record.range.ok_or(Unreadable::Missing("a range"))?.through,
            reason: Self::reason_in(&record.data.ok_or(Unreadable::Missing("data"))?)?,
            audience: record.users.map_or(Audience::Everyone, Audience::Only),
        })
    }

    fn audience(&self) -> &Audience {
        &self.audience
    }

    fn covers(&self) -> Option<Range> {
        Some(self.range())
    }

    fn joining(&self) -> &[UserId] {
        &[]
    }

    fn leaving<'a>(&'a self, _: &'a UserId) -> &'a [UserId] {
        &[]
    }

    fn is_activity(&self) -> bool {
        false
    }

    fn apply(&self, event: &Event, facts: &mut Facts) {
        facts.know_report(event.actor, self.message, self.reason.clone());
    }
}
