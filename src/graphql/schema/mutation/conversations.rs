//! What people do with conversations: they start and leave them, add and remove others, and change what is kept of them.

use std::collections::HashMap;

use async_graphql::Context;

use super::{conversation_id, cursor, edit, limit, metadata, parse_key};
use crate::error::Error;
use crate::graphql::caller::viewer_of;
use crate::graphql::schema::input::{
    LeaveConversationInput, OwnParticipationInput, ParticipantsInput, RenameConversationInput,
    StartConversationInput, UpdateConversationInput,
};
use crate::graphql::schema::payload::{ConversationPayload, LeaveConversationPayload};
use crate::graphql::schema::services::services_of;
use crate::graphql::schema::types::{Conversation, Cursor, DateTime, Json};
use crate::log::OwnChange;
use crate::messaging::{
    Action, Add, ConversationId, Handle, Leave, Remove, Rename, Start, Title, Update, UserId,
};
use crate::random;
use crate::rates::Rates;

pub(super) async fn start(
    ctx: &Context<'_>,
    input: StartConversationInput,
) -> Result<ConversationPayload, Error> {
    let title = input.title.as_deref().map(Title::parse).transpose().map_err(Error::invalid("title"))?;
    let key = parse_key(input.idempotency_key.as_deref())?;
    limit(ctx, |rates, user| rates.start(user, input.participant_handles.len()))?;
    let with = users_named(ctx, "participantHandles", &input.participant_handles).await?;
    limit(ctx, |rates, user| rates.invite_each(user, &with))?;
    let conversation = ConversationId(random::id());
    let is_distinct = input.distinct.unwrap_or(false);
    let metadata = Json::metadata(input.metadata)?;
    let blockers = blockers(ctx, &with).await?;
    let start = Start { conversation, title, metadata, with, key, is_distinct, blockers };
    let started = services_of(ctx)?
        .submit(ctx, Action::Start(start))
        .await
        .map_err(|error| error.about("participantHandles"))?;
    let conversation = started.conversation.ok_or(Error::Internal)?;
    Ok(ConversationPayload {
        conversation: Conversation::as_of(conversation, started.as_of),
        cursor: cursor(&started),
    })
}

pub(super) async fn add(ctx: &Context<'_>, input: ParticipantsInput) -> Result<ConversationPayload, Error> {
    let conversation = conversation_id(&input.conversation_id)?;
    limit(ctx, |rates, user| rates.invite(user, input.handles.len()))?;
    let users = users_named(ctx, "handles", &input.handles).await?;
    limit(ctx, |rates, user| rates.invite_each(user, &users))?;
    let blockers = blockers(ctx, &users).await?;
    let add = Add { conversation, users, blockers };
    let added = services_of(ctx)?.submit(ctx, Action::Add(add)).await?;
    Ok(ConversationPayload { conversation: Conversation::by_id(conversation), cursor: cursor(&added) })
}

pub(super) async fn remove(
    ctx: &Context<'_>,
    input: ParticipantsInput,
) -> Result<ConversationPayload, Error> {
    let conversation = conversation_id(&input.conversation_id)?;
    // Whoever names handles learns whether somebody has them, whatever it is for.
    limit(ctx, |rates, user| rates.invite(user, input.handles.len()))?;
    let users = users_named(ctx, "handles", &input.handles).await?;
    let removed = services_of(ctx)?.submit(ctx, Action::Remove(Remove { conversation, users })).await?;
    Ok(ConversationPayload { conversation: Conversation::by_id(conversation), cursor: cursor(&removed) })
}

pub(super) async fn leave(
    ctx: &Context<'_>,
    input: LeaveConversationInput,
) -> Result<LeaveConversationPayload, Error> {
    let conversation = conversation_id(&input.conversation_id)?;
    limit(ctx, Rates::mark)?;
    let left = services_of(ctx)?.submit(ctx, Action::Leave(Leave { conversation })).await?;
    Ok(LeaveConversationPayload { cursor: cursor(&left) })
}

