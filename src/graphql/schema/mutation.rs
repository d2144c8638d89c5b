//! The mutations. Each makes a command of its input and hands it to the writer. None decides whether the command is
//! allowed.

use std::collections::HashMap;

use async_graphql::{Context, ID, MaybeUndefined, Object, Result};

use super::account::{
    self, BlockInput, BlockPayload, ChangePasswordInput, EndSessionInput, EndSessionPayload, ProfileInput,
};
use super::input::{
    LeaveConversationInput, LoginInput, MarkInput, OwnParticipationInput, ParticipantsInput,
    RedactMessageInput, RegisterInput, RenameConversationInput, SendMessageInput, StartConversationInput,
    UpdateConversationInput,
};
use super::payload::{
    ConversationPayload, LeaveConversationPayload, LogoutPayload, MarkPayload, MessagePayload,
    SendMessagePayload, SessionPayload, UserPayload,
};
use super::provisioning::{
    self, EraseUserInput, EraseUserPayload, UndeliverableInput, UpsertUsersInput, UpsertUsersPayload,
    UserDisabledInput,
};
use super::services::services_of;
use super::types::{Conversation, Cursor, DateTime, Json, Message, User};
use crate::error::Error;
use crate::graphql::caller::{caller_of, viewer_of};
use crate::graphql::cookie;
use crate::log::{Committed, OwnChange, UserRow};
use crate::messaging::{
    Action, Add, Body, ConversationId, Edit, Handle, IdempotencyKey, Leave, Mark, MarkThrough, MessageId,
    Metadata, Redact, Remove, Rename, Send, Start, Title, UpTo, Update, UserId,
};
use crate::random;
use crate::rates::Rates;

/// What can be changed.
#[derive(Debug)]
pub(crate) struct Mutation;

/// What can be changed.
#[Object]
impl Mutation {
    /// Creates a user and signs them in.
    async fn register(&self, ctx: &Context<'_>, input: RegisterInput) -> Result<SessionPayload> {
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
        Ok(begin_session(ctx, &user).await?)
    }

    /// Signs a user in. A wrong password and an unknown handle give the same answer, in the same time.
    async fn login(&self, ctx: &Context<'_>, input: LoginInput) -> Result<SessionPayload> {
        let services = services_of(ctx)?;
        let from = caller_of(ctx)?.address;
        if let Some(rates) = &services.rates {
            rates.sign_in(from, &input.handle)?;
        }
        let user = services.accounts.authenticate(from, &input.handle, &input.password).await?;
        Ok(begin_session(ctx, &user).await?)
    }

    /// Ends the session used for this request, and closes every socket that it opened.
    async fn logout(&self, ctx: &Context<'_>) -> Result<LogoutPayload> {
        let ended = services_of(ctx)?.accounts.sessions.end(viewer_of(ctx)?).await?;
        ctx.append_http_header("set-cookie", cookie::clear(caller_of(ctx)?.is_secure));
        Ok(LogoutPayload { ended })
    }

    /// Changes how others see the viewer, and what the viewer shares with them. To share from now on tells nothing of
    /// messages that were sent before.
    async fn update_profile(&self, ctx: &Context<'_>, input: ProfileInput) -> Result<UserPayload> {
        Ok(UserPayload { user: account::update_profile(ctx, input).await? })
    }

    /// Changes the viewer's password. The answer begins a new session. Every other session of the viewer ends, also the
    /// one of this request, with the sockets that were opened in it.
    async fn change_password(&self, ctx: &Context<'_>, input: ChangePasswordInput) -> Result<SessionPayload> {
        let user = account::change_password(ctx, input).await?;
        Ok(begin_session(ctx, &user).await?)
    }

    /// Ends one of the viewer's sessions, and closes every socket that it opened.
    async fn end_session(&self, ctx: &Context<'_>, input: EndSessionInput) -> Result<EndSessionPayload> {
        Ok(EndSessionPayload { ended: account::end_session(ctx, &input).await? })
    }

