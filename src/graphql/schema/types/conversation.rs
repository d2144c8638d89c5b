//! Conversations.

use std::sync::Arc;

use async_graphql::connection::Connection;
use async_graphql::{Context, ID, Object, Result};
use futures_util::FutureExt;

use super::{ConversationRole, DateTime, Json, Message, OwnParticipation, Participant};
use crate::error::Error;
use crate::graphql::budget::budget_of;
use crate::graphql::caller::{sight_of, viewer_of};
use crate::graphql::schema::loaders::{
    DescribedAfter, FirstUnread, LatestPart, MessagesPage, OwnOf, ParticipantsPage, UnreadOf, load,
};
use crate::graphql::schema::page::{Opaque, PageArgs, connection};
use crate::graphql::schema::services::services_of;
use crate::log::{ConversationRow, Described, Direction, Page, ParticipantKey, missing};
use crate::messaging::{self, Change, ConversationId, Position, Role, Updated};

/// A conversation of two or of many.
#[derive(Debug, Clone)]
pub(crate) struct Conversation {
    id: ConversationId,
    known: Option<Arc<ConversationRow>>,
    /// The position at which the viewer left; `None` while they take part. They see nothing from after it.
    as_of: Option<Position>,
}

impl Conversation {
    /// The conversation with this id. The rest is loaded when a resolver needs it.
    pub(crate) fn by_id(id: ConversationId) -> Self {
        Self::as_of(id, None)
    }

    /// The conversation as it was at a position, for a viewer who left there. `None` shows it as it is now.
    pub(crate) fn as_of(id: ConversationId, as_of: Option<Position>) -> Self {
        Self { id, known: None, as_of }
    }

    /// The newest message that the viewer may see.
    pub(crate) async fn newest_message(&self, ctx: &Context<'_>) -> Result<Option<Message>, Error> {
        let newest = Page { after: None, before: None, limit: 1, direction: Direction::Last };
        let key = MessagesPage { conversation: self.id, viewer: sight_of(ctx)?, page: newest };
        let newest = load_messages(ctx, key).await?.pop();
        Ok(newest.map(|message| Message::as_of(message, self.as_of)))
    }

    /// The first event of a kind after the viewer left; `None` while they take part.
    async fn next_described(
        &self,
        ctx: &Context<'_>,
        kind: Described,
    ) -> Result<Option<Arc<messaging::Event>>, Error> {
        let Some(as_of) = self.as_of else { return Ok(None) };
        Ok(load(&services_of(ctx)?.rows, DescribedAfter(self.id, as_of, kind)).await?)
    }

