//! How much a viewer has not read.

use async_graphql::SimpleObject;

use crate::log;

/// How much the viewer has not read, over all conversations that they take part in.
#[derive(SimpleObject)]
pub(crate) struct UnreadTotals {
    /// Messages from others that the viewer has not marked as read.
    messages: i32,
    /// Conversations with such messages.
    conversations: i32,
}

impl From<log::UnreadTotals> for UnreadTotals {
    fn from(totals: log::UnreadTotals) -> Self {
        let int = |n| i32::try_from(n).unwrap_or(i32::MAX);
        Self { messages: int(totals.messages), conversations: int(totals.conversations) }
    }
}
