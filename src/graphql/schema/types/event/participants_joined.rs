//! The event that people joined a conversation, as clients see it.

use async_graphql::Object;

use super::TypedEvent;
use crate::graphql::schema::types::{Conversation, Cursor, DateTime, Previous, User};
use crate::messaging::Joined;

/// People joined a conversation. A client that finds its own user among them takes a snapshot of the conversation:
/// somebody who comes back is not told one by one of what happened to their messages while they were away.
#[derive(Debug, Clone)]
pub(crate) struct ParticipantsJoined(pub(crate) TypedEvent<Joined>);

/// People joined a conversation. A client that finds its own user among them takes a snapshot of the conversation:
/// somebody who comes back is not told one by one of what happened to their messages while they were away.
#[Object]
impl ParticipantsJoined {
    /// Subscribe again with this as `after` to go on from here.
    pub(crate) async fn cursor(&self) -> Cursor {
        self.0.cursor()
    }

    /// The cursor of what this subscription was told before this. If it is not the one that you have, something between
    /// herald and you dropped events: subscribe again with yours as `after`.
    pub(crate) async fn previous(&self) -> Option<Previous> {
        Some(Previous)
    }

    /// When they joined.
    pub(crate) async fn at(&self) -> DateTime {
        self.0.at()
    }

    /// The conversation that they joined.
    pub(crate) async fn conversation(&self) -> Conversation {
        self.0.conversation()
    }

    /// The name of the service that did it for somebody; null when they did it themselves.
    pub(crate) async fn via(&self) -> Option<String> {
        self.0.via()
    }

    /// Who joined.
    async fn users(&self) -> Vec<User> {
        self.0.change.users.iter().copied().map(User::by_id).collect()
    }

    /// Who added them.
    async fn added_by(&self) -> User {
        self.0.actor()
    }
}
