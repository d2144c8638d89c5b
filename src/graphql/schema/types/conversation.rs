//! Conversations.

use std::sync::Arc;

use async_graphql::connection::Connection;
use async_graphql::{Context, ID, Object, Result};
use futures_util::FutureExt;

use super::{DateTime, Message, Participant};
use crate::error::Error;
use crate::graphql::budget::budget;
use crate::graphql::caller::viewer;
use crate::graphql::schema::loaders::{MessagesPage, ParticipantsPage, RenamedAfter, UnreadOf, load};
use crate::graphql::schema::page::{Opaque, PageArgs, connection};
use crate::graphql::schema::services::services;
use crate::log::{ConversationRow, Direction, Page, ParticipantKey};
use crate::messaging::{self, ConversationId, Position};

/// A conversation of two or of many.
#[derive(Debug, Clone)]
pub(crate) struct Conversation {
    id: ConversationId,
    known: Option<Arc<ConversationRow>>,
    /// Where the viewer left, if they take no part now: what came after is none of their business.
    as_of: Option<Position>,
}

impl Conversation {
    /// The conversation with this id; the rest is looked up when it is asked for.
    pub(crate) fn by_id(id: ConversationId) -> Self {
        Self::as_of(id, None)
    }

    /// The same as it was at a position, for somebody who left there.
    pub(crate) fn as_of(id: ConversationId, as_of: Option<Position>) -> Self {
        Self { id, known: None, as_of }
    }

    async fn row(&self, ctx: &Context<'_>) -> Result<Arc<ConversationRow>, Error> {
        match &self.known {
            Some(row) => Ok(Arc::clone(row)),
            None => load(&services(ctx)?.rows, self.id).await?.ok_or(Error::NotFound("conversation")),
        }
    }
}

impl From<ConversationRow> for Conversation {
    fn from(row: ConversationRow) -> Self {
        Self { id: row.id, known: Some(Arc::new(row)), as_of: None }
    }
}

/// A conversation of two or of many.
#[Object]
impl Conversation {
    /// Globally unique; begins with `cnv_`.
    pub(crate) async fn id(&self) -> ID {
        self.id.into()
    }

    /// What it is called, if anything. To somebody who has left: what it was called then.
    async fn title(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        // The row comes first. Every change of the title that the row shows is in the log by then, and is found below.
        let row = self.row(ctx).await?;
        let renamed = match self.as_of {
            Some(as_of) => {
                load(&services(ctx)?.rows, RenamedAfter(self.id, as_of)).await.map_err(Error::from)?
            }
            None => None,
        };
        let title = renamed.map_or_else(|| row.title.clone(), |renamed| renamed.former);
        let title = title.as_ref().map(ToString::to_string);
        budget(ctx)?.pay(title.as_ref().map_or(0, String::len)).await;
        Ok(title)
    }

    /// When it was started.
    async fn created_at(&self, ctx: &Context<'_>) -> Result<DateTime> {
        Ok(DateTime(self.row(ctx).await?.created_at))
    }

    /// Those who take part now, in the order in which they joined. To somebody who has left: those who took part
    /// then, with their marks of then.
    async fn participants(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        before: Option<String>,
        first: Option<i32>,
        last: Option<i32>,
    ) -> Result<Connection<Opaque<ParticipantKey>, Participant>> {
        let services = services(ctx)?;
        let page = PageArgs { after, before, first, last }.page(&services.limits)?;
        let key = ParticipantsPage(self.id, self.as_of, page.clone());
        let parts = load(&services.rows, key).await.map_err(Error::from)?.unwrap_or_default();
        let parts = parts.into_iter().map(|part| {
            let key = ParticipantKey { joined: part.interval.joined, user: part.user };
            (key, Participant::as_of(part, self.as_of))
        });
        Ok(connection(ctx, &page, parts).await?)
    }

    /// In the order in which they were sent; `last: 50` is the newest page.
    async fn messages(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        before: Option<String>,
        first: Option<i32>,
        last: Option<i32>,
    ) -> Result<Connection<Opaque<Position>, Message>> {
        let services = services(ctx)?;
        let page = PageArgs { after, before, first, last }.page(&services.limits)?;
        let key = MessagesPage { conversation: self.id, viewer: viewer(ctx)?.user.id, page: page.clone() };
        let messages = load_messages(ctx, key).await?;
        let messages =
            messages.into_iter().map(|message| (message.position, Message::as_of(message, self.as_of)));
        Ok(connection(ctx, &page, messages).await?)
    }

    /// The newest message that the viewer may see.
    async fn last_message(&self, ctx: &Context<'_>) -> Result<Option<Message>> {
        let newest = Page { after: None, before: None, limit: 1, direction: Direction::Last };
        let key = MessagesPage { conversation: self.id, viewer: viewer(ctx)?.user.id, page: newest };
        let newest = load_messages(ctx, key).await?.pop();
        Ok(newest.map(|message| Message::as_of(message, self.as_of)))
    }

    /// Messages from others that the viewer has not marked as read.
    async fn unread_count(&self, ctx: &Context<'_>) -> Result<i32> {
        let key = UnreadOf(viewer(ctx)?.user.id, self.id);
        let unread = load(&services(ctx)?.rows, key).await.map_err(Error::from)?.unwrap_or(0);
        Ok(i32::try_from(unread).unwrap_or(i32::MAX))
    }
}

/// Messages of a page, which are paid for as they are read.
async fn load_messages(ctx: &Context<'_>, page: MessagesPage) -> Result<Vec<Arc<messaging::Message>>, Error> {
    let rows = &services(ctx)?.rows;
    let most = page.page.limit;
    let read = || {
        let page = page.clone();
        let read = async move {
            let messages = load(rows, page).await?.unwrap_or_default();
            let bytes = messages.iter().map(|message| message.body.as_str().len()).sum();
            Ok((messages, bytes))
        };
        read.boxed()
    };
    budget(ctx)?.read(most, read).await
}
