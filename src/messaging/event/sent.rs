//! Somebody sent a message.

use std::sync::Arc;

use super::{Audience, Event, Kind, Range, Record, Unreadable};
use crate::messaging::{Body, ConversationId, Facts, MessageId, Metadata, Position, Timestamp, UserId};

/// The actor sent a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The message. Its position, conversation, sender and time are those of the event.
    pub message: Arc<Message>,
}

/// A message. Only a redaction changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The position of the event that sent it.
    pub position: Position,
    /// Its id, which clients see.
    pub id: MessageId,
    /// The conversation that it was sent to.
    pub conversation: ConversationId,
    /// The user who sent it.
    pub sender: UserId,
    /// Its text. Empty once it was redacted.
    pub body: Body,
    /// What the sender's client keeps with it. `None` once it was redacted.
    pub metadata: Option<Metadata>,
    /// The time of its event.
    pub sent_at: Timestamp,
    /// The time of the event that redacted it; `None` if none did.
    pub redacted_at: Option<Timestamp>,
}

impl Message {
    /// The message without its text and metadata, which were redacted at a time. The first redaction counts.
    #[must_use]
    pub fn redacted(&self, at: Timestamp) -> Self {
        let redacted_at = self.redacted_at.or(Some(at));
        Self { body: Body::trusted(""), metadata: None, redacted_at, ..self.clone() }
    }

    /// The bytes of its text and metadata.
    pub fn bytes(&self) -> usize {
        self.body.as_str().len() + self.metadata.as_ref().map_or(0, |metadata| metadata.as_str().len())
    }
}

impl Sent {
    /// Whether the log stores a message for an event with this number of a kind.
    pub fn is_stored_as(kind: i64) -> bool {
        Self::NUMBERS.contains(&kind)
    }
}

impl Kind for Sent {
    const NUMBERS: &'static [i64] = &[4];

    fn record(&self) -> Record {
        Record { message: Some(Arc::clone(&self.message)), ..Record::of(4) }
    }

    fn read(record: Record) -> Result<Self, Unreadable> {
        Ok(Self { message: record.message.ok_or(Unreadable::Missing("a message"))? })
    }

    fn audience(&self) -> &Audience {
        &Audience::Everyone
    }

    fn covers(&self) -> Option<Range> {
        None
    }

    fn joining(&self) -> &[UserId] {
        &[]
    }

    fn leaving<'a>(&'a self, _: &'a UserId) -> &'a [UserId] {
        &[]
    }

    fn is_activity(&self) -> bool {
        true
    }

    fn apply(&self, _: &Event, facts: &mut Facts) {
        facts.know_message(Arc::clone(&self.message));
    }
}
