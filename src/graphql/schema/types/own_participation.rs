//! What a viewer keeps for themselves of a conversation.

use async_graphql::{Context, Object, Result};

use super::{DateTime, Json};
use crate::log;

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

    /// Whatever the viewer's clients keep.
    async fn metadata(&self, ctx: &Context<'_>) -> Result<Option<Json>> {
        Ok(Json::show(ctx, self.0.metadata.as_ref()).await?)
    }
}
