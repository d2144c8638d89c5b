//! Sessions.

use async_graphql::{Context, ID, Object, Result};

use super::DateTime;
use crate::graphql::caller::viewer_of;
use crate::log::SessionRow;

/// A session in which the viewer is signed in.
pub(crate) struct Session(pub(crate) SessionRow);

/// A session in which the viewer is signed in.
#[Object]
impl Session {
    /// Begins with `ses_`.
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// When the viewer signed in.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When it was last used, to within some minutes.
    async fn last_used_at(&self) -> DateTime {
        DateTime(self.0.last_used_at)
    }

    /// When it ends, used or not.
    async fn expires_at(&self) -> DateTime {
        DateTime(self.0.expires_at)
    }

    /// Whether this very request is sent in it.
    async fn is_current(&self, ctx: &Context<'_>) -> Result<bool> {
        Ok(viewer_of(ctx)?.id == self.0.id)
    }
}
