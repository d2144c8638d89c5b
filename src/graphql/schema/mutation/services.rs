//! What only services do: they make, update and disable users, redact what anybody sent, and say what they could not
//! deliver.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};

use crate::accounts::{Erased, Scope, Wanted};
use crate::error::Error;
use crate::graphql::budget::budget_of;
use crate::graphql::caller::service_with;
use crate::graphql::schema::payload::{MessagePayload, UserPayload};
use crate::graphql::schema::services::services_of;
use crate::graphql::schema::types::{Cursor, Message, User};
use crate::log::{Committed, Provisioned, UserChange, UserRow};
use crate::messaging::{Action, MessageId, Reason, Redact, Report, UserId};

/// Users who are to be made or updated.
#[derive(InputObject)]
pub(super) struct UpsertUsersInput {
    /// At most 1,000.
    users: Vec<UpsertUserInput>,
}

/// A user who is to be made or updated.
#[derive(InputObject)]
pub(super) struct UpsertUserInput {
    /// The id under which the service knows the user: 1 to 255 characters of one line.
    external_id: String,
    /// The handle from here on. Without it, a known user keeps theirs, and a new one gets one made of `externalId`.
    handle: Option<String>,
    /// The name from here on. Without it, a known user keeps theirs, and that of a new one is the handle.
    display_name: Option<String>,
}

/// Who is to be disabled or enabled.
#[derive(InputObject)]
pub(super) struct UserDisabledInput {
    /// The user.
    user_id: ID,
    /// Whether the user is disabled from here on.
    disabled: bool,
}

/// Who is to be erased.
#[derive(InputObject)]
pub(super) struct EraseUserInput {
    /// The user.
    user_id: ID,
}

/// A user who was erased.
#[derive(SimpleObject)]
pub(super) struct EraseUserPayload {
    /// What is left of the user: an id, by which events still name them.
    user: User,
    /// How many messages this request redacted.
    messages_redacted: i32,
    /// A place in the log that includes what this request did.
    cursor: Cursor,
}

/// Users who were made or updated.
pub(super) struct UpsertUsersPayload(Provisioned);

/// Users who were made or updated.
#[Object]
impl UpsertUsersPayload {
    /// The users, in the order of the input.
    async fn users(&self, ctx: &Context<'_>) -> Result<Vec<User>> {
        budget_of(ctx)?.pay_elements(self.0.users.len()).await;
        let show = |row: &UserRow| User::from(Arc::new(row.clone()));
        Ok(self.0.users.iter().map(show).collect())
    }

    /// How many of them are new.
    async fn created(&self) -> i32 {
        i32::try_from(self.0.new.len()).unwrap_or(i32::MAX)
    }
}

/// What could not be delivered, and to whom.
#[derive(InputObject)]
pub(super) struct UndeliverableInput {
    /// The message.
    message_id: ID,
    /// The recipient.
    user_id: ID,
    /// Why: 1 to 500 characters of one line. The sender of the message is told.
    reason: String,
}

pub(super) async fn upsert_users(
    ctx: &Context<'_>,
    input: UpsertUsersInput,
) -> Result<UpsertUsersPayload, Error> {
    service_with(ctx, Scope::Provision)?;
    let parse = |(index, user): (usize, UpsertUserInput)| {
        let (handle, display_name) = (user.handle.as_deref(), user.display_name.as_deref());
        Wanted::parse(index, &user.external_id, handle, display_name)
    };
    let wanted: Vec<Wanted> = input.users.into_iter().enumerate().map(parse).collect::<Result<_, _>>()?;
    Ok(UpsertUsersPayload(services_of(ctx)?.accounts.provision(&wanted).await?))
}

pub(super) async fn set_user_disabled(
    ctx: &Context<'_>,
    input: UserDisabledInput,
) -> Result<UserPayload, Error> {
    service_with(ctx, Scope::Provision)?;
    let user: UserId = input.user_id.parse().map_err(|_| Error::NotFound("user"))?;
    let change = UserChange { disabled: Some(input.disabled), ..UserChange::default() };
    let changed = services_of(ctx)?.accounts.change(user, &change).await?.ok_or(Error::NotFound("user"))?;
    Ok(UserPayload { user: User::from(Arc::new(changed)) })
}

pub(super) async fn erase_user(ctx: &Context<'_>, input: EraseUserInput) -> Result<EraseUserPayload, Error> {
    service_with(ctx, Scope::Provision)?;
    let services = services_of(ctx)?;
    let id: UserId = input.user_id.parse().map_err(|_| Error::NotFound("user"))?;
    let erasing = services.accounts.erase(id, |action| services.submit_as(ctx, id, action));
    let Erased { user, redacted } = erasing.await?;
    let user = User::from(Arc::new(user));
    let cursor = Cursor::new(services.database.head().await?);
    let messages_redacted = i32::try_from(redacted).unwrap_or(i32::MAX);
    Ok(EraseUserPayload { user, messages_redacted, cursor })
}

/// Redacts a message as its sender, for a service that acts for nobody.
pub(super) async fn redact_message(ctx: &Context<'_>, id: MessageId) -> Result<MessagePayload, Error> {
    service_with(ctx, Scope::Send)?;
    let services = services_of(ctx)?;
    let sender = services.database.message(id).await?.ok_or(Error::NotFound("message"))?.sender;
    seen_by_service(services.submit_as(ctx, sender, Action::Redact(Redact { message: id })).await?)
}

pub(super) async fn report_undeliverable(
    ctx: &Context<'_>,
    input: UndeliverableInput,
) -> Result<MessagePayload, Error> {
    service_with(ctx, Scope::Send)?;
    let message: MessageId = input.message_id.parse().map_err(|_| Error::NotFound("message"))?;
    let recipient: UserId = input.user_id.parse().map_err(|_| Error::NotFound("user"))?;
    let reason = Reason::parse(&input.reason).map_err(Error::invalid("reason"))?;
    let action = Action::Report(Report { message, reason });
    let reported = services_of(ctx)?.submit_as(ctx, recipient, action).await?;
    seen_by_service(reported)
}

/// Services see a message as it is now, also where whoever they did it as has left.
fn seen_by_service(done: Committed) -> Result<MessagePayload, Error> {
    let cursor = Cursor::new(done.place);
    Ok(MessagePayload { message: done.message.map(Message::now).ok_or(Error::Internal)?, cursor })
}
