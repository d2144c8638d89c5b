//! A conversation began.

use std::sync::Arc;

use super::{Audience, Event, Kind, Range, Record, Unreadable};
use crate::messaging::{Facts, UserId};

/// The actor started the conversation. This is one event for any number of participants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Everyone in it, the actor among them.
    pub users: Arc<[UserId]>,
}

impl Kind for Started {
    const NUMBERS: &'static [i64] = &[1];

    fn record(&self) -> Record {
        Record { users: Some(Arc::clone(&self.users)), ..Record::of(1) }
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
        &self.users
    }

    fn leaving<'a>(&'a self, _: &'a UserId) -> &'a [UserId] {
        &[]
    }

    fn is_activity(&self) -> bool {
        true
    }

    fn apply(&self, event: &Event, facts: &mut Facts) {
        facts.bring_in(event, &self.users);
        facts.make_owner(event, event.actor);
    }
}
