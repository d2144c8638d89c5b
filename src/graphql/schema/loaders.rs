//! Loaders: many resolvers each ask for one thing, and a loader reads all of these things from the log at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use async_graphql::dataloader::{CacheFactory, DataLoader, Loader};

use crate::accounts::Accounts;
use crate::log::{
    ConversationRow, Database, Described, Each, OwnParticipation, Page, ParticipantKey, Participating,
    Receipt, Received, ReportKey, Reported, Unavailable, UnreadTotals, UserRow, Viewer, missing,
};
use crate::messaging::{ConversationId, Counts, Event, Message, MessageId, Participation, Position, UserId};

/// Loads users, and lets the accounts know them.
pub(crate) struct Users(pub(crate) Database, pub(crate) Arc<Accounts>);

/// Loads everything that may change, so it caches nothing.
pub(crate) struct Rows(pub(crate) Database);

/// The result of a batch. The batch itself never fails: each key has its own value or its own failure.
type Found<K, V> = Result<HashMap<K, Result<V, Unavailable>>, Unavailable>;

/// Loads the value of one key, in a batch with others. `None` when there is no such thing.
///
/// # Errors
/// When the database does not answer for this key.
pub(crate) async fn load<K, V, L, C>(loader: &DataLoader<L, C>, key: K) -> Result<Option<V>, Unavailable>
where
    K: Send + Sync + Hash + Eq + Clone + 'static,
    V: Send + Sync + Clone + 'static,
    L: Loader<K, Value = Result<V, Unavailable>, Error = Unavailable>,
    C: CacheFactory,
{
    let found = loader.load_one(key.clone()).await?;
    if matches!(found, Some(Err(_))) {
        // The loader must not cache a failure. It can only clear the whole cache.
        loader.clear::<K>();
    }
    found.transpose()
}

impl Loader<UserId> for Users {
    type Value = Result<Arc<UserRow>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[UserId]) -> Found<UserId, Arc<UserRow>> {
        let before = self.1.users.before_reading();
        let found = self.0.users_by_id(keys).await.into_iter();
        let found: Each<_> = found.map(|row| row.map(|row| row.map(Arc::new))).collect();
        self.1.users.keep(before, found.iter().flatten().flatten().cloned());
        Ok(present(keys, found))
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

/// The key of the next event of a kind that changes what is kept of a conversation, after a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct DescribedAfter(pub(crate) ConversationId, pub(crate) Position, pub(crate) Described);

impl Loader<DescribedAfter> for Rows {
    type Value = Result<Arc<Event>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[DescribedAfter]) -> Found<DescribedAfter, Arc<Event>> {
        let wanted: Vec<_> = keys.iter().map(|key| (key.0, key.1, key.2)).collect();
        Ok(present(keys, self.0.next_described(&wanted).await))
    }
}

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

/// The key of whether a user takes part in a conversation.
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

/// The key of the latest part that a user takes or took in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LatestPart(pub(crate) UserId, pub(crate) ConversationId);

impl Loader<LatestPart> for Rows {
    type Value = Result<Participation, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[LatestPart]) -> Found<LatestPart, Participation> {
        let wanted: Vec<_> = keys.iter().map(|key| (key.0, key.1)).collect();
        Ok(present(keys, self.0.latest_parts(&wanted).await))
    }
}

/// The key of how many messages a viewer has not read in a conversation.
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

/// The key of how much a viewer has not read, over all conversations. Either count stops at the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AllUnread(pub(crate) UserId, pub(crate) u32);

impl Loader<AllUnread> for Rows {
    type Value = Result<UnreadTotals, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[AllUnread]) -> Found<AllUnread, UnreadTotals> {
        // A user is counted once, however many numbers a document asks for: up to the highest of them.
        let mut highest: HashMap<UserId, u32> = HashMap::new();
        for AllUnread(user, cap) in keys {
            let known = highest.entry(*user).or_default();
            *known = (*known).max(*cap);
        }
        let wanted: Vec<_> = highest.into_iter().collect();
        let users: Vec<_> = wanted.iter().map(|(user, _)| *user).collect();
        let totals = pair(&users, self.0.unread_totals(&wanted).await);
        let capped = |AllUnread(user, cap): &AllUnread| {
            totals.get(user).copied().unwrap_or(Err(Unavailable::Now)).map(|totals| totals.up_to(*cap))
        };
        Ok(keys.iter().map(|key| (*key, capped(key))).collect())
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

/// The key of what a user keeps for themselves of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct OwnOf(pub(crate) UserId, pub(crate) ConversationId);

impl Loader<OwnOf> for Rows {
    type Value = Result<OwnParticipation, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[OwnOf]) -> Found<OwnOf, OwnParticipation> {
        let wanted: Vec<_> = keys.iter().map(|key| (key.0, key.1)).collect();
        Ok(pair(keys, self.0.own_participations(&wanted).await))
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

/// The key of a page of a conversation's participants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ParticipantsPage(
    pub(crate) ConversationId,
    /// The position as of which the page is; `None` stands for now.
    pub(crate) Option<Position>,
    pub(crate) Page<ParticipantKey>,
);

impl Loader<ParticipantsPage> for Rows {
    type Value = Result<Vec<Participating>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[ParticipantsPage]) -> Found<ParticipantsPage, Vec<Participating>> {
        let wanted: Vec<_> = keys.iter().map(|key| (key.0, key.1, key.2.clone())).collect();
        Ok(pair(keys, self.0.participants(&wanted).await))
    }
}

/// The key of a page of a message's receipts.
#[derive(Debug, Clone)]
pub(crate) struct ReceiptsPage(
    pub(crate) Arc<Message>,
    /// The position as of which the page is; `None` stands for now.
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

impl Loader<ReportKey> for Rows {
    type Value = Result<Reported, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[ReportKey]) -> Found<ReportKey, Reported> {
        Ok(present(keys, self.0.reports(keys).await))
    }
}

/// Each key with its value.
fn pair<K: Clone + Hash + Eq, V>(keys: &[K], values: Each<V>) -> HashMap<K, Result<V, Unavailable>> {
    keys.iter().cloned().zip(values).collect()
}

/// Each key that has a value, with the value.
fn present<K: Clone + Hash + Eq, V>(
    keys: &[K],
    values: Each<Option<V>>,
) -> HashMap<K, Result<V, Unavailable>> {
    let found = keys.iter().zip(values);
    found.filter_map(|(key, value)| Some((key.clone(), value.transpose()?))).collect()
}
