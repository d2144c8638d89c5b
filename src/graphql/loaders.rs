//! Batching: what many resolvers ask for one by one is asked of the log at once.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use crate::log::{Database, Page, ParticipantKey, Receipt, Unavailable, UserRow};
use crate::messaging::{
    Conversation, ConversationId, Counts, Interval, Message, MessageId, Participation, Position, UserId,
};

/// Loads users.
pub(super) struct Users(pub(super) Database);

/// Loads everything that may change.
pub(super) struct Rows(pub(super) Database);

type Found<K, V> = Result<HashMap<K, V>, Unavailable>;

impl Loader<UserId> for Users {
    type Value = Arc<UserRow>;
    type Error = Unavailable;

    async fn load(&self, keys: &[UserId]) -> Found<UserId, Arc<UserRow>> {
        let users = self.0.users_by_id(keys.iter().copied()).await?;
        Ok(users.into_iter().map(|user| (user.id, Arc::new(user))).collect())
    }
}

impl Loader<ConversationId> for Rows {
    type Value = Arc<Conversation>;
    type Error = Unavailable;

    async fn load(&self, keys: &[ConversationId]) -> Found<ConversationId, Arc<Conversation>> {
        let found = self.0.conversations_by_id(keys.iter().copied()).await?;
        Ok(found.into_iter().map(|conversation| (conversation.id, Arc::new(conversation))).collect())
    }
}

impl Loader<MessageId> for Rows {
    type Value = Arc<Message>;
    type Error = Unavailable;

    async fn load(&self, keys: &[MessageId]) -> Found<MessageId, Arc<Message>> {
        let found = self.0.messages_by_id(keys.iter().copied()).await?;
        Ok(found.into_iter().map(|message| (message.id, message)).collect())
    }
}

/// The message at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct MessageAt(pub(super) Position);

impl Loader<MessageAt> for Rows {
    type Value = Arc<Message>;
    type Error = Unavailable;

    async fn load(&self, keys: &[MessageAt]) -> Found<MessageAt, Arc<Message>> {
        let found = self.0.messages_at(keys.iter().map(|key| key.0)).await?;
        Ok(found.into_iter().map(|message| (MessageAt(message.position), message)).collect())
    }
}

/// Every part that a viewer took in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PartsOf(pub(super) UserId, pub(super) ConversationId);

impl Loader<PartsOf> for Rows {
    type Value = Arc<[Participation]>;
    type Error = Unavailable;

    async fn load(&self, keys: &[PartsOf]) -> Found<PartsOf, Arc<[Participation]>> {
        let mut found: HashMap<PartsOf, Vec<Participation>> = HashMap::new();
        for (viewer, conversations) in by_viewer(keys.iter().map(|key| (key.0, key.1))) {
            for part in self.0.participations(viewer, conversations).await? {
                found.entry(PartsOf(viewer, part.conversation)).or_default().push(part);
            }
        }
        Ok(found.into_iter().map(|(key, parts)| (key, parts.into())).collect())
    }
}

/// How many messages a viewer has not read in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct UnreadOf(pub(super) UserId, pub(super) ConversationId);

impl Loader<UnreadOf> for Rows {
    type Value = u64;
    type Error = Unavailable;

    async fn load(&self, keys: &[UnreadOf]) -> Found<UnreadOf, u64> {
        let mut found = HashMap::new();
        for (viewer, conversations) in by_viewer(keys.iter().map(|key| (key.0, key.1))) {
            let unread = self.0.unread(viewer, conversations).await?;
            found.extend(unread.into_iter().map(|(id, unread)| (UnreadOf(viewer, id), unread)));
        }
        Ok(found)
    }
}

/// How far the message at a position has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct CountsAt(pub(super) Position);

impl Loader<CountsAt> for Rows {
    type Value = Counts;
    type Error = Unavailable;

    async fn load(&self, keys: &[CountsAt]) -> Found<CountsAt, Counts> {
        let found = self.0.counts(keys.iter().map(|key| key.0)).await?;
        Ok(found.into_iter().map(|(position, counts)| (CountsAt(position), counts)).collect())
    }
}

/// A page of a conversation's messages, as far as the intervals let them be seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct MessagesPage {
    pub(super) conversation: ConversationId,
    pub(super) intervals: Vec<Interval>,
    pub(super) page: Page<Position>,
}

impl Loader<MessagesPage> for Rows {
    type Value = Vec<Arc<Message>>;
    type Error = Unavailable;

    async fn load(&self, keys: &[MessagesPage]) -> Found<MessagesPage, Vec<Arc<Message>>> {
        let wanted: Vec<_> =
            keys.iter().map(|key| (key.conversation, key.intervals.clone(), key.page.clone())).collect();
        Ok(pair(keys, self.0.messages(&wanted).await?))
    }
}

/// A page of a conversation's participants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ParticipantsPage(
    pub(super) ConversationId,
    /// As of here; as of now, if there is none.
    pub(super) Option<Position>,
    pub(super) Page<ParticipantKey>,
);

impl Loader<ParticipantsPage> for Rows {
    type Value = Vec<Participation>;
    type Error = Unavailable;

    async fn load(&self, keys: &[ParticipantsPage]) -> Found<ParticipantsPage, Vec<Participation>> {
        let wanted: Vec<_> = keys.iter().map(|key| (key.0, key.1, key.2.clone())).collect();
        Ok(pair(keys, self.0.participants(&wanted).await?))
    }
}

/// A page of a message's receipts.
#[derive(Debug, Clone)]
pub(super) struct ReceiptsPage(pub(super) Arc<Message>, pub(super) Page<ParticipantKey>);

impl PartialEq for ReceiptsPage {
    fn eq(&self, other: &Self) -> bool {
        self.0.position == other.0.position && self.1 == other.1
    }
}

impl Eq for ReceiptsPage {}

impl Hash for ReceiptsPage {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.position.hash(state);
        self.1.hash(state);
    }
}

impl Loader<ReceiptsPage> for Rows {
    type Value = Vec<Receipt>;
    type Error = Unavailable;

    async fn load(&self, keys: &[ReceiptsPage]) -> Found<ReceiptsPage, Vec<Receipt>> {
        let wanted: Vec<_> = keys.iter().map(|key| (Arc::clone(&key.0), key.1.clone())).collect();
        Ok(pair(keys, self.0.receipts(&wanted).await?))
    }
}

fn by_viewer(keys: impl Iterator<Item = (UserId, ConversationId)>) -> BTreeMap<UserId, Vec<ConversationId>> {
    let mut conversations: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (viewer, conversation) in keys {
        conversations.entry(viewer).or_default().push(conversation);
    }
    conversations
}

fn pair<K: Clone + Hash + Eq, V>(keys: &[K], values: Vec<V>) -> HashMap<K, V> {
    keys.iter().cloned().zip(values).collect()
}
