//! What happened: the events of the log, as everyone who reads them sees them.

use std::sync::Arc;

use super::{Body, Chain, ConnectionId, ConversationId, MessageId, Position, SessionId, Timestamp, UserId};

/// Which connection of which session caused a change. Both, so that nobody can claim another's connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The session that was signed in.
    pub session: SessionId,
    /// The connection, as its client named it.
    pub connection: ConnectionId,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the order of all events.
    pub position: Position,
    /// What the log comes to with this event.
    pub chain: Chain,
    /// When it was decided: later than every event before it.
    pub at: Timestamp,
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// Who did it.
    pub actor: UserId,
    /// The connection that did it, which is not told of it; absent where none was named.
    pub origin: Option<Origin>,
    /// What it changed.
    pub change: Change,
}

/// What an event changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The actor started the conversation; these take part from here on, the actor among them.
    Started {
        /// Everyone in it.
        users: Arc<[UserId]>,
    },
    /// The actor added these.
    Joined {
        /// Those who were not in it before.
        users: Arc<[UserId]>,
    },
    /// The actor left.
    Left,
    /// The actor sent a message.
    Sent(Arc<Message>),
    /// The actor received or read the messages in `from < position <= through`.
    Marked {
        /// Received, or read.
        mark: Mark,
        /// How far the mark had come before.
        from: Position,
        /// How far it came: the position of the message that was named.
        through: Position,
        /// Who is told.
        audience: Audience,
    },
}

/// A message: immutable once stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The position of the event that sent it.
    pub position: Position,
    /// Its public identity.
    pub id: MessageId,
    /// Where it was said.
    pub conversation: ConversationId,
    /// Who said it.
    pub sender: UserId,
    /// What was said.
    pub body: Body,
    /// When: the time of its event.
    pub sent_at: Timestamp,
}

/// The two things a recipient can say of a message. To have read is to have received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mark {
    /// It arrived.
    Delivered,
    /// It was read.
    Read,
}

/// Who is told of a mark: everyone in a small conversation; in a large one those it concerns, so that a
/// message to N people costs N receipts and not N².
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Every participant.
    Everyone,
    /// The senders of the messages it covers, and whoever marked.
    Only(Arc<[UserId]>),
}
