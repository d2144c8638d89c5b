//! To give a conversation another title.

use super::{Command, Decide, Decision, Needs, Refusal, new_event, taking_part};
use crate::messaging::{ConversationId, Facts, Renamed, Title, UserId};

/// A conversation and its next title.
#[derive(Debug, Clone)]
pub struct Rename {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its title from here on; `None` takes the title away.
    pub title: Option<Title>,
}

impl Decide for Rename {
    fn needs(&self, actor: UserId, _: &Facts, _: &[Command], needs: &mut Needs) {
        needs.participations.insert((self.conversation, actor));
    }

    fn decide(&self, command: &Command, facts: &Facts) -> Result<Decision, Refusal> {
        let former = taking_part(facts, command.actor, self.conversation)?.title.clone();
        if former == self.title {
            return Ok(Decision::default());
        }
        let renamed = Renamed { title: self.title.clone(), former };
        Ok(Decision::of(new_event(facts, command, self.conversation, renamed)))
    }
}
