//! The command to mark messages as received or read.

use super::needs::growth;
use super::{Command, Decide, Decision, Needs, Refusal, distinct, new_event, taking_part};
use crate::messaging::{Audience, Facts, Mark, Marked, MessageId, Range, UserId};

/// Moves a mark of the actor forward.
#[derive(Debug, Clone, Copy)]
pub struct MarkThrough {
    /// The newest message that it covers.
    pub message: MessageId,
    /// Received, or read.
    pub mark: Mark,
}

impl Decide for MarkThrough {
    fn needs(&self, actor: UserId, known: &Facts, batch: &[Command], needs: &mut Needs) {
        needs.messages.insert((actor, self.message));
        let Some(message) = known.message(self.message) else { return };
        needs.participations.insert((message.conversation, actor));
        let Some(conversation) = known.conversation(message.conversation) else { return };
        // The covered senders are needed if the conversation is large, or may become large within this batch.
        let most = conversation.participants as usize + growth(batch, conversation.id);
        if most > known.small_conversation as usize {
            needs.covered_senders.insert((actor, self.mark, self.message));
        }
    }

    fn decide(&self, command: &Command, facts: &Facts) -> Result<Decision, Refusal> {
        let (actor, mark) = (command.actor, self.mark);
        let message = facts.message(self.message).ok_or(Refusal::NoSuchMessage)?;
        let id = message.conversation;
        let conversation = taking_part(facts, actor, id)
            // Whoever takes no part must not learn that the message exists.
            .map_err(|_| Refusal::NoSuchMessage)?;
        let mut stays = facts.participations(id, actor).iter();
        if !stays.any(|stay| stay.interval.holds(message.position)) {
            return Err(Refusal::NoSuchMessage);
        }
        if message.sender == actor {
            return Err(Refusal::SenderCannotMark);
        }
        let range = Range { from: facts.through(id, actor, mark), through: message.position };
        if range.through <= range.from {
            return Ok(Decision::about(message));
        }
        let audience = if conversation.participants <= facts.small_conversation {
            Audience::Everyone
        } else {
            let senders = facts.senders_up_to(actor, mark, message);
            Audience::Only(distinct(senders.chain([actor])).into())
        };
        let event = new_event(facts, command, id, Marked { mark, range, audience });
        Ok(Decision { event: Some(event), ..Decision::about(message) })
    }
}
