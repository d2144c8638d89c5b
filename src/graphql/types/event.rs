//! Events, as subscribers see them.

use std::sync::Arc;

use async_graphql::{Context, Interface, Object, Result};

use super::{Conversation, Cursor, DateTime, DeliveryStatus, Message, User};
use crate::error::Error;
use crate::graphql::budget::budget;
use crate::graphql::loaders::{MessageAt, load};
use crate::graphql::page::size;
use crate::graphql::services::services;
use crate::hub::Seen;
use crate::log::Received;
use crate::messaging::{self, Change, Covered, Mark, Position};

/// Something that happened in a conversation.
#[derive(Debug, Clone, Interface)]
#[graphql(
    field(name = "cursor", ty = "Cursor", desc = "Subscribe again with this as `after` to go on from here."),
    field(name = "at", ty = "DateTime", desc = "When it happened, by the server's clock."),
    field(name = "conversation", ty = "Conversation", desc = "Where it happened.")
)]
pub(crate) enum Event {
    MessageSent(MessageSent),
    StatusChanged(StatusChanged),
    ConversationStarted(ConversationStarted),
    ParticipantsJoined(ParticipantsJoined),
    ParticipantLeft(ParticipantLeft),
}

impl From<Seen> for Event {
    fn from(seen: Seen) -> Self {
        match seen.occurrence.event.change {
            Change::Started { .. } => Self::ConversationStarted(ConversationStarted(seen)),
            Change::Joined { .. } => Self::ParticipantsJoined(ParticipantsJoined(seen)),
            Change::Left => Self::ParticipantLeft(ParticipantLeft(seen)),
            Change::Sent(_) => Self::MessageSent(MessageSent(seen)),
            Change::Marked { .. } => Self::StatusChanged(StatusChanged(seen)),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct MessageSent(pub(crate) Seen);
#[derive(Debug, Clone)]
pub(crate) struct StatusChanged(pub(crate) Seen);
#[derive(Debug, Clone)]
pub(crate) struct ConversationStarted(Seen);
#[derive(Debug, Clone)]
pub(crate) struct ParticipantsJoined(Seen);
#[derive(Debug, Clone)]
pub(crate) struct ParticipantLeft(Seen);

fn event(seen: &Seen) -> &messaging::Event {
    &seen.occurrence.event
}

fn cursor_of(seen: &Seen) -> Cursor {
    Cursor::new(seen.occurrence.place())
}

fn at(seen: &Seen) -> DateTime {
    DateTime(event(seen).at)
}

fn conversation_of(seen: &Seen) -> Conversation {
    Conversation::as_of(event(seen).conversation, seen.view.as_of)
}

fn actor(seen: &Seen) -> User {
    User::by_id(event(seen).actor)
}

/// A message was sent.
#[Object]
impl MessageSent {
    /// Subscribe again with this as `after` to go on from here.
    pub(crate) async fn cursor(&self) -> Cursor {
        cursor_of(&self.0)
    }

    /// When it was sent.
    pub(crate) async fn at(&self) -> DateTime {
        at(&self.0)
    }

    /// Where it was sent.
    pub(crate) async fn conversation(&self) -> Conversation {
        conversation_of(&self.0)
    }

    /// The message.
    async fn message(&self) -> Result<Message> {
        match &event(&self.0).change {
            Change::Sent(message) => Ok(Message::as_of(Arc::clone(message), self.0.view.as_of)),
            _ => Err(Error::Internal.into()),
        }
    }
}

impl StatusChanged {
    /// What was marked, and up to where.
    fn marked(&self) -> Result<(Mark, Position), Error> {
        match &event(&self.0).change {
            Change::Marked { mark, through, .. } => Ok((*mark, *through)),
            _ => Err(Error::Internal),
        }
    }

    /// The messages whose receipt changed, as far as the viewer sees them.
    fn received(&self) -> Result<Received, Error> {
        Received::by(event(&self.0), self.0.view).ok_or(Error::Internal)
    }

    fn show(&self, message: Arc<messaging::Message>) -> Message {
        Message::as_of(message, self.0.view.as_of)
    }
}

/// Somebody received or read messages.
#[Object]
impl StatusChanged {
    /// Subscribe again with this as `after` to go on from here.
    pub(crate) async fn cursor(&self) -> Cursor {
        cursor_of(&self.0)
    }

    /// When they said so.
    pub(crate) async fn at(&self) -> DateTime {
        at(&self.0)
    }

    /// Where the messages were sent.
    pub(crate) async fn conversation(&self) -> Conversation {
        conversation_of(&self.0)
    }

    /// Who received or read.
    async fn recipient(&self) -> User {
        actor(&self.0)
    }

    /// DELIVERED or READ. To have read a message is to have received it.
    async fn status(&self) -> Result<DeliveryStatus> {
        Ok(self.marked()?.0.into())
    }

    /// The newest message that this change covers, of those that the viewer may see.
    async fn message(&self, ctx: &Context<'_>) -> Result<Message> {
        let rows = &services(ctx)?.rows;
        let (_, through) = self.marked()?;
        let message = match self.0.view.covered {
            Covered::After(_) => load(rows, MessageAt(through)).await,
            Covered::StaysOf(_) => load(rows, self.received()?).await,
        };
        let message = message.map_err(Error::from)?.ok_or(Error::NotFound("message"))?;
        Ok(self.show(message))
    }

    /// The messages whose receipt by this recipient changed, of those that the viewer may see, newest first, at most
    /// `first` of them.
    async fn messages(&self, ctx: &Context<'_>, first: Option<i32>) -> Result<Vec<Message>> {
        let services = services(ctx)?;
        let first = size("first", first, &services.limits)?;
        let messages =
            services.database.messages_received(self.received()?, first).await.map_err(Error::from)?;
        budget(ctx)?.pay_elements(messages.len()).await;
        Ok(messages.into_iter().map(|message| self.show(message)).collect())
    }
}

/// A conversation began. One event however many it starts with: `conversation.participants` says who they are.
#[Object]
impl ConversationStarted {
    /// Subscribe again with this as `after` to go on from here.
    pub(crate) async fn cursor(&self) -> Cursor {
        cursor_of(&self.0)
    }

    /// When it began.
    pub(crate) async fn at(&self) -> DateTime {
        at(&self.0)
    }

    /// The conversation.
    pub(crate) async fn conversation(&self) -> Conversation {
        conversation_of(&self.0)
    }

    /// Who started it.
    async fn started_by(&self) -> User {
        actor(&self.0)
    }
}

/// People joined a conversation. A client that finds its own user among them takes a snapshot of the conversation:
/// somebody who comes back is not told one by one of what happened to their messages while they were away.
#[Object]
impl ParticipantsJoined {
    /// Subscribe again with this as `after` to go on from here.
    pub(crate) async fn cursor(&self) -> Cursor {
        cursor_of(&self.0)
    }

    /// When they joined.
    pub(crate) async fn at(&self) -> DateTime {
        at(&self.0)
    }

    /// What they joined.
    pub(crate) async fn conversation(&self) -> Conversation {
        conversation_of(&self.0)
    }

    /// Who joined.
    async fn users(&self) -> Vec<User> {
        match &event(&self.0).change {
            Change::Joined { users } => users.iter().copied().map(User::by_id).collect(),
            _ => Vec::new(),
        }
    }

    /// Who added them.
    async fn added_by(&self) -> User {
        actor(&self.0)
    }
}

/// Somebody left a conversation. The last event of the conversation that this user sees.
#[Object]
impl ParticipantLeft {
    /// Subscribe again with this as `after` to go on from here.
    pub(crate) async fn cursor(&self) -> Cursor {
        cursor_of(&self.0)
    }

    /// When they left.
    pub(crate) async fn at(&self) -> DateTime {
        at(&self.0)
    }

    /// What they left.
    pub(crate) async fn conversation(&self) -> Conversation {
        conversation_of(&self.0)
    }

    /// Who left.
    async fn user(&self) -> User {
        actor(&self.0)
    }
}
