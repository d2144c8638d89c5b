//! What people do with their own accounts: they register and sign in, change their name and password, end sessions, and
//! block others.

use async_graphql::{Context, ID, InputObject, SimpleObject};

use super::parse_key;
use crate::error::Error;
use crate::graphql::caller::{caller_of, viewer_of};
use crate::graphql::cookie;
use crate::graphql::schema::input::{LoginInput, RegisterInput};
use crate::graphql::schema::payload::{LogoutPayload, SessionPayload};
use crate::graphql::schema::services::services_of;
use crate::graphql::schema::types::{DateTime, User};
use crate::log::{UserChange, UserRow};
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

pub(super) async fn register(ctx: &Context<'_>, input: RegisterInput) -> Result<SessionPayload, Error> {
    let services = services_of(ctx)?;
    let from = caller_of(ctx)?.address;
    let RegisterInput { handle, display_name, password, idempotency_key } = input;
    if let Some(rates) = &services.rates {
        // With a key, a registration checks a password, as a sign-in does.
        match idempotency_key {
            Some(_) => rates.sign_in(from, &handle)?,
            None => rates.register(from)?,
        }
    }
    let key = parse_key(idempotency_key.as_deref())?;
    let user = services.accounts.register(from, &handle, &display_name, &password, key.as_ref()).await?;
    begin_session(ctx, &user).await
}

pub(super) async fn login(ctx: &Context<'_>, input: LoginInput) -> Result<SessionPayload, Error> {
    let services = services_of(ctx)?;
    let from = caller_of(ctx)?.address;
    if let Some(rates) = &services.rates {
        rates.sign_in(from, &input.handle)?;
    }
    let user = services.accounts.authenticate(from, &input.handle, &input.password).await?;
    begin_session(ctx, &user).await
}

pub(super) async fn logout(ctx: &Context<'_>) -> Result<LogoutPayload, Error> {
    let ended = services_of(ctx)?.accounts.sessions.end(viewer_of(ctx)?).await?;
    ctx.append_http_header("set-cookie", cookie::clear(caller_of(ctx)?.is_secure));
    Ok(LogoutPayload { ended })
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

/// Changes the viewer's password, which ends all their sessions, and begins a new one.
pub(super) async fn change_password(
    ctx: &Context<'_>,
    input: ChangePasswordInput,
) -> Result<SessionPayload, Error> {
    let viewer = viewer_of(ctx)?.user;
    let services = services_of(ctx)?;
    let from = caller_of(ctx)?.address;
    if let Some(rates) = &services.rates {
        // It checks a password, as a sign-in does.
        let user = services.user(viewer).await?.ok_or(Error::Unauthenticated)?;
        rates.sign_in(from, user.handle.as_str())?;
    }
    let ChangePasswordInput { current_password, new_password } = input;
    let accounts = &services.accounts;
    let user = accounts.change_password(from, viewer, &current_password, &new_password).await?;
    begin_session(ctx, &user).await
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

async fn begin_session(ctx: &Context<'_>, user: &UserRow) -> Result<SessionPayload, Error> {
    let accounts = &services_of(ctx)?.accounts;
    let (token, session) = accounts.sessions.begin(user, &accounts.users).await?;
    ctx.append_http_header("set-cookie", cookie::set(&token, &session, caller_of(ctx)?.is_secure));
    Ok(SessionPayload {
        token: token.to_string(),
        expires_at: DateTime(session.expires_at),
        user: User::by_id(session.user),
    })
}
