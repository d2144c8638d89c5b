//! The event that somebody left a conversation, as clients see it.

use async_graphql::Object;

use super::TypedEvent;
use crate::graphql::schema::types::{Conversation, Cursor, DateTime, Previous, User};
use crate::messaging::Left;

/// Somebody left a conversation. The last event of the conversation that this user sees.
#[derive(Debug, Clone)]
pub(crate) struct ParticipantLeft(pub(crate) TypedEvent<Left>);

/// Somebody left a conversation. The last event of the conversation that this user sees.
#[Object]
impl ParticipantLeft {
    /// Subscribe again with this as `after` to go on from here.
    pub(crate) async fn cursor(&self) -> Cursor {
        self.0.cursor()
    }

    /// The cursor of what this subscription was told before this. If it is not the one that you have, something between
    /// herald and you dropped events: subscribe again with yours as `after`.
    pub(crate) async fn previous(&self) -> Option<Previous> {
        Some(Previous)
    }

    /// When they left.
    pub(crate) async fn at(&self) -> DateTime {
        self.0.at()
    }

    /// The conversation that they left.
    pub(crate) async fn conversation(&self) -> Conversation {
        self.0.conversation()
    }

    /// The name of the service that did it for somebody; null when they did it themselves.
    pub(crate) async fn via(&self) -> Option<String> {
        self.0.via()
    }

    /// Who left.
    async fn user(&self) -> User {
        self.0.actor()
    }

    /// Who owns the conversation from here on, if the user who left owned it and somebody remains.
    async fn new_owner(&self) -> Option<User> {
        self.0.change.successor.map(User::by_id)
    }
}
