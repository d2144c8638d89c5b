//! To leave a conversation.

use super::{Command, Decide, Decision, Needs, Refusal, new_event, taking_part};
use crate::messaging::{ConversationId, Facts, Left, UserId};

/// A conversation to be left.
#[derive(Debug, Clone, Copy)]
pub struct Leave {
    /// The conversation.
    pub conversation: ConversationId,
}

impl Decide for Leave {
    fn needs(&self, actor: UserId, _: &Facts, _: &[Command], needs: &mut Needs) {
        needs.participations.insert((self.conversation, actor));
    }

    fn decide(&self, command: &Command, facts: &Facts) -> Result<Decision, Refusal> {
        taking_part(facts, command.actor, self.conversation)?;
        Ok(Decision::of(new_event(facts, command, self.conversation, Left)))
    }
}
