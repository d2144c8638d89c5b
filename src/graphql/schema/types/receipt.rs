//! Receipts: how far a message has come with one recipient, and since when.

use async_graphql::{Context, Object, Result};

use super::{DateTime, DeliveryStatus, User};
use crate::error::Error;
use crate::graphql::budget::budget_of;
use crate::graphql::schema::loaders::load;
use crate::graphql::schema::services::services_of;
use crate::log::{self, ReportKey, Reported};
use crate::messaging::{Message, Position};

/// How far a message has come with one recipient.
#[derive(Debug, Clone)]
pub(crate) struct Receipt {
    row: log::Receipt,
    report: ReportKey,
}

impl Receipt {
    /// A receipt of a message that was read as of a position. `None` stands for now.
    pub(crate) fn new(row: log::Receipt, message: &Message, as_of: Option<Position>) -> Self {
        let (conversation, recipient) = (message.conversation, row.key.user);
        Self { row, report: ReportKey { conversation, recipient, message: message.position, as_of } }
    }
}

/// How far a message has come with one recipient.
#[Object]
impl Receipt {
    /// Whose receipt it is.
    async fn recipient(&self) -> User {
        User::by_id(self.row.key.user)
    }

    /// Whether they tell others that they receive it. False when they do not: `status` is then SENT for ever, and the
    /// times are null. That is not the same as not yet. It is the same for everybody who looks, also for them.
    async fn is_shared(&self) -> bool {
        self.row.is_shared
    }

    /// How far it has come with them, as far as they tell.
    async fn status(&self) -> DeliveryStatus {
        match (self.row.delivered_at, self.row.read_at) {
            (_, Some(_)) => DeliveryStatus::Read,
            (Some(_), None) => DeliveryStatus::Delivered,
            (None, None) => DeliveryStatus::Sent,
        }
    }

    /// When they received it.
    async fn delivered_at(&self) -> Option<DateTime> {
        self.row.delivered_at.map(DateTime)
    }

    /// When they read it.
    async fn read_at(&self) -> Option<DateTime> {
        self.row.read_at.map(DateTime)
    }

    /// That a service could not bring it to them, with the reason that it gave last. Null when it was delivered after
    /// all.
    async fn undeliverable(&self, ctx: &Context<'_>) -> Result<Option<Undeliverable>> {
        if self.row.is_delivered {
            return Ok(None);
        }
        Ok(load(&services_of(ctx)?.rows, self.report).await.map_err(Error::from)?.map(Undeliverable))
    }
}

/// That a service could not bring a message to a recipient.
#[derive(Debug, Clone)]
pub(crate) struct Undeliverable(Reported);

/// That a service could not bring a message to a recipient.
#[Object]
impl Undeliverable {
    /// When the service said so.
    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// Why, in the words of the service.
    async fn reason(&self, ctx: &Context<'_>) -> Result<&str> {
        let reason = self.0.reason.as_str();
        budget_of(ctx)?.pay(reason.len()).await;
        Ok(reason)
    }
}
