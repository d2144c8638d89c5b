//! The event that a message could not be brought to a recipient, as its sender sees it.

use async_graphql::{Context, Object, Result};

use super::TypedEvent;
use crate::error::Error;
use crate::graphql::budget::budget_of;
use crate::graphql::schema::loaders::message_at;
use crate::graphql::schema::services::services_of;
use crate::graphql::schema::types::{Conversation, Cursor, DateTime, Message, Previous, User};
use crate::messaging::Undeliverable;

/// A service could not bring a message to a recipient. Only the sender of the message is told.
#[derive(Debug, Clone)]
pub(crate) struct MessageUndeliverable(pub(crate) TypedEvent<Undeliverable>);

/// A service could not bring a message to a recipient. Only the sender of the message is told.
#[Object]
impl MessageUndeliverable {
    /// Subscribe again with this as `after` to go on from here.
    pub(crate) async fn cursor(&self) -> Cursor {
        self.0.cursor()
    }

    /// The cursor of what this subscription was told before this. If it is not the one that you have, something between
    /// herald and you dropped events: subscribe again with yours as `after`.
    pub(crate) async fn previous(&self) -> Option<Previous> {
        Some(Previous)
    }

    /// When the service said so.
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

    /// The message.
    async fn message(&self, ctx: &Context<'_>) -> Result<Message> {
        let row = message_at(&services_of(ctx)?.rows, self.0.change.message).await.map_err(Error::from)?;
        Ok(Message::as_of(row, self.0.view().as_of))
    }

    /// Whom it could not be brought to.
    async fn recipient(&self) -> User {
        self.0.actor()
    }

    /// Why, in the words of the service.
    async fn reason(&self, ctx: &Context<'_>) -> Result<String> {
        let reason = self.0.change.reason.to_string();
        budget_of(ctx)?.pay(reason.len()).await;
        Ok(reason)
    }
}
