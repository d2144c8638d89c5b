//! What users do with their own accounts: their name, password and sessions, and whom they block.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};

use super::services::services_of;
use super::types::{DateTime, User};
use crate::error::Error;
use crate::graphql::caller::{caller_of, viewer_of};
use crate::log::{SessionRow, UserChange, UserRow};
use crate::messaging::{DisplayName, SessionId, UserId};

/// What is to be changed of the viewer's profile.
#[derive(InputObject)]
pub(super) struct ProfileInput {
    /// The name shown to others from here on: 1 to 100 characters. Without it the name stays.
    display_name: Option<String>,
    /// Whether others are told of what the viewer receives from now on, in every conversation for which the viewer does
    /// not say otherwise. Without it this stays.
    share_delivered: Option<bool>,
    /// The same for what the viewer reads. Whoever does not share what they receive does not share what they read
    /// either, whatever this says.
    share_read: Option<bool>,
}

/// A password and the next one.
#[derive(InputObject)]
pub(super) struct ChangePasswordInput {
    /// The password until now.
    current_password: String,
    /// The password from here on: at least 8 characters.
    new_password: String,
}

/// Which session is to be ended.
#[derive(InputObject)]
pub(super) struct EndSessionInput {
    /// One of the viewer's sessions.
    session_id: ID,
}

/// Who is to be blocked, or no longer.
#[derive(InputObject)]
pub(super) struct BlockInput {
    /// The other user.
    user_id: ID,
}

/// A session that has ended.
#[derive(SimpleObject)]
pub(super) struct EndSessionPayload {
    /// Whether it was this request that ended it.
    pub(super) ended: bool,
}

/// A user who is blocked, or no longer.
#[derive(SimpleObject)]
pub(super) struct BlockPayload {
    /// The other user.
    pub(super) user: User,
}

/// A session in which the viewer is signed in.
pub(crate) struct Session(pub(super) SessionRow);

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

pub(super) async fn update_profile(ctx: &Context<'_>, input: ProfileInput) -> Result<User, Error> {
    let viewer = viewer_of(ctx)?.user;
    let services = services_of(ctx)?;
    let ProfileInput { display_name, share_delivered, share_read } = input;
    let display_name = display_name.as_deref().map(DisplayName::parse).transpose();
    let display_name = display_name.map_err(Error::invalid("displayName"))?;
    if let Some(rates) = &services.rates {
        rates.send(viewer)?;
    }
    if display_name.is_some() || share_delivered.is_some() || share_read.is_some() {
        let change = UserChange { display_name, share_delivered, share_read, ..UserChange::default() };
        services.accounts.change(viewer, &change).await?;
    }
    Ok(User::by_id(viewer))
}

/// Changes the viewer's password, which ends all their sessions. Returns the user, for whom a new one is to begin.
pub(super) async fn change_password(ctx: &Context<'_>, input: ChangePasswordInput) -> Result<UserRow, Error> {
    let viewer = viewer_of(ctx)?.user;
    let services = services_of(ctx)?;
    let from = caller_of(ctx)?.address;
    if let Some(rates) = &services.rates {
        // It checks a password, as a sign-in does.
        let user = services.user(viewer).await?.ok_or(Error::Unauthenticated)?;
        rates.sign_in(from, user.handle.as_str())?;
    }
    let ChangePasswordInput { current_password, new_password } = input;
    services.accounts.change_password(from, viewer, &current_password, &new_password).await
}

pub(super) async fn end_session(ctx: &Context<'_>, input: &EndSessionInput) -> Result<bool, Error> {
    let viewer = viewer_of(ctx)?.user;
    let id: SessionId = input.session_id.parse().map_err(|_| Error::NotFound("session"))?;
    Ok(services_of(ctx)?.accounts.sessions.end_other(viewer, id).await?)
}

/// Blocks the user with this id, or no longer.
pub(super) async fn block(ctx: &Context<'_>, input: &BlockInput, blocks: bool) -> Result<User, Error> {
    let viewer = viewer_of(ctx)?.user;
    let services = services_of(ctx)?;
    let other: UserId = input.user_id.parse().map_err(|_| Error::NotFound("user"))?;
    if let Some(rates) = &services.rates {
        rates.send(viewer)?;
    }
    if other == viewer {
        return Err(Error::bad_input("userId", "must be somebody other than yourself"));
    }
    let row = services.user(other).await?.ok_or(Error::NotFound("user"))?;
    if blocks {
        services.database.block(viewer, other).await?;
    } else {
        services.database.unblock(viewer, other).await?;
    }
    Ok(User::from(row))
}