pub(super) async fn rename(
    ctx: &Context<'_>,
    input: RenameConversationInput,
) -> Result<ConversationPayload, Error> {
    let conversation = conversation_id(&input.conversation_id)?;
    let title = input.title.as_deref().map(Title::parse).transpose().map_err(Error::invalid("title"))?;
    limit(ctx, Rates::send)?;
    let renamed = services_of(ctx)?.submit(ctx, Action::Rename(Rename { conversation, title })).await?;
    Ok(ConversationPayload { conversation: Conversation::by_id(conversation), cursor: cursor(&renamed) })
}

pub(super) async fn update(
    ctx: &Context<'_>,
    input: UpdateConversationInput,
) -> Result<ConversationPayload, Error> {
    let conversation = conversation_id(&input.conversation_id)?;
    let title = match input.title.map_value(|title| Title::parse(&title)).transpose() {
        Ok(title) => edit(title),
        Err(invalid) => return Err(Error::invalid("title")(invalid)),
    };
    let metadata = metadata(input.metadata)?;
    limit(ctx, Rates::send)?;
    let update = Action::Update(Update { conversation, title, metadata });
    let updated = services_of(ctx)?.submit(ctx, update).await?;
    Ok(ConversationPayload { conversation: Conversation::by_id(conversation), cursor: cursor(&updated) })
}

pub(super) async fn update_own(
    ctx: &Context<'_>,
    input: OwnParticipationInput,
) -> Result<ConversationPayload, Error> {
    let conversation = conversation_id(&input.conversation_id)?;
    let change = OwnChange {
        muted_until: edit(input.muted_until.map_value(|DateTime(until)| until)),
        metadata: metadata(input.metadata)?,
        share_delivered: edit(input.share_delivered),
        share_read: edit(input.share_read),
    };
    limit(ctx, Rates::mark)?;
    let (user, database) = (viewer_of(ctx)?.user, &services_of(ctx)?.database);
    if !database.change_own_participation(user, conversation, &change).await? {
        return Err(Error::NotFound("conversation"));
    }
    let place = database.head().await?;
    Ok(ConversationPayload { conversation: Conversation::by_id(conversation), cursor: Cursor::new(place) })
}

/// Those of these users who block the viewer.
async fn blockers(ctx: &Context<'_>, users: &[UserId]) -> Result<Vec<UserId>, Error> {
    let viewer = viewer_of(ctx)?.user;
    Ok(services_of(ctx)?.database.blockers_of(viewer, users).await?)
}

/// The users with these handles, in the same order.
///
/// # Errors
/// [`Error::BadInput`] about `field` when a handle is nobody's, or when there are none or too many.
async fn users_named(
    ctx: &Context<'_>,
    field: &'static str,
    handles: &[String],
) -> Result<Vec<UserId>, Error> {
    let services = services_of(ctx)?;
    viewer_of(ctx)?;
    let max_handles = services.limits.max_participants;
    if handles.is_empty() {
        return Err(Error::bad_input(field, "must have at least one handle"));
    }
    if handles.len() > max_handles as usize {
        return Err(Error::bad_input(field, format!("must have at most {max_handles} handles")));
    }
    let unknown = |handle: &str| {
        // A text that is not a handle may be long. Its beginning is enough to recognise it.
        let start: String = handle.chars().take(40).collect();
        Error::bad_input(field, format!("has {start:?}, which is nobody's handle"))
    };
    let mut parsed = Vec::with_capacity(handles.len());
    for handle in handles {
        parsed.push(Handle::parse(handle).map_err(|_| unknown(handle))?);
    }
    let known: HashMap<Handle, UserId> = services
        .database
        .users_by_handle(&parsed)
        .await?
        .into_iter()
        .map(|user| (user.handle, user.id))
        .collect();
    parsed.iter().map(|handle| known.get(handle).copied().ok_or_else(|| unknown(handle.as_str()))).collect()
}
