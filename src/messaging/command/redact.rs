//! To redact a message.

use std::sync::Arc;

use super::{Command, Decide, Decision, Needs, Refusal, new_event, seen_by};
use crate::messaging::{Facts, Message, MessageId, Redacted, UserId};

/// A message whose text and metadata are to go for good.
#[derive(Debug, Clone, Copy)]
pub struct Redact {
    /// The message.
    pub message: MessageId,
}

/// The message, for its sender, also when they have left, and for an owner, also of a time before they joined.
fn redactable(facts: &Facts, actor: UserId, id: MessageId) -> Result<&Arc<Message>, Refusal> {
    let message = facts.message(id).ok_or(Refusal::NoSuchMessage)?;
    if message.sender == actor || facts.is_owner(message.conversation, actor) {
        return Ok(message);
    }
    seen_by(facts, actor, id)?;
    Err(Refusal::NeitherSenderNorOwner)
}

impl Decide for Redact {
    fn needs(&self, actor: UserId, known: &Facts, _: &[Command], needs: &mut Needs) {
        needs.messages.insert((actor, self.message));
        let message = known.message(self.message);
        needs.participations.extend(message.map(|message| (message.conversation, actor)));
    }

    fn decide(&self, command: &Command, facts: &Facts) -> Result<Decision, Refusal> {
        let message = redactable(facts, command.actor, self.message)?;
        if message.redacted_at.is_some() {
            return Ok(Decision::about(message));
        }
        let change = Redacted { position: message.position };
        let event = new_event(facts, command, message.conversation, change);
        let redacted = Arc::new(message.redacted(event.at));
        Ok(Decision { events: vec![event], ..Decision::about(&redacted) })
    }
}
