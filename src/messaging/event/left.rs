//! Somebody left a conversation.

use super::{Audience, Event, Kind, Range, Record, Unreadable};
use crate::messaging::{Facts, UserId};

/// The actor left. It is the last event of the conversation that they see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left;

impl Kind for Left {
    const NUMBERS: &'static [i64] = &[3];

    fn record(&self) -> Record {
        Record::of(3)
    }

    fn read(_: Record) -> Result<Self, Unreadable> {
        Ok(Self)
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

    fn leaving<'a>(&'a self, actor: &'a UserId) -> &'a [UserId] {
        std::slice::from_ref(actor)
    }

    fn is_activity(&self) -> bool {
        true
    }

    fn apply(&self, event: &Event, facts: &mut Facts) {
        facts.change_people(event.conversation);
        facts.let_go(event, self.leaving(&event.actor));
    }
}
