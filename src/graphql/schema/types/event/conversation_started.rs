//! The event that a conversation began, as clients see it.

use async_graphql::Object;

use super::TypedEvent;
use crate::graphql::schema::types::{Conversation, Cursor, DateTime, Previous, User};
use crate::messaging::Started;

/// A conversation began. One event however many it starts with: `conversation.participants` says who they are.
#[derive(Debug, Clone)]
pub(crate) struct ConversationStarted(pub(crate) TypedEvent<Started>);

/// A conversation began. One event however many it starts with: `conversation.participants` says who they are.
#[Object]
impl ConversationStarted {
    /// Subscribe again with this as `after` to go on from here.
    pub(crate) async fn cursor(&self) -> Cursor {
        self.0.cursor()
    }

    /// The cursor of what this subscription was told before this. If it is not the one that you have, something between
    /// herald and you dropped events: subscribe again with yours as `after`.
    pub(crate) async fn previous(&self) -> Option<Previous> {
        Some(Previous)
    }

    /// When it began.
    pub(crate) async fn at(&self) -> DateTime {
        self.0.at()
    }

    /// The conversation.
    pub(crate) async fn conversation(&self) -> Conversation {
        self.0.conversation()
    }

    /// The name of the service that did it for somebody; null when they did it themselves.
    pub(crate) async fn via(&self) -> Option<String> {
        self.0.via()
    }

    /// Who started it.
    async fn started_by(&self) -> User {
        self.0.actor()
    }
}
