//! To say that a message could not be brought to a recipient.

use super::{Command, Decide, Decision, Needs, Refusal, new_event};
use crate::messaging::{Audience, Facts, MessageId, Reason, Undeliverable, UserId};

/// A message that could not be brought to the actor. A service says so, and not the actor.
#[derive(Debug, Clone)]
pub struct Report {
    /// The message.
    pub message: MessageId,
    /// Why, in the words of the service.
    pub reason: Reason,
}

impl Decide for Report {
    fn needs(&self, actor: UserId, known: &Facts, _: &[Command], needs: &mut Needs) {
        needs.messages.insert((actor, self.message));
        if let Some(message) = known.message(self.message) {
            needs.participations.insert((message.conversation, actor));
            needs.reports.insert((actor, self.message));
        }
    }

    fn decide(&self, command: &Command, facts: &Facts) -> Result<Decision, Refusal> {
        let actor = command.actor;
        let message = facts.message(self.message).ok_or(Refusal::NotARecipient)?;
        let id = message.conversation;
        // A recipient stays one, also after they have left.
        let mut stays = facts.participations(id, actor).iter();
        if message.sender == actor || !stays.any(|stay| stay.interval.holds(message.position)) {
            return Err(Refusal::NotARecipient);
        }
        // A delivery that is not shared changes nothing: the answer and the event would tell of it.
        if facts.is_delivery_told(id, actor, message.position)
            || facts.report(actor, message.position) == Some(&self.reason)
        {
            return Ok(Decision::about(message));
        }
        let undeliverable = Undeliverable {
            message: message.position,
            reason: self.reason.clone(),
            audience: Audience::Only([message.sender].into()),
        };
        let event = new_event(facts, command, id, undeliverable);
        Ok(Decision { events: vec![event], ..Decision::about(message) })
    }
}
