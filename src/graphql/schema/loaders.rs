//! Batching: what many resolvers ask for one by one is asked of the log at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use async_graphql::dataloader::{CacheFactory, DataLoader, Loader};

use crate::log::{
    ConversationRow, Database, Each, Page, ParticipantKey, Receipt, Received, Unavailable, UserRow,
};
use crate::messaging::{
    ConversationId, Counts, Message, MessageId, Participation, Position, Renamed, UserId,
};

/// Loads users.
pub(crate) struct Users(pub(crate) Database);

/// Loads everything that may change.
pub(crate) struct Rows(pub(crate) Database);

/// A batch as a whole never fails: each key has an answer of its own, or a failure of its own.
type Found<K, V> = Result<HashMap<K, Result<V, Unavailable>>, Unavailable>;

/// What one key came to. `None` when there is no such thing.
pub(crate) async fn load<K, V, L, C>(loader: &DataLoader<L, C>, key: K) -> Result<Option<V>, Unavailable>
where
    K: Send + Sync + Hash + Eq + Clone + 'static,
    V: Send + Sync + Clone + 'static,
    L: Loader<K, Value = Result<V, Unavailable>, Error = Unavailable>,
    C: CacheFactory,
{
    let found = loader.load_one(key.clone()).await?;
    if matches!(found, Some(Err(Unavailable))) {
        // A failure is not to be remembered, and the loader can only forget everything.
        loader.clear::<K>();
    }
    found.transpose()
}

impl Loader<UserId> for Users {
    type Value = Result<Arc<UserRow>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[UserId]) -> Found<UserId, Arc<UserRow>> {
        let found = self.0.users_by_id(keys).await.into_iter();
        Ok(present(keys, found.map(|row| row.map(|row| row.map(Arc::new))).collect()))
    }
}

impl Loader<ConversationId> for Rows {
    type Value = Result<Arc<ConversationRow>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[ConversationId]) -> Found<ConversationId, Arc<ConversationRow>> {
        let found = self.0.conversations_by_id(keys).await.into_iter();
        Ok(present(keys, found.map(|row| row.map(|row| row.map(Arc::new))).collect()))
    }
}

/// How a conversation's title changed next after a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RenamedAfter(pub(crate) ConversationId, pub(crate) Position);

impl Loader<RenamedAfter> for Rows {
    type Value = Result<Renamed, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[RenamedAfter]) -> Found<RenamedAfter, Renamed> {
        let wanted: Vec<_> = keys.iter().map(|key| (key.0, key.1)).collect();
        Ok(present(keys, self.0.next_renamed(&wanted).await))
    }
}

/// A message that a viewer may see, in a conversation that they take part in.
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

/// The message at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MessageAt(pub(crate) Position);

impl Loader<MessageAt> for Rows {
    type Value = Result<Arc<Message>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[MessageAt]) -> Found<MessageAt, Arc<Message>> {
        let wanted: Vec<_> = keys.iter().map(|key| key.0).collect();
        Ok(present(keys, self.0.messages_at(&wanted).await))
    }
}

/// The message at a position, if a viewer took part when it was sent.
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

/// The newest of the messages that somebody received.
impl Loader<Received> for Rows {
    type Value = Result<Arc<Message>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[Received]) -> Found<Received, Arc<Message>> {
        Ok(present(keys, self.0.newest_received(keys).await))
    }
}

/// Whether a user takes part in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TakesPart(pub(crate) UserId, pub(crate) ConversationId);

impl Loader<TakesPart> for Rows {
    type Value = Result<bool, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[TakesPart]) -> Found<TakesPart, bool> {
        let wanted: Vec<_> = keys.iter().map(|key| (key.0, key.1)).collect();
        Ok(pair(keys, self.0.take_part(&wanted).await))
    }
}

/// How many messages a viewer has not read in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct UnreadOf(pub(crate) UserId, pub(crate) ConversationId);

impl Loader<UnreadOf> for Rows {
    type Value = Result<u64, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[UnreadOf]) -> Found<UnreadOf, u64> {
        let wanted: Vec<_> = keys.iter().map(|key| (key.0, key.1)).collect();
        Ok(pair(keys, self.0.unread(&wanted).await))
    }
}

/// How far the message at a position has come, or had come at another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CountsAt(pub(crate) Position, pub(crate) Option<Position>);

impl Loader<CountsAt> for Rows {
    type Value = Result<Counts, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[CountsAt]) -> Found<CountsAt, Counts> {
        let (then, now): (Vec<CountsAt>, Vec<CountsAt>) = keys.iter().partition(|key| key.1.is_some());
        let wanted: Vec<_> = now.iter().map(|key| key.0).collect();
        let mut found = pair(&now, self.0.counts(&wanted).await);
        let wanted: Vec<_> = then.iter().filter_map(|key| Some((key.0, key.1?))).collect();
        found.extend(pair(&then, self.0.counts_as_of(&wanted).await));
        Ok(found)
    }
}

/// A page of a conversation's messages, as far as a viewer may see them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct MessagesPage {
    pub(crate) conversation: ConversationId,
    pub(crate) viewer: UserId,
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

/// A page of a conversation's participants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ParticipantsPage(
    pub(crate) ConversationId,
    /// As of here; as of now, if there is none.
    pub(crate) Option<Position>,
    pub(crate) Page<ParticipantKey>,
);

impl Loader<ParticipantsPage> for Rows {
    type Value = Result<Vec<Participation>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[ParticipantsPage]) -> Found<ParticipantsPage, Vec<Participation>> {
        let wanted: Vec<_> = keys.iter().map(|key| (key.0, key.1, key.2.clone())).collect();
        Ok(pair(keys, self.0.participants(&wanted).await))
    }
}

/// A page of a message's receipts.
#[derive(Debug, Clone)]
pub(crate) struct ReceiptsPage(
    pub(crate) Arc<Message>,
    /// As of here; as of now, if there is none.
    pub(crate) Option<Position>,
    pub(crate) Page<ParticipantKey>,
);

impl PartialEq for ReceiptsPage {
    fn eq(&self, other: &Self) -> bool {
        self.0.position == other.0.position && self.1 == other.1 && self.2 == other.2
    }
}

impl Eq for ReceiptsPage {}

impl Hash for ReceiptsPage {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.position.hash(state);
        self.1.hash(state);
        self.2.hash(state);
    }
}

impl Loader<ReceiptsPage> for Rows {
    type Value = Result<Vec<Receipt>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[ReceiptsPage]) -> Found<ReceiptsPage, Vec<Receipt>> {
        let wanted: Vec<_> = keys.iter().map(|key| (Arc::clone(&key.0), key.1, key.2.clone())).collect();
        Ok(pair(keys, self.0.receipts(&wanted).await))
    }
}

fn pair<K: Clone + Hash + Eq, V>(keys: &[K], values: Each<V>) -> HashMap<K, Result<V, Unavailable>> {
    keys.iter().cloned().zip(values).collect()
}

/// The same without the keys for which there is nothing.
fn present<K: Clone + Hash + Eq, V>(
    keys: &[K],
    values: Each<Option<V>>,
) -> HashMap<K, Result<V, Unavailable>> {
    let found = keys.iter().zip(values);
    found.filter_map(|(key, value)| Some((key.clone(), value.transpose()?))).collect()
}
