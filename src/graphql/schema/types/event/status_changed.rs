//! The event that somebody received or read messages, as clients see it.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};

use super::TypedEvent;
use crate::error::Error;
use crate::graphql::budget::budget_of;
use crate::graphql::caller::viewer_of;
use crate::graphql::schema::loaders::{load, message_at};
use crate::graphql::schema::page::size;
use crate::graphql::schema::services::services_of;
use crate::graphql::schema::types::own_participation::owed;
use crate::graphql::schema::types::{
    Conversation, Cursor, DateTime, DeliveryStatus, Message, Previous, User,
};
use crate::hub::VisibleEvent;
use crate::log::{Received, Unavailable};
use crate::messaging::{self, Covered, Mark, Marked};

/// Somebody received or read messages.
#[derive(Debug, Clone)]
pub(crate) struct StatusChanged(pub(crate) TypedEvent<Marked>);

impl StatusChanged {
    /// An event of a subscription to this kind.
    pub(crate) fn only(visible: VisibleEvent) -> Result<Self, Error> {
        TypedEvent::only(visible, Marked::of).map(Self)
    }

    /// The messages whose receipts changed, of those that the viewer may see.
    fn received(&self) -> Received {
        Received::by(self.0.event(), self.0.change.range, self.0.view())
    }

    /// Whether the viewer, who does not share what they read, is told only that the messages were received.
    async fn is_told_as_received(&self, ctx: &Context<'_>) -> Result<bool, Error> {
        let event = self.0.event();
        if self.0.change.mark != Mark::Read || owed(ctx, event.conversation).await?.tells(Mark::Read) {
            return Ok(false);
        }
        Ok(viewer_of(ctx)?.user != event.actor)
    }

    fn show(&self, message: Arc<messaging::Message>) -> Message {
        Message::as_of(message, self.0.view().as_of)
    }
}

/// Somebody received or read messages.
#[Object]
impl StatusChanged {
    /// Subscribe again with this as `after` to go on from here.
    pub(crate) async fn cursor(&self) -> Cursor {
        self.0.cursor()
    }

    /// The cursor of what this subscription was told before this. If it is not the one that you have, something between
    /// herald and you dropped events: subscribe again with yours as `after`.
    pub(crate) async fn previous(&self) -> Option<Previous> {
        Some(Previous)
    }

    /// When they marked the messages.
    pub(crate) async fn at(&self) -> DateTime {
        self.0.at()
    }

    /// The conversation of the messages.
    pub(crate) async fn conversation(&self) -> Conversation {
        self.0.conversation()
    }

    /// The name of the service that did it for somebody; null when they did it themselves.
    pub(crate) async fn via(&self) -> Option<String> {
        self.0.via()
    }

    /// Who received or read.
    async fn recipient(&self) -> User {
        self.0.actor()
    }

    /// DELIVERED or READ. Whoever has read a message has also received it.
    async fn status(&self, ctx: &Context<'_>) -> Result<DeliveryStatus> {
        if self.is_told_as_received(ctx).await? {
            return Ok(DeliveryStatus::Delivered);
        }
        Ok(self.0.change.mark.into())
    }

    /// The newest message that this change covers, of those that the viewer may see.
    async fn message(&self, ctx: &Context<'_>) -> Result<Message> {
        let rows = &services_of(ctx)?.rows;
        let newest = match self.0.view().covered {
            Covered::After(_) => message_at(rows, self.0.change.range.through).await.map_err(Error::from)?,
            Covered::StaysOf(_) => {
                let newest = load(rows, self.received()).await.map_err(Error::from)?;
                newest.ok_or(Error::NotFound("message"))?
            }
        };
        Ok(self.show(newest))
    }

    /// The messages whose receipt by this recipient changed, of those that the viewer may see, newest first, at most
    /// `first` of them.
    async fn messages(&self, ctx: &Context<'_>, first: Option<i32>) -> Result<Vec<Message>> {
        let services = services_of(ctx)?;
        let first = size("first", first, &services.limits)?;
        let mut received = self.received();
        if self.is_told_as_received(ctx).await? {
            // The viewer was told of the ones before this.
            let before = services.database.received_before(&[self.0.event()]).await.pop();
            received.after =
                received.after.max(before.unwrap_or(Err(Unavailable::Now)).map_err(Error::from)?);
        }
        let messages = services.database.messages_received(received, first).await.map_err(Error::from)?;
        budget_of(ctx)?.pay_elements(messages.len()).await;
        Ok(messages.into_iter().map(|message| self.show(message)).collect())
    }
}
