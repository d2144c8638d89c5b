//! Anything with a global id.

use async_graphql::{Context, ID, Interface};

use super::{Conversation, Message, User};
use crate::error::Error;
use crate::graphql::caller::viewer;
use crate::graphql::loaders::PartsOf;
use crate::graphql::services::services;
use crate::messaging::{ConversationId, MessageId, Participation, UserId};

/// Anything with a global id.
#[derive(Debug, Clone, Interface)]
#[graphql(field(
    name = "id",
    ty = "ID",
    desc = "Globally unique. Its prefix tells the type: `usr_`, `cnv_`, `msg_`."
))]
pub(crate) enum Node {
    User(User),
    Conversation(Conversation),
    Message(Message),
}

/// What the id stands for, as far as the viewer may see it.
pub(crate) async fn node(ctx: &Context<'_>, id: &str) -> Result<Option<Node>, Error> {
    viewer(ctx)?;
    if let Ok(id) = id.parse::<UserId>() {
        let row = services(ctx)?.users.load_one(id).await?;
        return Ok(row.map(User::from).map(Node::User));
    }
    if let Ok(id) = id.parse::<ConversationId>() {
        return Ok(conversation(ctx, id).await?.map(Node::Conversation));
    }
    if let Ok(id) = id.parse::<MessageId>() {
        return Ok(message(ctx, id).await?.map(Node::Message));
    }
    Ok(None)
}

async fn conversation(ctx: &Context<'_>, id: ConversationId) -> Result<Option<Conversation>, Error> {
    let takes_part = parts(ctx, id).await?.iter().any(Participation::is_open);
    Ok(takes_part.then(|| Conversation::by_id(id)))
}

async fn message(ctx: &Context<'_>, id: MessageId) -> Result<Option<Message>, Error> {
    let Some(message) = services(ctx)?.rows.load_one(id).await? else { return Ok(None) };
    let parts = parts(ctx, message.conversation).await?;
    let takes_part = parts.iter().any(Participation::is_open);
    let is_seen = parts.iter().any(|part| part.interval.holds(message.position));
    Ok((takes_part && is_seen).then_some(Message(message)))
}

async fn parts(ctx: &Context<'_>, id: ConversationId) -> Result<Vec<Participation>, Error> {
    let parts = services(ctx)?.rows.load_one(PartsOf(viewer(ctx)?.user.id, id)).await?;
    Ok(parts.map(|parts| parts.to_vec()).unwrap_or_default())
}
