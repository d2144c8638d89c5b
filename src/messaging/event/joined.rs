//! People joined a conversation.

use std::sync::Arc;

use super::{Audience, Event, Kind, Range, Record, Unreadable};
use crate::messaging::{Facts, UserId};

/// The actor added people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The users who joined. None of them took part before.
    pub users: Arc<[UserId]>,
}

impl Kind for Joined {
    const NUMBERS: &'static [i64] = &[2];

    fn record(&self) -> Record {
        Record { users: Some(Arc::clone(&self.users)), ..Record::of(2) }
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
        facts.change_people(event.conversation);
        facts.bring_in(event, &self.users);
    }
}