    async fn load_row(&self, ctx: &Context<'_>) -> Result<Arc<ConversationRow>, Error> {
        match &self.known {
            Some(row) => Ok(Arc::clone(row)),
            None => {
                let (rows, id) = (&services_of(ctx)?.rows, self.id);
                let read = || {
                    let read = async move {
                        let row = load(rows, id).await?;
                        let bytes = row.as_ref().map_or(0, |row| row.bytes());
                        Ok((row, bytes))
                    };
                    read.boxed()
                };
                let row = budget_of(ctx)?.read(1, read).await?;
                Ok(row.ok_or_else(|| missing("conversations", id.0))?)
            }
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

    /// Its title, if any. For a viewer who has left, the title that it had then.
    async fn title(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        // The row must be read first. Every change of the title that it shows is then in the log, and is found below.
        let row = self.load_row(ctx).await?;
        let (renamed, updated) = futures_util::future::try_join(
            self.next_described(ctx, Described::Renamed),
            self.next_described(ctx, Described::Updated),
        )
        .await?;
        // The first change tells what was so before it.
        let next = [renamed, updated].into_iter().flatten().min_by_key(|event| event.position);
        let title = match next.map(|event| event.change.clone()) {
            Some(Change::Renamed(renamed)) => renamed.former,
            Some(Change::Updated(updated)) => updated.former.title,
            _ => row.title.clone(),
        };
        let title = title.as_ref().map(ToString::to_string);
        budget_of(ctx)?.pay(title.as_ref().map_or(0, String::len)).await;
        Ok(title)
    }

    /// What its owners keep with it. For a viewer who has left, what they kept then.
    async fn metadata(&self, ctx: &Context<'_>) -> Result<Option<Json>> {
        // The row must be read first, as for the title.
        let row = self.load_row(ctx).await?;
        let next = self.next_described(ctx, Described::Updated).await?;
        let updated = next.and_then(|event| Updated::of(event.change.clone()));
        let metadata = updated.map_or_else(|| row.metadata.clone(), |updated| updated.former.metadata);
        Ok(Json::show(ctx, metadata.as_ref()).await?)
    }

    /// When it was started.
    async fn created_at(&self, ctx: &Context<'_>) -> Result<DateTime> {
        Ok(DateTime(self.load_row(ctx).await?.created_at))
    }

    /// What the viewer may do in it. For a viewer who has left, what they could do then.
    async fn my_role(&self, ctx: &Context<'_>) -> Result<ConversationRole> {
        let key = LatestPart(viewer_of(ctx)?.user, self.id);
        let part = load(&services_of(ctx)?.rows, key).await.map_err(Error::from)?;
        Ok(part.map_or(Role::Member, |part| part.role(self.as_of)).into())
    }

    /// Those who take part now, in the order in which they joined. For a viewer who has left, those who took part
    /// then, with the marks that they had then.
    async fn participants(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        before: Option<String>,
        first: Option<i32>,
        last: Option<i32>,
    ) -> Result<Connection<Opaque<ParticipantKey>, Participant>> {
        let services = services_of(ctx)?;
        let page = PageArgs { after, before, first, last }.page(&services.limits)?;
        let key = ParticipantsPage(self.id, self.as_of, page.clone());
        let participations = load(&services.rows, key).await.map_err(Error::from)?.unwrap_or_default();
        let participants = participations.into_iter().map(|row| {
            let part = &row.participation;
            let key = ParticipantKey { joined: part.interval.joined, user: part.user };
            (key, Participant::as_of(row, self.as_of))
        });
        Ok(connection(ctx, &page, participants).await?)
    }

    /// The messages in the order in which they were sent. `last: 50` is the newest page.
    async fn messages(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        before: Option<String>,
        first: Option<i32>,
        last: Option<i32>,
    ) -> Result<Connection<Opaque<Position>, Message>> {
        let services = services_of(ctx)?;
        let page = PageArgs { after, before, first, last }.page(&services.limits)?;
        let key = MessagesPage { conversation: self.id, viewer: sight_of(ctx)?, page: page.clone() };
        let messages = load_messages(ctx, key).await?;
        let messages =
            messages.into_iter().map(|message| (message.position, Message::as_of(message, self.as_of)));
        Ok(connection(ctx, &page, messages).await?)
    }

    /// The newest message that the viewer may see.
    async fn last_message(&self, ctx: &Context<'_>) -> Result<Option<Message>> {
        Ok(self.newest_message(ctx).await?)
    }

    /// The oldest message from others that the viewer has not marked as read. herald looks past 10,000 messages of the
    /// viewer's own at most.
    async fn first_unread(&self, ctx: &Context<'_>) -> Result<Option<Message>> {
        let key = FirstUnread(viewer_of(ctx)?.user, self.id);
        let rows = &services_of(ctx)?.rows;
        let read = || {
            let read = async move {
                let first = load(rows, key).await?;
                let bytes = first.as_ref().map_or(0, |message| message.bytes());
                Ok((first, bytes))
            };
            read.boxed()
        };
        let first = budget_of(ctx)?.read(1, read).await?;
        Ok(first.map(|message| Message::as_of(message, self.as_of)))
    }

    /// What the viewer keeps for themselves: told to nobody else.
    async fn own(&self, ctx: &Context<'_>) -> Result<OwnParticipation> {
        let key = OwnOf(viewer_of(ctx)?.user, self.id);
        let rows = &services_of(ctx)?.rows;
        let read = || {
            let read = async move {
                let own = load(rows, key).await?.unwrap_or_default();
                let bytes = own.metadata.as_ref().map_or(0, |metadata| metadata.as_str().len());
                Ok((own, bytes))
            };
            read.boxed()
        };
        Ok(OwnParticipation(budget_of(ctx)?.read(1, read).await?))
    }

    /// Messages from others that the viewer has not marked as read. Counting ends after 10,000 messages of each time that
    /// the viewer took part, those of their own among them.
    async fn unread_count(&self, ctx: &Context<'_>) -> Result<i32> {
        let key = UnreadOf(viewer_of(ctx)?.user, self.id);
        let unread = load(&services_of(ctx)?.rows, key).await.map_err(Error::from)?.unwrap_or(0);
        Ok(i32::try_from(unread).unwrap_or(i32::MAX))
    }
}

/// Loads the messages of a page, and pays for them from the budget.
async fn load_messages(ctx: &Context<'_>, page: MessagesPage) -> Result<Vec<Arc<messaging::Message>>, Error> {
    let rows = &services_of(ctx)?.rows;
    let limit = page.page.limit;
    let read = || {
        let page = page.clone();
        let read = async move {
            let messages = load(rows, page).await?.unwrap_or_default();
            let bytes = messages.iter().map(|message| message.bytes()).sum();
            Ok((messages, bytes))
        };
        read.boxed()
    };
    budget_of(ctx)?.read(limit, read).await
}
