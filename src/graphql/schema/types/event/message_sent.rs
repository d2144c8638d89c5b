//! The event that a message was sent, as clients see it.

use std::sync::Arc;

use async_graphql::Object;

use super::TypedEvent;
use crate::error::Error;
use crate::graphql::schema::types::{Conversation, Cursor, DateTime, Message, Previous};
use crate::hub::VisibleEvent;
use crate::messaging::Sent;

/// A message was sent.
#[derive(Debug, Clone)]
pub(crate) struct MessageSent(pub(crate) TypedEvent<Sent>);

impl MessageSent {
    /// An event of a subscription to this kind.
    pub(crate) fn only(visible: VisibleEvent) -> Result<Self, Error> {
        TypedEvent::only(visible, Sent::of).map(Self)
    }
}

/// A message was sent.
#[Object]
impl MessageSent {
    /// Subscribe again with this as `after` to go on from here.
    pub(crate) async fn cursor(&self) -> Cursor {
        self.0.cursor()
    }

    /// The cursor of what this subscription was told before this. If it is not the one that you have, something between
    /// herald and you dropped events: subscribe again with yours as `after`.
    pub(crate) async fn previous(&self) -> Option<Previous> {
        Some(Previous)
    }

    /// When it was sent.
    pub(crate) async fn at(&self) -> DateTime {
        self.0.at()
    }

    /// The conversation that it was sent to.
    pub(crate) async fn conversation(&self) -> Conversation {
        self.0.conversation()
    }

    /// The name of the service that did it for somebody; null when they did it themselves.
    pub(crate) async fn via(&self) -> Option<String> {
        self.0.via()
    }

    /// The message.
    async fn message(&self) -> Message {
        Message::as_of(Arc::clone(&self.0.change.message), self.0.view().as_of)
    }
}
