//! Anything with a global id.

use async_graphql::{Context, ID, Interface};

use super::{Conversation, Message, User};
use crate::error::Error;
use crate::graphql::caller::viewer_of;
use crate::graphql::schema::loaders::{MessageFor, TakesPart, load};
use crate::graphql::schema::services::services_of;
use crate::messaging::{ConversationId, MessageId, UserId};

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

/// The thing with this id; `None` when there is none or the viewer may not see it.
pub(crate) async fn node(ctx: &Context<'_>, id: &str) -> Result<Option<Node>, Error> {
    viewer_of(ctx)?;
    if let Ok(id) = id.parse::<UserId>() {
        let row = services_of(ctx)?.user(id).await?;
        return Ok(row.map(User::from).map(Node::User));
    }
    if let Ok(id) = id.parse::<ConversationId>() {
        return Ok(visible_conversation(ctx, id).await?.map(Node::Conversation));
    }
    if let Ok(id) = id.parse::<MessageId>() {
        return Ok(visible_message(ctx, id).await?.map(Node::Message));
    }
    Ok(None)
}

/// The conversation with this id; `None` when there is none or the viewer takes no part in it.
pub(crate) async fn visible_conversation(
    ctx: &Context<'_>,
    id: ConversationId,
) -> Result<Option<Conversation>, Error> {
    let key = TakesPart(viewer_of(ctx)?.user, id);
    let takes_part = load(&services_of(ctx)?.rows, key).await?.unwrap_or(false);
    Ok(takes_part.then(|| Conversation::by_id(id)))
}

/// The message with this id; `None` when there is none or the viewer may not see it.
pub(crate) async fn visible_message(ctx: &Context<'_>, id: MessageId) -> Result<Option<Message>, Error> {
    let key = MessageFor(viewer_of(ctx)?.user, id);
    Ok(load(&services_of(ctx)?.rows, key).await?.map(Message::now))
}
