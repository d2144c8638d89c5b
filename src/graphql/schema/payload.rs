//! The payloads that mutations answer with.

use async_graphql::SimpleObject;

use super::types::{Conversation, Cursor, DateTime, Message, User};

/// A session that has begun.
#[derive(SimpleObject)]
pub(super) struct SessionPayload {
    /// A bearer token. It is shown once; the server keeps only its hash.
    pub(super) token: String,
    /// When the session ends, used or not.
    pub(super) expires_at: DateTime,
    /// Who is signed in.
    pub(super) user: User,
}

/// A session that has ended.
#[derive(SimpleObject)]
pub(super) struct LogoutPayload {
    /// Whether it was this request that ended it.
    pub(super) ended: bool,
}

/// A conversation that was changed.
#[derive(SimpleObject)]
pub(super) struct ConversationPayload {
    /// The conversation.
    pub(super) conversation: Conversation,
    /// A place in the log that includes the change.
    pub(super) cursor: Cursor,
}

/// A conversation that was left.
#[derive(SimpleObject)]
pub(super) struct LeaveConversationPayload {
    /// A place in the log that includes the change.
    pub(super) cursor: Cursor,
}

/// A message that was sent.
#[derive(SimpleObject)]
pub(super) struct SendMessagePayload {
    /// The message.
    pub(super) message: Message,
    /// A place in the log that includes it.
    pub(super) cursor: Cursor,
}

/// A user who was changed.
#[derive(SimpleObject)]
pub(super) struct UserPayload {
    /// The user.
    pub(super) user: User,
}

/// A message of which something was said.
#[derive(SimpleObject)]
pub(super) struct MessagePayload {
    /// The message.
    pub(super) message: Message,
    /// A place in the log that includes what was said.
    pub(super) cursor: Cursor,
}

/// A message that was marked.
#[derive(SimpleObject)]
pub(super) struct MarkPayload {
    /// The message.
    pub(super) message: Message,
    /// A place in the log that includes the mark.
    pub(super) cursor: Cursor,
}
