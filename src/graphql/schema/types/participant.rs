//! Participants, and how far their marks have come.

use async_graphql::{Context, Object, Result};

use super::{DateTime, Message, User};
use crate::error::Error;
use crate::graphql::caller::viewer;
use crate::graphql::schema::loaders::{SeenAt, load};
use crate::graphql::schema::services::services;
use crate::log::Received;
use crate::messaging::{Mark, Participation, Position};

/// Somebody who takes part in a conversation.
#[derive(Debug, Clone)]
pub(crate) struct Participant {
    part: Participation,
    as_of: Option<Position>,
}

impl Participant {
    /// A participation, as it was read as of a position.
    pub(crate) fn as_of(part: Participation, as_of: Option<Position>) -> Self {
        Self { part, as_of }
    }

    /// The newest message up to the mark that this participant received and the viewer may see.
    async fn marked(&self, ctx: &Context<'_>, mark: Mark) -> Result<Option<Message>, Error> {
        let rows = &services(ctx)?.rows;
        let viewer = viewer(ctx)?.user.id;
        let through = self.part.through(mark);
        // The marks of somebody new begin where they joined, and those of then at the start of the log.
        if through == self.part.interval.joined || through == Position::START {
            return Ok(None);
        }
        // Mostly the viewer may see the very message at the mark.
        let mut found = load(rows, SeenAt(viewer, through)).await?;
        if found.is_none() {
            let received = Received {
                conversation: self.part.conversation,
                recipient: self.part.user,
                seen_by: viewer,
                after: Position::START,
                through,
            };
            found = load(rows, received).await?;
        }
        Ok(found.map(|message| Message::as_of(message, self.as_of)))
    }
}

/// Somebody who takes part in a conversation.
#[Object]
impl Participant {
    /// Who it is.
    async fn user(&self) -> User {
        User::by_id(self.part.user)
    }

    /// When they joined.
    async fn joined_at(&self) -> DateTime {
        DateTime(self.part.joined_at)
    }

    /// The newest message that this participant has received, of those that the viewer may see.
    async fn delivered_through(&self, ctx: &Context<'_>) -> Result<Option<Message>> {
        Ok(self.marked(ctx, Mark::Delivered).await?)
    }

    /// The newest message that this participant has read, of those that the viewer may see.
    async fn read_through(&self, ctx: &Context<'_>) -> Result<Option<Message>> {
        Ok(self.marked(ctx, Mark::Read).await?)
    }
}
