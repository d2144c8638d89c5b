//! Every question that is asked of the log. All are batched: a caller with many keys asks once.

mod conversations;
mod events;
mod messages;
mod receipts;

pub use conversations::ParticipantKey;
pub use events::{ConversationFilter, Membership, SubscriptionFilter};
pub use messages::Received;
pub use receipts::{MarkTime, Receipt};

/// Which way a page is taken from its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the beginning.
    First,
    /// From the end.
    Last,
}

/// A stretch of a list whose elements have keys of type `K`, both ends excluded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Page<K> {
    /// Only what comes after this key in the list.
    pub after: Option<K>,
    /// Only what comes before this key in the list.
    pub before: Option<K>,
    /// How many at most.
    pub limit: usize,
    /// From which end.
    pub direction: Direction,
}
