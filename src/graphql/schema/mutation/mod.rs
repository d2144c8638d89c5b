//! The mutations. Each makes a command of its input and hands it to the writer. None decides whether the command is
//! allowed. The fields are all here, in one object: async-graphql would look for a field in one part after another. What
//! each does is in the rooms beside.

mod accounts;
mod conversations;
mod messages;
mod services;

use async_graphql::{Context, ID, MaybeUndefined, Object, Result};

use self::accounts::{
    BlockInput, BlockPayload, ChangePasswordInput, EndSessionInput, EndSessionPayload, ProfileInput,
};
use self::services::{
    EraseUserInput, EraseUserPayload, UndeliverableInput, UpsertUsersInput, UpsertUsersPayload,
    UserDisabledInput,
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
use super::services::services_of;
use super::types::{Cursor, Json};
use crate::error::Error;
use crate::graphql::caller::{caller_of, viewer_of};
use crate::log::Committed;
use crate::messaging::{ConversationId, Edit, IdempotencyKey, Mark, Metadata, UserId};
use crate::rates::Rates;

/// What can be changed.
#[derive(Debug)]
pub(crate) struct Mutation;

/// What can be changed.
#[Object]
impl Mutation {
    /// Creates a user and signs them in.
    async fn register(&self, ctx: &Context<'_>, input: RegisterInput) -> Result<SessionPayload> {
        Ok(accounts::register(ctx, input).await?)
    }

    /// Signs a user in. A wrong password and an unknown handle give the same answer, in the same time.
    async fn login(&self, ctx: &Context<'_>, input: LoginInput) -> Result<SessionPayload> {
        Ok(accounts::login(ctx, input).await?)
    }

    /// Ends the session used for this request, and closes every socket that it opened.
    async fn logout(&self, ctx: &Context<'_>) -> Result<LogoutPayload> {
        Ok(accounts::logout(ctx).await?)
    }

    /// Changes how others see the viewer, and what the viewer shares with them. To share from now on tells nothing of
    /// messages that were sent before.
    async fn update_profile(&self, ctx: &Context<'_>, input: ProfileInput) -> Result<UserPayload> {
        Ok(UserPayload { user: accounts::update_profile(ctx, input).await? })
    }

    /// Changes the viewer's password. The answer begins a new session. Every other session of the viewer ends, also the
    /// one of this request, with the sockets that were opened in it.
    async fn change_password(&self, ctx: &Context<'_>, input: ChangePasswordInput) -> Result<SessionPayload> {
        Ok(accounts::change_password(ctx, input).await?)
    }

    /// Ends one of the viewer's sessions, and closes every socket that it opened.
    async fn end_session(&self, ctx: &Context<'_>, input: EndSessionInput) -> Result<EndSessionPayload> {
        Ok(EndSessionPayload { ended: accounts::end_session(ctx, &input).await? })
    }

    /// Blocks a user: they can no longer start a conversation with the viewer, or add the viewer to one. Conversations
    /// that both take part in stay as they are. Saying it again changes nothing. Nobody is told.
    async fn block_user(&self, ctx: &Context<'_>, input: BlockInput) -> Result<BlockPayload> {
        Ok(BlockPayload { user: accounts::block(ctx, &input, true).await? })
    }

    /// Takes a block back.
    async fn unblock_user(&self, ctx: &Context<'_>, input: BlockInput) -> Result<BlockPayload> {
        Ok(BlockPayload { user: accounts::block(ctx, &input, false).await? })
    }

    /// Starts a conversation with others.
    async fn start_conversation(
        &self,
        ctx: &Context<'_>,
        input: StartConversationInput,
    ) -> Result<ConversationPayload> {
        Ok(conversations::start(ctx, input).await?)
    }

    /// Adds people to a conversation that the viewer takes part in. They see what happens from here on.
    async fn add_participants(
        &self,
        ctx: &Context<'_>,
        input: ParticipantsInput,
    ) -> Result<ConversationPayload> {
        Ok(conversations::add(ctx, input).await?)
    }

    /// Removes people from a conversation that the viewer owns. What they see ends with that. Refused with `FORBIDDEN`
    /// for those who do not own it, and in the one conversation of two people. Nobody removes themselves.
    async fn remove_participants(
        &self,
        ctx: &Context<'_>,
        input: ParticipantsInput,
    ) -> Result<ConversationPayload> {
        Ok(conversations::remove(ctx, input).await?)
    }

    /// Takes the viewer out of a conversation. From here on they receive nothing more of it.
    async fn leave_conversation(
        &self,
        ctx: &Context<'_>,
        input: LeaveConversationInput,
    ) -> Result<LeaveConversationPayload> {
        Ok(conversations::leave(ctx, input).await?)
    }

    /// Gives a conversation that the viewer takes part in another title, or none. Everybody in it is told.
    async fn rename_conversation(
        &self,
        ctx: &Context<'_>,
        input: RenameConversationInput,
    ) -> Result<ConversationPayload> {
        Ok(conversations::rename(ctx, input).await?)
    }

    /// Changes the title or the metadata of a conversation that the viewer owns, or both. Refused with `FORBIDDEN` for
    /// those who do not own it. Everybody in it is told.
    async fn update_conversation(
        &self,
        ctx: &Context<'_>,
        input: UpdateConversationInput,
    ) -> Result<ConversationPayload> {
        Ok(conversations::update(ctx, input).await?)
    }

    /// Changes what the viewer keeps for themselves of a conversation that they take part in, and what they share there.
    /// Nobody else is told. To share from now on tells nothing of messages that were sent before.
    async fn update_own_participation(
        &self,
        ctx: &Context<'_>,
        input: OwnParticipationInput,
    ) -> Result<ConversationPayload> {
        Ok(conversations::update_own(ctx, input).await?)
    }

    /// Sends a message. When this is answered the message is stored and will not be lost.
    async fn send_message(&self, ctx: &Context<'_>, input: SendMessageInput) -> Result<SendMessagePayload> {
        Ok(messages::send(ctx, input).await?)
    }

    /// Takes the body and the metadata of a message away for good. The event that it was sent stays, and shows the
    /// message as it is now. Only the sender, or an owner of the conversation, may do it (`FORBIDDEN` for others), or a
    /// service with the scope `send` that acts for nobody: it does so as the sender, for any message. To repeat it
    /// changes nothing.
    async fn redact_message(&self, ctx: &Context<'_>, input: RedactMessageInput) -> Result<MessagePayload> {
        Ok(messages::redact(ctx, input).await?)
    }

    /// Says that the viewer has received this message and every earlier one of its conversation, or everything in a
    /// conversation. Refused with `SENDER_CANNOT_MARK` for the viewer's own message. Saying it again changes nothing,
    /// and nobody is told.
    async fn mark_delivered(&self, ctx: &Context<'_>, input: MarkInput) -> Result<MarkPayload> {
        Ok(messages::mark(ctx, &input, Mark::Delivered).await?)
    }

    /// Says that the viewer has read this message and every earlier one, or everything in a conversation; read implies
    /// delivered.
    async fn mark_read(&self, ctx: &Context<'_>, input: MarkInput) -> Result<MarkPayload> {
        Ok(messages::mark(ctx, &input, Mark::Read).await?)
    }

    /// Makes or updates users by `externalId`, at most 1,000 a call, all or none. For services with the scope
    /// `provision`. To repeat it changes nothing.
    async fn upsert_users(&self, ctx: &Context<'_>, input: UpsertUsersInput) -> Result<UpsertUsersPayload> {
        Ok(services::upsert_users(ctx, input).await?)
    }

    /// Disables a user: their sessions end on every node, and tokens and passwords are refused. Or enables one. Their
    /// messages stay as they are. For services with the scope `provision`.
    async fn set_user_disabled(&self, ctx: &Context<'_>, input: UserDisabledInput) -> Result<UserPayload> {
        Ok(services::set_user_disabled(ctx, input).await?)
    }

    /// Erases a user: they leave everything, the messages that they sent are redacted, and their name, handle, password,
    /// sessions and settings go. Only an id is left. For services with the scope `provision`. It cannot be undone. If the
    /// answer is lost, say it again: what is done already stays done.
    async fn erase_user(&self, ctx: &Context<'_>, input: EraseUserInput) -> Result<EraseUserPayload> {
        Ok(services::erase_user(ctx, input).await?)
    }

    /// Says that a message could not be brought to a recipient by any way that the service has. The sender is told. For
    /// services with the scope `send`. To say the same again changes nothing, and neither does a report of a message that
    /// was delivered meanwhile.
    async fn report_undeliverable(
        &self,
        ctx: &Context<'_>,
        input: UndeliverableInput,
    ) -> Result<MessagePayload> {
        Ok(services::report_undeliverable(ctx, input).await?)
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
