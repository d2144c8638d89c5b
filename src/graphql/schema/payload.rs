//! The payloads that mutations answer with.

use async_graphql::{Context, Object, Result, SimpleObject};

use super::types::{Conversation, Cursor, DateTime, Message, User};
use crate::error::Error;
use crate::messaging::ConversationId;

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

/// A message that was changed, or of which something was said.
#[derive(SimpleObject)]
pub(super) struct MessagePayload {
    /// The message.
    pub(super) message: Message,
    /// A place in the log that includes the change.
    pub(super) cursor: Cursor,
}

/// What was marked.
pub(super) struct MarkPayload {
    pub(super) conversation: ConversationId,
    /// The message that was marked; `None` where a conversation was marked that has nothing to mark.
    pub(super) message: Option<Message>,
    pub(super) cursor: Cursor,
}

/// What was marked.
#[Object]
impl MarkPayload {
    /// The newest message that the mark covers. Where a conversation was marked in which nobody else has said anything,
    /// it is the viewer's newest, and `NOT_FOUND` if there is none: whoever marks conversations asks for `conversation`.
    async fn message(&self, ctx: &Context<'_>) -> Result<Message> {
        let message = match &self.message {
            Some(message) => Some(message.clone()),
            None => Conversation::by_id(self.conversation).newest_message(ctx).await?,
        };
        Ok(message.ok_or(Error::NotFound("message"))?)
    }

    /// The conversation that was marked, or that of the message.
    async fn conversation(&self) -> Conversation {
        Conversation::by_id(self.conversation)
    }

    /// A place in the log that includes the mark.
    async fn cursor(&self) -> Cursor {
        self.cursor.clone()
    }
}
