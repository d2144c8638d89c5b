//! The event that somebody redacted a message, as clients see it.

use async_graphql::{Context, Object, Result};

use super::TypedEvent;
use crate::error::Error;
use crate::graphql::schema::loaders::message_at;
use crate::graphql::schema::services::services_of;
use crate::graphql::schema::types::{Conversation, Cursor, DateTime, Message, Previous, User};
use crate::messaging::Redacted;

/// The body and the metadata of a message were taken away for good.
#[derive(Debug, Clone)]
pub(crate) struct MessageRedacted(pub(crate) TypedEvent<Redacted>);

/// The body and the metadata of a message were taken away for good.
#[Object]
impl MessageRedacted {
    /// Subscribe again with this as `after` to go on from here.
    pub(crate) async fn cursor(&self) -> Cursor {
        self.0.cursor()
    }

    /// The cursor of what this subscription was told before this. If it is not the one that you have, something between
    /// herald and you dropped events: subscribe again with yours as `after`.
    pub(crate) async fn previous(&self) -> Option<Previous> {
        Some(Previous)
    }

    /// When it was redacted.
    pub(crate) async fn at(&self) -> DateTime {
        self.0.at()
    }

    /// The conversation of the message.
    pub(crate) async fn conversation(&self) -> Conversation {
        self.0.conversation()
    }

    /// The name of the service that did it for somebody; null when they did it themselves.
    pub(crate) async fn via(&self) -> Option<String> {
        self.0.via()
    }

    /// The message: its `body` is empty, and its `redactedAt` is set.
    async fn message(&self, ctx: &Context<'_>) -> Result<Message> {
        let row = message_at(&services_of(ctx)?.rows, self.0.change.position).await.map_err(Error::from)?;
        Ok(Message::as_of(row, self.0.view().as_of))
    }

    /// Who redacted it. Where a service did it for nobody, or because messages are kept only for a time, it is the sender,
    /// and `via` says so.
    async fn redacted_by(&self) -> User {
        self.0.actor()
    }
}
