//! The command to mark messages as received or read.

use super::needs::growth;
use super::{Command, Decide, Decision, Needs, Refusal, distinct, new_events, seen_by, taking_part};
use crate::messaging::{
    Audience, Change, ConversationId, Facts, Mark, Marked, MessageId, Position, Range, UserId,
};

/// Moves a mark of the actor forward.
#[derive(Debug, Clone, Copy)]
pub struct MarkThrough {
    /// How far.
    pub up_to: UpTo,
    /// Received, or read.
    pub mark: Mark,
}

/// The end of what a mark covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UpTo {
    /// This message, which somebody else sent.
    Message(MessageId),
    /// Everything in this conversation up to now.
    Now(ConversationId),
}

impl Decide for MarkThrough {
    fn needs(&self, actor: UserId, known: &Facts, batch: &[Command], needs: &mut Needs) {
        let conversation = match self.up_to {
            UpTo::Message(id) => {
                needs.messages.insert((actor, id));
                let Some(message) = known.message(id) else { return };
                message.conversation
            }
            UpTo::Now(conversation) => {
                needs.newest_received.insert((conversation, actor, self.mark));
                conversation
            }
        };
        needs.participations.insert((conversation, actor));
        let Some(conversation) = known.conversation(conversation) else { return };
        // The covered senders are needed if the conversation is large, or may become large within this batch.
        let most = conversation.participants as usize + growth(batch, conversation.id);
        if most > known.small_conversation as usize {
            needs.covered_senders.insert((actor, self.mark, self.up_to));
        }
    }

    fn decide(&self, command: &Command, facts: &Facts) -> Result<Decision, Refusal> {
        let (actor, mark) = (command.actor, self.mark);
        let message = match self.up_to {
            UpTo::Message(id) => {
                let message = seen_by(facts, actor, id)?;
                if message.sender == actor {
                    return Err(Refusal::SenderCannotMark);
                }
                message
            }
            UpTo::Now(id) => {
                taking_part(facts, actor, id)?;
                // Without such a message there is nothing to mark.
                let Some(newest) = facts.newest_received(id, actor) else { return Ok(Decision::default()) };
                newest
            }
        };
        let id = message.conversation;
        let range = Range { from: facts.through(id, actor, mark), through: message.position };
        if range.through <= range.from {
            return Ok(Decision::about(message));
        }
        let changes = self.changes(facts, actor, id, range);
        Ok(Decision { events: new_events(facts, command, id, changes), ..Decision::about(message) })
    }
}

impl MarkThrough {
    /// What moving the mark over a range changes, for those who are told and for the actor. Mostly that is one change.
    fn changes(&self, facts: &Facts, actor: UserId, id: ConversationId, range: Range) -> Vec<Change> {
        let Range { from, through } = range;
        // Where a mark that is told begins. What came before is either told already, or not shared.
        let told_from = |mark| {
            let after = facts.shared_after(id, actor, mark)?;
            Some(after.max(facts.through(id, actor, mark))).filter(|from| *from < through)
        };
        let read = told_from(Mark::Read).filter(|_| self.mark == Mark::Read);
        // Telling that a message was read tells that it was received.
        let delivered = told_from(Mark::Delivered).filter(|from| read.is_none_or(|read| *from < read));
        let told = [(Mark::Delivered, delivered), (Mark::Read, read)];
        let mut changes = Vec::with_capacity(1);
        for (mark, from) in told.into_iter().filter_map(|(mark, from)| Some((mark, from?))) {
            let audience = self.audience(facts, actor, id, from);
            changes.push(Marked { mark, range: Range { from, through }, audience }.into());
        }
        if !told.contains(&(self.mark, Some(from))) {
            // The actor's own devices are told of all of it.
            changes.push(Marked { mark: self.mark, range, audience: Audience::Oneself }.into());
        }
        changes
    }

    /// Those who are told of the mark, which begins after a position.
    fn audience(&self, facts: &Facts, actor: UserId, id: ConversationId, from: Position) -> Audience {
        let participants = facts.conversation(id).map_or(0, |conversation| conversation.participants);
        if participants <= facts.small_conversation {
            return Audience::Everyone;
        }
        let senders = facts.senders_up_to(actor, self.mark, self.up_to, from);
        Audience::Only(distinct(senders.into_iter().chain([actor])).into())
    }
}
