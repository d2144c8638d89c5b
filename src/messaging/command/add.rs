//! To add people to a conversation.

use super::{
    Command, Decide, Decision, Needs, Refusal, distinct, new_event, not_blocked, taking_part, within_limit,
};
use crate::messaging::{ConversationId, Facts, Joined, UserId};

/// People to be added to a conversation.
#[derive(Debug, Clone)]
pub struct Add {
    /// The conversation.
    pub conversation: ConversationId,
    /// The people. Those who already take part stay as they are.
    pub users: Vec<UserId>,
    /// Those who block the actor.
    pub blockers: Vec<UserId>,
}

impl Decide for Add {
    fn needs(&self, actor: UserId, _: &Facts, _: &[Command], needs: &mut Needs) {
        needs.sharing.extend(&self.users);
        let people = self.users.iter().copied().chain([actor]);
        needs.participations.extend(people.map(|user| (self.conversation, user)));
    }

    fn decide(&self, command: &Command, facts: &Facts) -> Result<Decision, Refusal> {
        let id = self.conversation;
        let conversation = taking_part(facts, command.actor, id)?;
        let takes_no_part = |user: &UserId| facts.open_participation(id, *user).is_none();
        let new = distinct(self.users.iter().copied().filter(takes_no_part));
        if new.is_empty() {
            return Ok(Decision::default());
        }
        not_blocked(&new, &self.blockers)?;
        within_limit(facts, new.len() + conversation.participants as usize)?;
        Ok(Decision::of(new_event(facts, command, id, Joined { users: new.into() })))
    }
}
