//! The queries.

use async_graphql::connection::Connection;
use async_graphql::{Context, ID, Object, Result};
use futures_util::FutureExt;

use super::loaders::{AllUnread, load};
use super::page::{Opaque, PageArgs, connection};
use super::services::services_of;
use super::types::{Conversation, Cursor, Message, Node, Session, UnreadTotals, User, node};
use crate::error::Error;
use crate::graphql::budget::budget_of;
use crate::graphql::caller::{caller_of, viewer_of};
use crate::log::{BlockKey, ConversationRow, SessionKey};
use crate::messaging::{Handle, Place, Position};

/// Where counting unread messages stops, unless the client says otherwise: as far as people tell numbers apart.
const DEFAULT_UNREAD_CAP: i32 = 999;

/// The most at which a client can have it stop. What is counted is read.
const MAX_UNREAD_CAP: u32 = 9_999;

/// The head of the log, which herald reads before anything else of the response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Snapshot(pub(crate) Place);

/// What can be asked of every herald.
#[derive(Debug)]
pub(crate) struct Queries;

/// What can be asked of every herald.
#[Object]
impl Queries {
    /// The signed-in user; null when nobody is signed in.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        Ok(caller_of(ctx)?.viewer().ok().map(|session| User::by_id(session.user)))
    }

    /// A place in the event log that this whole response is sure to include. Ask for it beside a
    /// snapshot and hand it to a subscription's `after`: nothing falls between the two.
    async fn cursor(&self, ctx: &Context<'_>) -> Result<Cursor> {
        Ok(ctx.data_opt::<Snapshot>().map(|Snapshot(head)| Cursor::new(*head)).ok_or(Error::Internal)?)
    }

    /// The viewer's conversations, the one with the latest activity first.
    async fn conversations(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        before: Option<String>,
        first: Option<i32>,
        last: Option<i32>,
    ) -> Result<Connection<Opaque<Position>, Conversation>> {
        let services = services_of(ctx)?;
        let page = PageArgs { after, before, first, last }.page(&services.limits)?;
        let viewer_id = viewer_of(ctx)?.user;
        let read = || {
            let read = async {
                let found = services.database.conversations(viewer_id, &page).await?;
                let bytes = found.iter().map(ConversationRow::bytes).sum();
                Ok((found, bytes))
            };
            read.boxed()
        };
        // The rows are read whole, also where the document asks for nothing but ids.
        let found = budget_of(ctx)?.read(page.limit, read).await?;
        Ok(connection(ctx, &page, found.into_iter().map(|row| (row.latest, Conversation::from(row)))).await?)
    }

    /// Null when there is no such conversation or the viewer takes no part in it: the two look alike.
    async fn conversation(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Conversation>> {
        Ok(match node(ctx, &id).await? {
            Some(Node::Conversation(conversation)) => Some(conversation),
            _ => None,
        })
    }

    /// Null when there is no such message or the viewer may not see it: the two look alike.
    async fn message(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Message>> {
        Ok(match node(ctx, &id).await? {
            Some(Node::Message(message)) => Some(message),
            _ => None,
        })
    }

    /// How much the viewer has not read, over all conversations that they take part in. Either count stops at `cap`, which
    /// is at most 9,999. Looking past what the viewer sent themselves, counting ends after 100,000 messages.
    async fn unread(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Some(DEFAULT_UNREAD_CAP)")] cap: Option<i32>,
    ) -> Result<UnreadTotals> {
        let user = viewer_of(ctx)?.user;
        let cap = cap.unwrap_or(DEFAULT_UNREAD_CAP);
        let cap = u32::try_from(cap).ok().filter(|cap| (1..=MAX_UNREAD_CAP).contains(cap));
        let cap =
            cap.ok_or_else(|| Error::bad_input("cap", format!("must be from 1 to {MAX_UNREAD_CAP}")))?;
        let totals = load(&services_of(ctx)?.rows, AllUnread(user, cap)).await.map_err(Error::from)?;
        Ok(totals.unwrap_or_default().into())
    }

    /// The viewer's sessions, the newest first. Empty for a user whom another system signs in.
    async fn sessions(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        before: Option<String>,
        first: Option<i32>,
        last: Option<i32>,
    ) -> Result<Connection<Opaque<SessionKey>, Session>> {
        let services = services_of(ctx)?;
        let page = PageArgs { after, before, first, last }.page(&services.limits)?;
        let viewer = viewer_of(ctx)?.user;
        let now = services.database.now();
        let found = services.database.sessions_of(viewer, now, &page).await.map_err(Error::from)?;
        Ok(connection(ctx, &page, found.into_iter().map(|row| (row.key(), Session(row)))).await?)
    }

    /// Those whom the viewer blocks, in the order in which they were blocked.
    async fn blocked_users(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        before: Option<String>,
        first: Option<i32>,
        last: Option<i32>,
    ) -> Result<Connection<Opaque<BlockKey>, User>> {
        let services = services_of(ctx)?;
        let page = PageArgs { after, before, first, last }.page(&services.limits)?;
        let viewer = viewer_of(ctx)?.user;
        let found = services.database.blocked_by(viewer, &page).await.map_err(Error::from)?;
        Ok(connection(ctx, &page, found.into_iter().map(|key| (key, User::by_id(key.user)))).await?)
    }

    /// Finds a user to talk to by exact handle.
    async fn user(&self, ctx: &Context<'_>, handle: String) -> Result<Option<User>> {
        viewer_of(ctx)?;
        let Ok(handle) = Handle::parse(&handle) else { return Ok(None) };
        let mut found = services_of(ctx)?.database.users_by_handle([&handle]).await.map_err(Error::from)?;
        Ok(found.pop().map(|row| User::from(std::sync::Arc::new(row))))
    }

    /// Anything by its global id; null when there is no such thing or the viewer may not see it.
    async fn node(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Node>> {
        Ok(node(ctx, &id).await?)
    }

    /// Several things by their global ids, in the same order, null for each that cannot be seen.
    async fn nodes(&self, ctx: &Context<'_>, ids: Vec<ID>) -> Result<Vec<Option<Node>>> {
        let max_ids = services_of(ctx)?.limits.max_page_size;
        if ids.len() > max_ids {
            return Err(Error::bad_input("ids", format!("must have at most {max_ids} ids")).into());
        }
        let nodes = futures_util::future::try_join_all(ids.iter().map(|id| node(ctx, id))).await?;
        Ok(nodes)
    }
}
