//! Reads the log for queries and replays. A caller with many keys passes them all to one call.

mod conversations;
mod events;
mod filter;
mod journey;
mod messages;
mod receipts;
mod reports;
mod unread;

pub use conversations::{ConversationRow, Described, ParticipantKey, Participating};
pub use events::Membership;
pub use filter::{ConversationFilter, SubscriptionFilter, Viewer};
pub use journey::Journey;
pub use messages::Received;
pub(super) use receipts::told;
pub use receipts::{MarkTime, Receipt, ReceiptsPage, Whose};
pub use reports::{ReportKey, Reported};
pub(super) use reports::{ReportRow, newest_report};
pub use unread::UnreadTotals;

/// Which way a page is taken from its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the beginning.
    First,
    /// From the end.
    Last,
}

/// A part of a list whose elements have keys of type `K`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Page<K> {
    /// Only what comes after this key in the list.
    pub after: Option<K>,
    /// Only what comes before this key in the list.
    pub before: Option<K>,
    /// The most elements of the page.
    pub limit: usize,
    /// The end of the part from which the page is taken.
    pub direction: Direction,
}
