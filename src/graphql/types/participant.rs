//! Participants, and how far their marks have come.

use async_graphql::{Context, Object, Result};

use super::{DateTime, Message, User};
use crate::error::Error;
use crate::graphql::caller::viewer;
use crate::graphql::loaders::{MessageAt, PartsOf};
use crate::graphql::services::services;
use crate::messaging::{Mark, Participation};

/// Somebody who takes part in a conversation.
#[derive(Debug, Clone)]
pub(crate) struct Participant(pub(crate) Participation);

impl Participant {
    /// The message at the mark, unless the viewer may not see it.
    async fn marked(&self, ctx: &Context<'_>, mark: Mark) -> Result<Option<Message>, Error> {
        let services = services(ctx)?;
        let position = self.0.through(mark);
        let parts = services.rows.load_one(PartsOf(viewer(ctx)?.user.id, self.0.conversation)).await?;
        let is_seen = parts.iter().flat_map(|p| p.iter()).any(|part| part.interval.holds(position));
        if !is_seen {
            return Ok(None);
        }
        Ok(services.rows.load_one(MessageAt(position)).await?.map(Message))
    }
}

/// Somebody who takes part in a conversation.
#[Object]
impl Participant {
    /// Who it is.
    async fn user(&self) -> User {
        User::by_id(self.0.user)
    }

    /// When they joined.
    async fn joined_at(&self) -> DateTime {
        DateTime(self.0.joined_at)
    }

    /// The newest message that this participant has received.
    async fn delivered_through(&self, ctx: &Context<'_>) -> Result<Option<Message>> {
        Ok(self.marked(ctx, Mark::Delivered).await?)
    }

    /// The newest message that this participant has read.
    async fn read_through(&self, ctx: &Context<'_>) -> Result<Option<Message>> {
        Ok(self.marked(ctx, Mark::Read).await?)
    }
}
