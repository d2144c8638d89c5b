//! Messages.

use std::sync::Arc;

use async_graphql::connection::Connection;
use async_graphql::{Context, ID, Object, Result};

use super::{Conversation, DateTime, DeliveryStatus, Receipt, User};
use crate::error::Error;
use crate::graphql::budget::budget;
use crate::graphql::loaders::{CountsAt, ReceiptsPage};
use crate::graphql::page::{Opaque, PageArgs, connection};
use crate::graphql::services::services;
use crate::log::ParticipantKey;
use crate::messaging::{self, Counts};

/// A message and how far it has come.
#[derive(Debug, Clone)]
pub(crate) struct Message(pub(crate) Arc<messaging::Message>);

impl Message {
    async fn counts(&self, ctx: &Context<'_>) -> Result<Counts, Error> {
        let counts = services(ctx)?.rows.load_one(CountsAt(self.0.position)).await?;
        Ok(counts.unwrap_or_default())
    }
}

fn int(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// A message and how far it has come.
#[Object]
impl Message {
    /// Globally unique; begins with `msg_`.
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Where it was said.
    async fn conversation(&self) -> Conversation {
        Conversation::by_id(self.0.conversation)
    }

    /// Who said it.
    async fn sender(&self) -> User {
        User::by_id(self.0.sender)
    }

    /// What was said.
    async fn body(&self, ctx: &Context<'_>) -> Result<&str> {
        let body = self.0.body.as_str();
        budget(ctx)?.pay(body.len()).await;
        Ok(body)
    }

    /// When it was stored.
    async fn sent_at(&self) -> DateTime {
        DateTime(self.0.sent_at)
    }

    /// The status that all recipients have reached: in a group, the least advanced of them decides.
    async fn status(&self, ctx: &Context<'_>) -> Result<DeliveryStatus> {
        Ok(self.counts(ctx).await?.status().into())
    }

    /// How many were in the conversation, the sender aside, when the message was sent. Later joins and leaves
    /// don't move it.
    async fn recipient_count(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(int(self.counts(ctx).await?.recipients))
    }

    /// How many of them have received it.
    async fn delivered_count(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(int(self.counts(ctx).await?.delivered))
    }

    /// How many of them have read it.
    async fn read_count(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(int(self.counts(ctx).await?.read))
    }

    /// One row per recipient.
    async fn receipts(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        before: Option<String>,
        first: Option<i32>,
        last: Option<i32>,
    ) -> Result<Connection<Opaque<ParticipantKey>, Receipt>> {
        let services = services(ctx)?;
        let page = PageArgs { after, before, first, last }.page(&services.limits)?;
        let key = ReceiptsPage(Arc::clone(&self.0), page.clone());
        let receipts = services.rows.load_one(key).await.map_err(Error::from)?.unwrap_or_default();
        Ok(connection(ctx, &page, receipts.into_iter().map(|receipt| (receipt.key, Receipt(receipt))))
            .await?)
    }
}
