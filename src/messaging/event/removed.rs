//! An owner removed people from a conversation.

use std::sync::Arc;

use super::{Audience, Event, Kind, Range, Record, Unreadable};
use crate::messaging::{Facts, UserId};

/// The actor removed people. It is the last event of the conversation that these see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The users who were removed. All of them took part before, and the actor is not among them.
    pub users: Arc<[UserId]>,
}

impl Kind for Removed {
    const NUMBERS: &'static [i64] = &[8];

    fn record(&self) -> Record {
        Record { users: Some(Arc::clone(&self.users)), ..Record::of(8) }
    }

    fn read(record: Record) -> Result<Self, Unreadable> {
        Ok(Self { users: record.users()? })
    }

    fn audience(&self) -> &Audience {
        &Audience::Everyone
    }

    fn covers(&self) -> Option<Range> {
        None
    }

    fn joining(&self) -> &[UserId] {
        &[]
    }

    fn leaving<'a>(&'a self, _: &'a UserId) -> &'a [UserId] {
        &self.users
    }

    fn is_activity(&self) -> bool {
        true
    }

    fn apply(&self, event: &Event, facts: &mut Facts) {
        facts.change_people(event.conversation);
        facts.let_go(event, &self.users);
    }
}
