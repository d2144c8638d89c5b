//! What people do with messages: they send, redact and mark them.

use async_graphql::Context;

use super::{conversation_id, cursor, limit, parse_key, services};
use crate::error::Error;
use crate::graphql::caller::caller_of;
use crate::graphql::schema::input::{MarkInput, RedactMessageInput, SendMessageInput};
use crate::graphql::schema::payload::{MarkPayload, MessagePayload, SendMessagePayload};
use crate::graphql::schema::services::services_of;
use crate::graphql::schema::types::{Json, Message};
use crate::log::Committed;
use crate::messaging::{Action, Body, Mark, MarkThrough, MessageId, Redact, Send, UpTo};
use crate::random;
use crate::rates::Rates;

pub(super) async fn send(ctx: &Context<'_>, input: SendMessageInput) -> Result<SendMessagePayload, Error> {
    let services = services_of(ctx)?;
    limit(ctx, Rates::send)?;
    let action = Action::Send(Send {
        conversation: conversation_id(&input.conversation_id)?,
        message: MessageId(random::id()),
        body: Body::parse(&input.body, services.limits.max_message_chars).map_err(Error::invalid("body"))?,
        metadata: Json::metadata(input.metadata)?,
        key: parse_key(input.idempotency_key.as_deref())?,
    });
    let sent = services.submit(ctx, action).await?;
    Ok(SendMessagePayload { cursor: cursor(&sent), message: message(sent)? })
}

pub(super) async fn redact(ctx: &Context<'_>, input: RedactMessageInput) -> Result<MessagePayload, Error> {
    let id: MessageId = input.message_id.parse().map_err(|_| Error::NotFound("message"))?;
    if caller_of(ctx)?.is_service_alone() {
        return services::redact_message(ctx, id).await;
    }
    limit(ctx, Rates::send)?;
    let redacted = services_of(ctx)?.submit(ctx, Action::Redact(Redact { message: id })).await?;
    Ok(MessagePayload { cursor: cursor(&redacted), message: message(redacted)? })
}

pub(super) async fn mark(ctx: &Context<'_>, input: &MarkInput, mark: Mark) -> Result<MarkPayload, Error> {
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
