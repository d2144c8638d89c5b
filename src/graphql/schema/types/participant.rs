//! Participants, and how far their marks have come.

use async_graphql::{Context, Object, Result};

use super::own_participation::owed;
use super::{ConversationRole, DateTime, Message, User};
use crate::error::Error;
use crate::graphql::caller::sight_of;
use crate::graphql::schema::loaders::{SeenAt, load};
use crate::graphql::schema::services::services_of;
use crate::log::{Participating, Received, Viewer};
use crate::messaging::{Mark, Position};

/// Somebody who takes part in a conversation.
#[derive(Debug, Clone)]
pub(crate) struct Participant {
    row: Participating,
    /// The position at which the viewer left the conversation; `None` while they take part.
    as_of: Option<Position>,
}

impl Participant {
    /// A participation that was loaded as of a position. `None` stands for now.
    pub(crate) fn as_of(row: Participating, as_of: Option<Position>) -> Self {
        Self { row, as_of }
    }

    /// The newest message up to the mark that this participant received and the viewer may see.
    async fn marked(&self, ctx: &Context<'_>, mark: Mark) -> Result<Option<Message>, Error> {
        let rows = &services_of(ctx)?.rows;
        let Participating { participation, delivered_told, read_told } = &self.row;
        let told = match mark {
            Mark::Delivered => *delivered_told,
            Mark::Read => *read_told,
        };
        let (viewer_id, through) = match sight_of(ctx)? {
            // Only they themselves know of what they do not share.
            Viewer::User(viewer) if viewer == participation.user && self.as_of.is_none() => {
                (viewer, participation.through(mark))
            }
            Viewer::User(_) if !owed(ctx, participation.conversation).await?.tells(mark) => return Ok(None),
            Viewer::User(viewer) => (viewer, told),
            // Everything is seen, so what counts is what the participant received.
            Viewer::Service => (participation.user, told),
        };
        // A new participant's mark stands at the position of joining. As of an earlier position it may stand at the
        // start.
        if through == participation.interval.joined || through == Position::START {
            return Ok(None);
        }
        // In most cases the viewer may see the message at the mark itself.
        let mut found = load(rows, SeenAt(viewer_id, through)).await?;
        if found.is_none() {
            let received = Received {
                conversation: participation.conversation,
                recipient: participation.user,
                seen_by: viewer_id,
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
    /// Who takes part.
    async fn user(&self) -> User {
        User::by_id(self.row.participation.user)
    }

    /// When they joined.
    async fn joined_at(&self) -> DateTime {
        DateTime(self.row.participation.joined_at)
    }

    /// What they may do in the conversation.
    async fn role(&self) -> ConversationRole {
        self.row.participation.role(self.as_of).into()
    }

    /// The newest message that this participant has received, of those that the viewer may see. Others see what the
    /// participant tells.
    async fn delivered_through(&self, ctx: &Context<'_>) -> Result<Option<Message>> {
        Ok(self.marked(ctx, Mark::Delivered).await?)
    }

    /// The newest message that this participant has read, of those that the viewer may see. Others see what the
    /// participant tells.
    async fn read_through(&self, ctx: &Context<'_>) -> Result<Option<Message>> {
        Ok(self.marked(ctx, Mark::Read).await?)
    }
}