    /// Blocks a user: they can no longer start a conversation with the viewer, or add the viewer to one. Conversations
    /// that both take part in stay as they are. Saying it again changes nothing. Nobody is told.
    async fn block_user(&self, ctx: &Context<'_>, input: BlockInput) -> Result<BlockPayload> {
        Ok(BlockPayload { user: account::block(ctx, &input, true).await? })
    }

    /// Takes a block back.
    async fn unblock_user(&self, ctx: &Context<'_>, input: BlockInput) -> Result<BlockPayload> {
        Ok(BlockPayload { user: account::block(ctx, &input, false).await? })
    }

    /// Starts a conversation with others.
    async fn start_conversation(
        &self,
        ctx: &Context<'_>,
        input: StartConversationInput,
    ) -> Result<ConversationPayload> {
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

    /// Adds people to a conversation that the viewer takes part in. They see what happens from here on.
    async fn add_participants(
        &self,
        ctx: &Context<'_>,
        input: ParticipantsInput,
    ) -> Result<ConversationPayload> {
        let conversation = conversation_id(&input.conversation_id)?;
        limit(ctx, |rates, user| rates.invite(user, input.handles.len()))?;
        let users = users_named(ctx, "handles", &input.handles).await?;
        limit(ctx, |rates, user| rates.invite_each(user, &users))?;
        let blockers = blockers(ctx, &users).await?;
        let add = Add { conversation, users, blockers };
        let added = services_of(ctx)?.submit(ctx, Action::Add(add)).await?;
        Ok(ConversationPayload { conversation: Conversation::by_id(conversation), cursor: cursor(&added) })
    }

    /// Removes people from a conversation that the viewer owns. What they see ends with that. Refused with `FORBIDDEN`
    /// for those who do not own it, and in the one conversation of two people. Nobody removes themselves.
    async fn remove_participants(
        &self,
        ctx: &Context<'_>,
        input: ParticipantsInput,
    ) -> Result<ConversationPayload> {
        let conversation = conversation_id(&input.conversation_id)?;
        // Whoever names handles learns whether somebody has them, whatever it is for.
        limit(ctx, |rates, user| rates.invite(user, input.handles.len()))?;
        let users = users_named(ctx, "handles", &input.handles).await?;
        let removed = services_of(ctx)?.submit(ctx, Action::Remove(Remove { conversation, users })).await?;
        Ok(ConversationPayload { conversation: Conversation::by_id(conversation), cursor: cursor(&removed) })
    }

    /// Takes the viewer out of a conversation. From here on they receive nothing more of it.
    async fn leave_conversation(
        &self,
        ctx: &Context<'_>,
        input: LeaveConversationInput,
    ) -> Result<LeaveConversationPayload> {
        let conversation = conversation_id(&input.conversation_id)?;
        limit(ctx, Rates::mark)?;
        let left = services_of(ctx)?.submit(ctx, Action::Leave(Leave { conversation })).await?;
        Ok(LeaveConversationPayload { cursor: cursor(&left) })
    }

    /// Gives a conversation that the viewer takes part in another title, or none. Everybody in it is told.
    async fn rename_conversation(
        &self,
        ctx: &Context<'_>,
        input: RenameConversationInput,
    ) -> Result<ConversationPayload> {
        let conversation = conversation_id(&input.conversation_id)?;
        let title = input.title.as_deref().map(Title::parse).transpose().map_err(Error::invalid("title"))?;
        limit(ctx, Rates::send)?;
        let renamed = services_of(ctx)?.submit(ctx, Action::Rename(Rename { conversation, title })).await?;
        Ok(ConversationPayload { conversation: Conversation::by_id(conversation), cursor: cursor(&renamed) })
    }

    /// Changes the title or the metadata of a conversation that the viewer owns, or both. Refused with `FORBIDDEN` for
    /// those who do not own it. Everybody in it is told.
    async fn update_conversation(
        &self,
        ctx: &Context<'_>,
        input: UpdateConversationInput,
    ) -> Result<ConversationPayload> {
        let conversation = conversation_id(&input.conversation_id)?;
        let title = match input.title.map_value(|title| Title::parse(&title)).transpose() {
            Ok(title) => edit(title),
            Err(invalid) => return Err(Error::invalid("title")(invalid).into()),
        };
        let metadata = metadata(input.metadata)?;
        limit(ctx, Rates::send)?;
        let update = Action::Update(Update { conversation, title, metadata });
        let updated = services_of(ctx)?.submit(ctx, update).await?;
        Ok(ConversationPayload { conversation: Conversation::by_id(conversation), cursor: cursor(&updated) })
    }

    /// Changes what the viewer keeps for themselves of a conversation that they take part in, and what they share there.
    /// Nobody else is told. To share from now on tells nothing of messages that were sent before.
    async fn update_own_participation(
        &self,
        ctx: &Context<'_>,
        input: OwnParticipationInput,
    ) -> Result<ConversationPayload> {
        let conversation = conversation_id(&input.conversation_id)?;
        let change = OwnChange {
            muted_until: edit(input.muted_until.map_value(|DateTime(until)| until)),
            metadata: metadata(input.metadata)?,
            share_delivered: edit(input.share_delivered),
            share_read: edit(input.share_read),
        };
        limit(ctx, Rates::mark)?;
        let (user, database) = (viewer_of(ctx)?.user, &services_of(ctx)?.database);
        let changed = database.change_own_participation(user, conversation, &change).await;
        if !changed.map_err(Error::from)? {
            return Err(Error::NotFound("conversation").into());
        }
        let place = database.head().await.map_err(Error::from)?;
        Ok(ConversationPayload {
            conversation: Conversation::by_id(conversation),
            cursor: Cursor::new(place),
        })
    }

    /// Sends a message. When this is answered the message is stored and will not be lost.
    async fn send_message(&self, ctx: &Context<'_>, input: SendMessageInput) -> Result<SendMessagePayload> {
        let services = services_of(ctx)?;
        limit(ctx, Rates::send)?;
        let action = Action::Send(Send {
            conversation: conversation_id(&input.conversation_id)?,
            message: MessageId(random::id()),
            body: Body::parse(&input.body, services.limits.max_message_chars)
                .map_err(Error::invalid("body"))?,
            metadata: Json::metadata(input.metadata)?,
            key: parse_key(input.idempotency_key.as_deref())?,
        });
        let sent = services.submit(ctx, action).await?;
        Ok(SendMessagePayload { cursor: cursor(&sent), message: message(sent)? })
    }

    /// Takes the body and the metadata of a message away for good. The event that it was sent stays, and shows the
    /// message as it is now. Only the sender, or an owner of the conversation, may do it (`FORBIDDEN` for others). To
    /// repeat it changes nothing.
    async fn redact_message(&self, ctx: &Context<'_>, input: RedactMessageInput) -> Result<MessagePayload> {
        let id: MessageId = input.message_id.parse().map_err(|_| Error::NotFound("message"))?;
        limit(ctx, Rates::send)?;
        let redacted = services_of(ctx)?.submit(ctx, Action::Redact(Redact { message: id })).await?;
        Ok(MessagePayload { cursor: cursor(&redacted), message: message(redacted)? })
    }

    /// Says that the viewer has received this message and every earlier one of its conversation, or everything in a
    /// conversation. Refused with `SENDER_CANNOT_MARK` for the viewer's own message. Saying it again changes nothing,
    /// and nobody is told.
    async fn mark_delivered(&self, ctx: &Context<'_>, input: MarkInput) -> Result<MarkPayload> {
        Ok(mark(ctx, &input, Mark::Delivered).await?)
    }

    /// Says that the viewer has read this message and every earlier one, or everything in a conversation; read implies
    /// delivered.
    async fn mark_read(&self, ctx: &Context<'_>, input: MarkInput) -> Result<MarkPayload> {
        Ok(mark(ctx, &input, Mark::Read).await?)
    }

    /// Makes or updates users by `externalId`, at most 1,000 a call, all or none. For services with the scope
    /// `provision`. To repeat it changes nothing.
    async fn upsert_users(&self, ctx: &Context<'_>, input: UpsertUsersInput) -> Result<UpsertUsersPayload> {
        Ok(provisioning::upsert_users(ctx, input).await?)
    }

    /// Disables a user: their sessions end on every node, and tokens and passwords are refused. Or enables one. Their
    /// messages stay as they are. For services with the scope `provision`.
    async fn set_user_disabled(&self, ctx: &Context<'_>, input: UserDisabledInput) -> Result<UserPayload> {
        Ok(provisioning::set_user_disabled(ctx, input).await?)
    }

    /// Erases a user: they leave everything, the messages that they sent are redacted, and their name, handle, password,
    /// sessions and settings go. Only an id is left. For services with the scope `provision`. It cannot be undone. If the
    /// answer is lost, say it again: what is done already stays done.
    async fn erase_user(&self, ctx: &Context<'_>, input: EraseUserInput) -> Result<EraseUserPayload> {
        Ok(provisioning::erase_user(ctx, input).await?)
    }

    /// Says that a message could not be brought to a recipient by any way that the service has. The sender is told. For
    /// services with the scope `send`. To say the same again changes nothing, and neither does a report of a message that
    /// was delivered meanwhile.
    async fn report_undeliverable(
        &self,
        ctx: &Context<'_>,
        input: UndeliverableInput,
    ) -> Result<MessagePayload> {
        Ok(provisioning::report_undeliverable(ctx, input).await?)
    }
}

/// Counts a request of the viewer against a rate, unless rates are switched off. What a service does for somebody is not
/// counted: its operator gave it the key.
fn limit(ctx: &Context<'_>, count: impl FnOnce(&Rates, UserId) -> Result<(), Error>) -> Result<(), Error> {
    let user = viewer_of(ctx)?.user;
    if caller_of(ctx)?.service.is_some() {
        return Ok(());
    }
    services_of(ctx)?.rates.as_ref().map_or(Ok(()), |rates| count(rates, user))
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

async fn mark(ctx: &Context<'_>, input: &MarkInput, mark: Mark) -> Result<MarkPayload, Error> {
    let up_to = match (&input.message_id, &input.conversation_id) {
        (Some(id), None) => UpTo::Message(id.parse().map_err(|_| Error::NotFound("message"))?),
        (None, Some(id)) => UpTo::Now(conversation_id(id)?),
        (None, None) | (Some(_), Some(_)) => {
            return Err(Error::bad_input("messageId", "or `conversationId` must be given, and not both"));
        }
    };
    limit(ctx, Rates::mark)?;
    let marked = services_of(ctx)?.submit(ctx, Action::Mark(MarkThrough { up_to, mark })).await?;
    let cursor = cursor(&marked);
    let (conversation, message) = match (up_to, marked.message) {
        (_, Some(message)) => (message.conversation, Some(Message::as_of(message, marked.as_of))),
        (UpTo::Now(conversation), None) => (conversation, None),
        (UpTo::Message(_), None) => return Err(Error::Internal),
    };
    Ok(MarkPayload { conversation, message, cursor })
}

fn message(committed: Committed) -> Result<Message, Error> {
    let Committed { message, as_of, .. } = committed;
    message.map(|message| Message::as_of(message, as_of)).ok_or(Error::Internal)
}

fn cursor(committed: &Committed) -> Cursor {
    Cursor::new(committed.place)
}

/// What becomes of a value by an input field. Nothing given is not the same as null.
fn edit<T>(given: MaybeUndefined<T>) -> Edit<T> {
    match given {
        MaybeUndefined::Undefined => Edit::Keep,
        MaybeUndefined::Null => Edit::Set(None),
        MaybeUndefined::Value(value) => Edit::Set(Some(value)),
    }
}

fn metadata(given: MaybeUndefined<Json>) -> Result<Edit<Metadata>, Error> {
    Ok(match given {
        MaybeUndefined::Undefined => Edit::Keep,
        MaybeUndefined::Null => Edit::Set(None),
        MaybeUndefined::Value(value) => Edit::Set(Json::metadata(Some(value))?),
    })
}

fn parse_key(text: Option<&str>) -> Result<Option<IdempotencyKey>, Error> {
    text.map(IdempotencyKey::parse).transpose().map_err(Error::invalid("idempotencyKey"))
}

fn conversation_id(id: &ID) -> Result<ConversationId, Error> {
    // A text that is not an id gets the same error as an id that nobody has.
    id.parse().map_err(|_| Error::NotFound("conversation"))
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
