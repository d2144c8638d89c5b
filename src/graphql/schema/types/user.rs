//! Users.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};

use super::DateTime;
use crate::error::Error;
use crate::graphql::budget::budget_of;
use crate::graphql::caller::caller_of;
use crate::graphql::schema::services::services_of;
use crate::log::{UserRow, missing};
use crate::messaging::{Mark, UserId};

/// Somebody who sends and receives.
#[derive(Debug, Clone)]
pub(crate) struct User {
    id: UserId,
    known: Option<Arc<UserRow>>,
}

impl User {
    /// The user with this id. The rest is loaded when a resolver needs it.
    pub(crate) fn by_id(id: UserId) -> Self {
        Self { id, known: None }
    }

    async fn load_row(&self, ctx: &Context<'_>) -> Result<Arc<UserRow>, Error> {
        match &self.known {
            Some(row) => Ok(Arc::clone(row)),
            None => Ok(services_of(ctx)?.user(self.id).await?.ok_or_else(|| missing("users", self.id.0))?),
        }
    }

    async fn shared(&self, ctx: &Context<'_>, mark: Mark) -> Result<Option<bool>, Error> {
        let is_viewer = caller_of(ctx)?.viewer().is_ok_and(|session| session.user == self.id);
        if !is_viewer {
            return Ok(None);
        }
        Ok(Some(self.load_row(ctx).await?.sharing.tells(mark)))
    }
}

impl From<Arc<UserRow>> for User {
    fn from(row: Arc<UserRow>) -> Self {
        Self { id: row.id, known: Some(row) }
    }
}

/// Somebody who sends and receives.
#[Object]
impl User {
    /// Globally unique; begins with `usr_`.
    pub(crate) async fn id(&self) -> ID {
        self.id.into()
    }

    /// Lower-case, unique, 3 to 32 of a-z, 0-9, `_` and `-`.
    async fn handle(&self, ctx: &Context<'_>) -> Result<String> {
        Ok(self.load_row(ctx).await?.handle.to_string())
    }

    /// The name as its owner writes it.
    async fn display_name(&self, ctx: &Context<'_>) -> Result<String> {
        let name = self.load_row(ctx).await?.display_name.to_string();
        budget_of(ctx)?.pay(name.len()).await;
        Ok(name)
    }

    /// The id under which another system knows this user: what its token says, or what a service gave. Null but for the
    /// viewer and for services.
    async fn external_id(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let caller = caller_of(ctx)?;
        let is_viewer = caller.viewer().is_ok_and(|session| session.user == self.id);
        if !is_viewer && caller.service.is_none() {
            return Ok(None);
        }
        let id = self.load_row(ctx).await?.external_id.as_ref().map(ToString::to_string);
        budget_of(ctx)?.pay(id.as_ref().map_or(0, String::len)).await;
        Ok(id)
    }

    /// Whether others are told of what this user receives, where the user does not say otherwise for a conversation.
    /// Null but for the viewer.
    async fn share_delivered(&self, ctx: &Context<'_>) -> Result<Option<bool>> {
        Ok(self.shared(ctx, Mark::Delivered).await?)
    }

    /// Whether others are told of what this user reads, in the same way. It is so only beside `shareDelivered`.
    async fn share_read(&self, ctx: &Context<'_>) -> Result<Option<bool>> {
        Ok(self.shared(ctx, Mark::Read).await?)
    }

    /// When they registered.
    async fn created_at(&self, ctx: &Context<'_>) -> Result<DateTime> {
        Ok(DateTime(self.load_row(ctx).await?.created_at))
    }
}
