//! To send a message.

use std::sync::Arc;

use super::{Command, Decide, Decision, Needs, Refusal, new_event, taking_part};
use crate::messaging::{
    Body, ConversationId, Facts, IdempotencyKey, Message, MessageId, Metadata, Sent, UserId,
};

/// A message to be sent.
#[derive(Debug, Clone)]
pub struct Send {
    /// The conversation that it is sent to.
    pub conversation: ConversationId,
    /// The id it will have.
    pub message: MessageId,
    /// Its text.
    pub body: Body,
    /// What the client keeps with it, if anything.
    pub metadata: Option<Metadata>,
    /// The sender's own name for this send.
    pub key: Option<IdempotencyKey>,
}

impl Send {
    /// Whether the first send under the key asked for the same. Once that message was redacted, what it said is gone, and
    /// only its conversation can tell.
    fn is_repeated(&self, first: &Message) -> bool {
        let says_the_same = first.body == self.body && first.metadata == self.metadata;
        first.conversation == self.conversation && (says_the_same || first.redacted_at.is_some())
    }
}

impl Decide for Send {
    fn needs(&self, actor: UserId, _: &Facts, _: &[Command], needs: &mut Needs) {
        needs.participations.insert((self.conversation, actor));
        needs.message_keys.extend(self.key.iter().map(|key| (actor, key.clone())));
    }

    fn decide(&self, command: &Command, facts: &Facts) -> Result<Decision, Refusal> {
        // The key first: a retry is answered even if its sender has left in the meantime.
        if let Some(first) = self.key.as_ref().and_then(|key| facts.by_key(command.actor, key)) {
            return if self.is_repeated(first) {
                Ok(Decision::about(first))
            } else {
                Err(Refusal::KeyReused)
            };
        }
        taking_part(facts, command.actor, self.conversation)?;
        let message = Arc::new(Message {
            position: facts.head.position.next(),
            id: self.message,
            conversation: self.conversation,
            sender: command.actor,
            body: self.body.clone(),
            metadata: self.metadata.clone(),
            sent_at: facts.now,
            redacted_at: None,
        });
        let event = new_event(facts, command, self.conversation, Sent { message: Arc::clone(&message) });
        Ok(Decision { events: vec![event], message_key: self.key.clone(), ..Decision::about(&message) })
    }
}
