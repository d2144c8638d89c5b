//! The enum for how far a message has come.

use async_graphql::Enum;

use crate::messaging::{Mark, Status};

/// Where a message stands on its way. It only ever moves forward.
#[derive(Debug, Enum, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeliveryStatus {
    /// Stored by the server: it will not be lost.
    Sent,
    /// Every recipient has received it.
    Delivered,
    /// Every recipient has read it.
    Read,
}

impl From<Status> for DeliveryStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Sent => Self::Sent,
            Status::Delivered => Self::Delivered,
            Status::Read => Self::Read,
        }
    }
}

impl From<Mark> for DeliveryStatus {
    fn from(mark: Mark) -> Self {
        match mark {
            Mark::Delivered => Self::Delivered,
            Mark::Read => Self::Read,
        }
    }
}
