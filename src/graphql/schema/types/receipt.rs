//! Receipts: how far a message has come with one recipient, and since when.

use async_graphql::Object;

use super::{DateTime, DeliveryStatus, User};
use crate::log;

/// How far a message has come with one recipient.
#[derive(Debug, Clone)]
pub(crate) struct Receipt(pub(crate) log::Receipt);

/// How far a message has come with one recipient.
#[Object]
impl Receipt {
    /// Whose receipt it is.
    async fn recipient(&self) -> User {
        User::by_id(self.0.key.user)
    }

    /// How far it has come with them.
    async fn status(&self) -> DeliveryStatus {
        match (self.0.delivered_at, self.0.read_at) {
            (_, Some(_)) => DeliveryStatus::Read,
            (Some(_), None) => DeliveryStatus::Delivered,
            (None, None) => DeliveryStatus::Sent,
        }
    }

    /// When they received it.
    async fn delivered_at(&self) -> Option<DateTime> {
        self.0.delivered_at.map(DateTime)
    }

    /// When they read it.
    async fn read_at(&self) -> Option<DateTime> {
        self.0.read_at.map(DateTime)
    }
}
