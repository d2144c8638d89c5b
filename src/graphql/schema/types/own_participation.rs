//! What a viewer keeps for themselves of a conversation.

use async_graphql::{Context, Object, Result};

use super::{DateTime, Json};
use crate::error::Error;
use crate::graphql::caller::caller_of;
use crate::graphql::schema::loaders::{OwnOf, load};
use crate::graphql::schema::services::services_of;
use crate::log;
use crate::messaging::{ConversationId, Mark, Sharing};

/// Which marks of others are shown to the viewer: all, or where herald is set up so, such as they share of their own
/// there. Only then does it make the rendering of an event private.
pub(super) async fn owed(ctx: &Context<'_>, conversation: ConversationId) -> Result<Sharing, Error> {
    let services = services_of(ctx)?;
    if !services.is_reciprocal {
        return Ok(Sharing::default());
    }
    // A service that acts for nobody sees everything.
    let Ok(session) = caller_of(ctx)?.viewer() else { return Ok(Sharing::default()) };
    let own = load(&services.rows, OwnOf(session.user, conversation)).await?;
    Ok(own.unwrap_or_default().sharing)
}

/// What the viewer keeps for themselves of a conversation. Nobody else is told. It stays while the viewer is away, and
/// holds again when they come back.
pub(crate) struct OwnParticipation(pub(crate) log::OwnParticipation);

/// What the viewer keeps for themselves of a conversation. Nobody else is told. It stays while the viewer is away, and
/// holds again when they come back.
#[Object]
impl OwnParticipation {
    /// The time up to which the viewer does not want to be disturbed. herald goes on telling them everything; clients and
    /// pushes heed it.
    async fn muted_until(&self) -> Option<DateTime> {
        self.0.muted_until.map(DateTime)
    }

    /// Whether others are told here of what the viewer receives.
    async fn share_delivered(&self) -> bool {
        self.0.sharing.tells(Mark::Delivered)
    }

    /// Whether others are told here of what the viewer reads. It is so only beside `shareDelivered`.
    async fn share_read(&self) -> bool {
        self.0.sharing.tells(Mark::Read)
    }

    /// Whatever the viewer's clients keep.
    async fn metadata(&self, ctx: &Context<'_>) -> Result<Option<Json>> {
        Ok(Json::show(ctx, self.0.metadata.as_ref()).await?)
    }
}
