//! To redact a message.

use std::sync::Arc;

use super::{Command, Decide, Decision, Needs, Refusal, new_event, seen_by};
use crate::messaging::{Facts, MessageId, Redacted, UserId};

/// A message whose text and metadata are to go for good.
#[derive(Debug, Clone, Copy)]
pub struct Redact {
    /// The message.
    pub message: MessageId,
}

impl Decide for Redact {
    fn needs(&self, actor: UserId, known: &Facts, _: &[Command], needs: &mut Needs) {
        needs.messages.insert((actor, self.message));
        let message = known.message(self.message);
        needs.participations.extend(message.map(|message| (message.conversation, actor)));
    }

    fn decide(&self, command: &Command, facts: &Facts) -> Result<Decision, Refusal> {
        let message = seen_by(facts, command.actor, self.message)?;
        if message.sender != command.actor && !facts.is_owner(message.conversation, command.actor) {
            return Err(Refusal::NeitherSenderNorOwner);
        }
        if message.redacted_at.is_some() {
            return Ok(Decision::about(message));
        }
        let change = Redacted { position: message.position };
        let event = new_event(facts, command, message.conversation, change);
        let redacted = Arc::new(message.redacted(event.at));
        Ok(Decision { event: Some(event), ..Decision::about(&redacted) })
    }
}
