//! To remove people from a conversation.

use super::{Command, Decide, Decision, Needs, Refusal, distinct, new_event, owned_by};
use crate::messaging::{ConversationId, Facts, Removed, UserId};

/// People to be removed from a conversation.
#[derive(Debug, Clone)]
pub struct Remove {
    /// The conversation.
    pub conversation: ConversationId,
    /// The people. Those who take no part are left out.
    pub users: Vec<UserId>,
}

impl Decide for Remove {
    fn needs(&self, actor: UserId, _: &Facts, _: &[Command], needs: &mut Needs) {
        let people = self.users.iter().copied().chain([actor]);
        needs.participations.extend(people.map(|user| (self.conversation, user)));
    }

    fn decide(&self, command: &Command, facts: &Facts) -> Result<Decision, Refusal> {
        let id = self.conversation;
        let conversation = owned_by(facts, command.actor, id)?;
        if self.users.contains(&command.actor) {
            return Err(Refusal::Oneself);
        }
        if conversation.people.is_some() && conversation.participants == 2 {
            return Err(Refusal::OneOfTwo);
        }
        let takes_part = |user: &UserId| facts.open_participation(id, *user).is_some();
        let users = distinct(self.users.iter().copied().filter(takes_part));
        if users.is_empty() {
            return Ok(Decision::default());
        }
        Ok(Decision::of(new_event(facts, command, id, Removed { users: users.into() })))
    }
}
