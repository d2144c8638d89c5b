//! The event that an owner removed people from a conversation, as clients see it.

use async_graphql::{Context, Object, Result};

use super::TypedEvent;
use crate::graphql::budget::budget_of;
use crate::graphql::schema::types::{Conversation, Cursor, DateTime, Previous, User};
use crate::messaging::Removed;

/// An owner removed people from a conversation. The last event of the conversation that these people see.
#[derive(Debug, Clone)]
pub(crate) struct ParticipantsRemoved(pub(crate) TypedEvent<Removed>);

/// An owner removed people from a conversation. The last event of the conversation that these people see.
#[Object]
impl ParticipantsRemoved {
    /// Subscribe again with this as `after` to go on from here.
    pub(crate) async fn cursor(&self) -> Cursor {
        self.0.cursor()
    }

    /// The cursor of what this subscription was told before this. If it is not the one that you have, something between
    /// herald and you dropped events: subscribe again with yours as `after`.
    pub(crate) async fn previous(&self) -> Option<Previous> {
        Some(Previous)
    }

    /// When they were removed.
    pub(crate) async fn at(&self) -> DateTime {
        self.0.at()
    }

    /// The conversation that they were removed from.
    pub(crate) async fn conversation(&self) -> Conversation {
        self.0.conversation()
    }

    /// The name of the service that did it for somebody; null when they did it themselves.
    pub(crate) async fn via(&self) -> Option<String> {
        self.0.via()
    }

    /// Who removed them.
    async fn removed_by(&self) -> User {
        self.0.actor()
    }

    /// Who was removed.
    async fn users(&self, ctx: &Context<'_>) -> Result<Vec<User>> {
        budget_of(ctx)?.pay_elements(self.0.change.users.len()).await;
        Ok(self.0.change.users.iter().copied().map(User::by_id).collect())
    }
}
