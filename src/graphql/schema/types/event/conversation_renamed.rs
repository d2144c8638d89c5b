//! The event that a conversation was given another title, as clients see it.

use async_graphql::{Context, Object, Result};

use super::TypedEvent;
use crate::graphql::budget::budget_of;
use crate::graphql::schema::types::{Conversation, Cursor, DateTime, Previous, User};
use crate::messaging::Renamed;

/// Somebody gave a conversation another title.
#[derive(Debug, Clone)]
pub(crate) struct ConversationRenamed(pub(crate) TypedEvent<Renamed>);

/// Somebody gave a conversation another title.
#[Object]
impl ConversationRenamed {
    /// Subscribe again with this as `after` to go on from here.
    pub(crate) async fn cursor(&self) -> Cursor {
        self.0.cursor()
    }

    /// The cursor of what this subscription was told before this. If it is not the one that you have, something between
    /// herald and you dropped events: subscribe again with yours as `after`.
    pub(crate) async fn previous(&self) -> Option<Previous> {
        Some(Previous)
    }

    /// When it was renamed.
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

    /// The title that it was given; null if its title was taken away.
    async fn title(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let title = self.0.change.title.as_ref().map(ToString::to_string);
        budget_of(ctx)?.pay(title.as_ref().map_or(0, String::len)).await;
        Ok(title)
    }

    /// Who renamed it.
    async fn renamed_by(&self) -> User {
        self.0.actor()
    }
}
