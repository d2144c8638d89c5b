//! Messages.

use std::sync::Arc;

use async_graphql::connection::Connection;
use async_graphql::{Context, ID, Object, Result};

use super::own_participation::owed;
use super::{Conversation, DateTime, DeliveryStatus, Json, Receipt, User};
use crate::error::Error;
use crate::graphql::budget::budget_of;
use crate::graphql::caller::may_read;
use crate::graphql::schema::loaders::{CountsAt, load};
use crate::graphql::schema::page::{Opaque, PageArgs, connection};
use crate::graphql::schema::services::services_of;
use crate::log::{self, ParticipantKey, ReceiptsPage, Whose};
use crate::messaging::{self, Counts, Mark, Position, Sharing};

/// A message and how far it has come.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    row: Arc<messaging::Message>,
    /// The position at which the viewer left the conversation; `None` while they take part.
    as_of: Option<Position>,
}

impl Message {
    /// A message as it is now, for a viewer who takes part in its conversation.
    pub(crate) fn now(row: Arc<messaging::Message>) -> Self {
        Self { row, as_of: None }
    }

    /// A message as it was at a position, for a viewer who left there. `None` shows it as it is now.
    pub(crate) fn as_of(row: Arc<messaging::Message>, as_of: Option<Position>) -> Self {
        Self { row, as_of }
    }

    async fn counts(&self, ctx: &Context<'_>) -> Result<Counts, Error> {
        let counts = load(&services_of(ctx)?.rows, CountsAt(self.row.position, self.as_of)).await?;
        Ok(counts.unwrap_or_default().shown_to_who_shares(owed(ctx, self.row.conversation).await?))
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
        self.row.id.into()
    }

    /// The conversation that it was sent to.
    async fn conversation(&self) -> Conversation {
        Conversation::as_of(self.row.conversation, self.as_of)
    }

    /// Who sent it.
    async fn sender(&self) -> User {
        User::by_id(self.row.sender)
    }

    /// Its text. Empty once it was redacted.
    async fn body(&self, ctx: &Context<'_>) -> Result<&str> {
        may_read(ctx, self.row.sender)?;
        let body = self.row.body.as_str();
        budget_of(ctx)?.pay(body.len()).await;
        Ok(body)
    }

    /// What the sender's client keeps with it. Null once it was redacted.
    async fn metadata(&self, ctx: &Context<'_>) -> Result<Option<Json>> {
        may_read(ctx, self.row.sender)?;
        Ok(Json::show(ctx, self.row.metadata.as_ref()).await?)
    }

    /// When it was redacted, for everyone, also for those who had left before. Null unless it was; then `body` is empty
    /// and `metadata` null.
    async fn redacted_at(&self) -> Option<DateTime> {
        self.row.redacted_at.map(DateTime)
    }

    /// Its place in `conversation.messages`, for `after` and `before`.
    async fn cursor(&self) -> String {
        Opaque::of(self.row.position)
    }

    /// When it was stored. This is later than the time of every message before it, whatever the clocks do.
    async fn sent_at(&self) -> DateTime {
        DateTime(self.row.sent_at)
    }

    /// The status that all recipients have reached who tell: in a group, the least advanced of them decides, and where
    /// nobody tells it is SENT. For a viewer who has left the conversation, this and the counts and receipts are as they
    /// were then, with those who tell now.
    async fn status(&self, ctx: &Context<'_>) -> Result<DeliveryStatus> {
        Ok(self.counts(ctx).await?.status().into())
    }

    /// How many people were in the conversation when the message was sent, without the sender. Later joins and leaves
    /// do not change it.
    async fn recipient_count(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(int(self.counts(ctx).await?.recipients))
    }

    /// Of `recipientCount`, those who tell the sender what they received and read. `status` and the counts are over
    /// these.
    async fn sharing_count(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(int(self.counts(ctx).await?.sharing))
    }

    /// How many of those who tell have received it.
    async fn delivered_count(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(int(self.counts(ctx).await?.delivered))
    }

    /// How many of those who tell have read it.
    async fn read_count(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(int(self.counts(ctx).await?.read))
    }

    /// How far it has come with each recipient. With `notYet`, only with those who share it (`isShared`) and whose
    /// `status` is below that one, as the viewer sees them: those who are not known to have received it, or to have read
    /// it. To keep something to oneself is not the same as not yet. So whoever does not share what they receive is not
    /// among them. Whoever shares that, but not what they read, stays among those who have not read it. Nobody is
    /// below SENT.
    async fn receipts(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        before: Option<String>,
        first: Option<i32>,
        last: Option<i32>,
        not_yet: Option<DeliveryStatus>,
    ) -> Result<Connection<Opaque<ParticipantKey>, Receipt>> {
        let services = services_of(ctx)?;
        let page = PageArgs { after, before, first, last }.page(&services.limits)?;
        let owed = owed(ctx, self.row.conversation).await?;
        let receipts = match whose(not_yet, owed) {
            Some(whose) => {
                let key = ReceiptsPage::of(&self.row, self.as_of, whose, page.clone());
                load(&services.rows, key).await.map_err(Error::from)?.unwrap_or_default()
            }
            None => Vec::new(),
        };
        let shown = |receipt: log::Receipt| {
            let receipt = receipt.shown_to_who_shares(owed);
            (receipt.key, Receipt::new(receipt, &self.row, self.as_of))
        };
        Ok(connection(ctx, &page, receipts.into_iter().map(shown)).await?)
    }
}

/// Whose receipts are not yet at a status, for a viewer to whom only such marks are shown as they share of their own.
/// `None` stands for nobody's.
fn whose(not_yet: Option<DeliveryStatus>, own: Sharing) -> Option<Whose> {
    let mark = match not_yet {
        None => return Some(Whose::Everybody),
        Some(DeliveryStatus::Sent) => return None,
        Some(DeliveryStatus::Delivered) => Mark::Delivered,
        Some(DeliveryStatus::Read) => Mark::Read,
    };
    match (own.tells(Mark::Delivered), own.tells(mark)) {
        (_, true) => Some(Whose::NotYet(mark)),
        // Nobody seems to have read it.
        (true, false) => Some(Whose::Sharing),
        // Nobody seems to share.
        (false, false) => None,
    }
}
