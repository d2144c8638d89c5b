//! To leave a conversation.

use super::needs::departures;
use super::{Command, Decide, Decision, Needs, Refusal, new_event, taking_part};
use crate::messaging::{ConversationId, Facts, Left, UserId};

/// A conversation to be left.
#[derive(Debug, Clone, Copy)]
pub struct Leave {
    /// The conversation.
    pub conversation: ConversationId,
}

impl Decide for Leave {
    fn needs(&self, actor: UserId, known: &Facts, batch: &[Command], needs: &mut Needs) {
        let id = self.conversation;
        needs.participations.insert((id, actor));
        if known.is_owner(id, actor) {
            // So many leave in this batch at most. Whoever comes after them in the list then remains.
            needs.elders.insert((id, departures(batch, id) + 1));
        }
        needs.participations.extend(known.elders(id).iter().map(|elder| (id, *elder)));
    }

    fn decide(&self, command: &Command, facts: &Facts) -> Result<Decision, Refusal> {
        let id = self.conversation;
        taking_part(facts, command.actor, id)?;
        let is_owner = facts.is_owner(id, command.actor);
        let successor = if is_owner { facts.successor(id, command.actor) } else { None };
        Ok(Decision::of(new_event(facts, command, id, Left { successor })))
    }
}
