//! Loaders of messages, and of how far they have come.

use std::sync::Arc;

use async_graphql::dataloader::{DataLoader, Loader};

use super::{Found, Rows, load, pair, present};
use crate::log::{Page, Receipt, ReceiptsPage, Received, ReportKey, Reported, Unavailable, Viewer, missing};
use crate::messaging::{ConversationId, Counts, Message, MessageId, Position, UserId};

/// The key of a message that a viewer may see, in a conversation that they take part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MessageFor(pub(crate) UserId, pub(crate) MessageId);

impl Loader<MessageFor> for Rows {
    type Value = Result<Arc<Message>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[MessageFor]) -> Found<MessageFor, Arc<Message>> {
        let wanted: Vec<_> = keys.iter().map(|key| (key.0, key.1)).collect();
        Ok(present(keys, self.0.messages_by_id(&wanted).await))
    }
}

/// The key of the message at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct MessageAt(Position);

/// Loads the message at a position of which an event tells that there is one.
///
/// # Errors
/// The message cannot be read, or is missing.
pub(crate) async fn message_at(
    loader: &DataLoader<Rows>,
    position: Position,
) -> Result<Arc<Message>, Unavailable> {
    load(loader, MessageAt(position)).await?.ok_or_else(|| missing("messages", position.0))
}

impl Loader<MessageAt> for Rows {
    type Value = Result<Arc<Message>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[MessageAt]) -> Found<MessageAt, Arc<Message>> {
        let wanted: Vec<_> = keys.iter().map(|key| key.0).collect();
        Ok(present(keys, self.0.messages_at(&wanted).await))
    }
}

/// The key of the message at a position, if the viewer took part when it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SeenAt(pub(crate) UserId, pub(crate) Position);

impl Loader<SeenAt> for Rows {
    type Value = Result<Arc<Message>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[SeenAt]) -> Found<SeenAt, Arc<Message>> {
        let wanted: Vec<_> = keys.iter().map(|key| (key.0, key.1)).collect();
        Ok(present(keys, self.0.messages_seen_at(&wanted).await))
    }
}

/// Loads the newest of the messages that a recipient received.
impl Loader<Received> for Rows {
    type Value = Result<Arc<Message>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[Received]) -> Found<Received, Arc<Message>> {
        Ok(present(keys, self.0.newest_received(keys).await))
    }
}

/// The key of the oldest message that a viewer has not read in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FirstUnread(pub(crate) UserId, pub(crate) ConversationId);

impl Loader<FirstUnread> for Rows {
    type Value = Result<Arc<Message>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[FirstUnread]) -> Found<FirstUnread, Arc<Message>> {
        let wanted: Vec<_> = keys.iter().map(|key| (key.0, key.1)).collect();
        Ok(present(keys, self.0.first_unread(&wanted).await))
    }
}

/// The key of how far the message at the first position has come. The second position asks how far it had come there;
/// `None` asks for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CountsAt(pub(crate) Position, pub(crate) Option<Position>);

impl Loader<CountsAt> for Rows {
    type Value = Result<Counts, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[CountsAt]) -> Found<CountsAt, Counts> {
        let (past, now): (Vec<CountsAt>, Vec<CountsAt>) = keys.iter().partition(|key| key.1.is_some());
        let wanted: Vec<_> = now.iter().map(|key| key.0).collect();
        let mut found = pair(&now, self.0.counts(&wanted).await);
        let wanted: Vec<_> = past.iter().filter_map(|key| Some((key.0, key.1?))).collect();
        found.extend(pair(&past, self.0.counts_as_of(&wanted).await));
        Ok(found)
    }
}

/// The key of a page of a conversation's messages, of those that a viewer may see.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct MessagesPage {
    pub(crate) conversation: ConversationId,
    pub(crate) viewer: Viewer,
    pub(crate) page: Page<Position>,
}

impl Loader<MessagesPage> for Rows {
    type Value = Result<Vec<Arc<Message>>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[MessagesPage]) -> Found<MessagesPage, Vec<Arc<Message>>> {
        let wanted: Vec<_> =
            keys.iter().map(|key| (key.conversation, key.viewer, key.page.clone())).collect();
        Ok(pair(keys, self.0.messages(&wanted).await))
    }
}

impl Loader<ReceiptsPage> for Rows {
    type Value = Result<Vec<Receipt>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[ReceiptsPage]) -> Found<ReceiptsPage, Vec<Receipt>> {
        Ok(pair(keys, self.0.receipts(keys).await))
    }
}

impl Loader<ReportKey> for Rows {
    type Value = Result<Reported, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[ReportKey]) -> Found<ReportKey, Reported> {
        Ok(present(keys, self.0.reports(keys).await))
    }
}
