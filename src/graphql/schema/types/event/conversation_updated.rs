//! The event that an owner changed what is kept of a conversation, as clients see it.

use async_graphql::Object;

use super::TypedEvent;
use crate::graphql::schema::types::{Conversation, Cursor, DateTime, Previous, User};
use crate::messaging::Updated;

/// An owner changed the title or the metadata of a conversation.
#[derive(Debug, Clone)]
pub(crate) struct ConversationUpdated(pub(crate) TypedEvent<Updated>);

/// An owner changed the title or the metadata of a conversation.
#[Object]
impl ConversationUpdated {
    /// Subscribe again with this as `after` to go on from here.
    pub(crate) async fn cursor(&self) -> Cursor {
        self.0.cursor()
    }

    /// The cursor of what this subscription was told before this. If it is not the one that you have, something between
    /// herald and you dropped events: subscribe again with yours as `after`.
    pub(crate) async fn previous(&self) -> Option<Previous> {
        Some(Previous)
    }

    /// When it was changed.
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

    /// Who changed it.
    async fn updated_by(&self) -> User {
        self.0.actor()
    }
}
