//! Somebody left a conversation.

use super::{Audience, Event, Kind, Range, Record, Unreadable};
use crate::messaging::{Facts, UserId};

/// The actor left. It is the last event of the conversation that they see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Who owns the conversation from here on, where the actor owned it and somebody remains. Events of earlier versions
    /// do not say so.
    pub successor: Option<UserId>,
}

impl Kind for Left {
    const NUMBERS: &'static [i64] = &[3];

    fn record(&self) -> Record {
        Record { users: self.successor.map(|successor| [successor].into()), ..Record::of(3) }
    }

    fn read(record: Record) -> Result<Self, Unreadable> {
        Ok(Self { successor: record.users.and_then(|users| users.first().copied()) })
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
        if let Some(successor) = self.successor {
            facts.make_owner(event, successor);
        }
    }
}
