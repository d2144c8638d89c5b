//! What someone asks for. Ids are drawn and handles looked up before: a command is complete.

use super::{Body, ConversationId, IdempotencyKey, Mark, MessageId, Origin, People, Request, Title, UserId};

/// One request to change something.
#[derive(Debug, Clone)]
pub struct Command {
    /// Who asks.
    pub actor: UserId,
    /// The connection that asks, where it has a name.
    pub origin: Option<Origin>,
    /// What for.
    pub action: Action,
}

impl Command {
    /// The sender's own name for this send, where it is a send that has one.
    pub fn key(&self) -> Option<&IdempotencyKey> {
        match &self.action {
            Action::Send { key, .. } => key.as_ref(),
            _ => None,
        }
    }
}

/// A conversation to be started.
#[derive(Debug, Clone)]
pub struct Start {
    /// The id it will have, if none is found.
    pub conversation: ConversationId,
    /// Its title, if any. What is found keeps its own.
    pub title: Option<Title>,
    /// The others in it; the actor may or may not be repeated here.
    pub with: Vec<UserId>,
    /// The actor's own name for this start. What they send has names of its own.
    pub key: Option<IdempotencyKey>,
    /// Whether the one conversation of just these people is to be found first.
    pub is_distinct: bool,
}

impl Start {
    /// Everyone who is to be in it.
    pub fn people(&self, actor: UserId) -> People {
        People::of(self.with.iter().copied().chain([actor]))
    }

    /// What is asked for, to be told from something else under the same key.
    pub fn request(&self, actor: UserId) -> Request {
        Request::new(self.people(actor), self.title.as_ref(), self.is_distinct)
    }
}

/// What can be asked for.
#[derive(Debug, Clone)]
pub enum Action {
    /// Start a conversation.
    Start(Start),
    /// Add people to a conversation.
    Add {
        /// Which.
        conversation: ConversationId,
        /// Whom. Those who already take part stay as they are.
        users: Vec<UserId>,
    },
    /// Leave a conversation.
    Leave {
        /// Which.
        conversation: ConversationId,
    },
    /// Send a message.
    Send {
        /// Where to.
        conversation: ConversationId,
        /// The id it will have.
        message: MessageId,
        /// What to say.
        body: Body,
        /// The sender's own name for this send.
        key: Option<IdempotencyKey>,
    },
    /// Say that a message and every earlier one of its conversation was received, or read.
    Mark {
        /// The newest message that it covers.
        message: MessageId,
        /// Received, or read.
        mark: Mark,
    },
}
