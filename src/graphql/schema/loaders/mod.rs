//! Loaders: many resolvers each ask for one thing, and a loader reads all of these things from the log at once.

mod conversations;
mod messages;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use async_graphql::dataloader::{CacheFactory, DataLoader, Loader};

pub(crate) use self::conversations::{
    AllUnread, DescribedAfter, LatestPart, OwnOf, ParticipantsPage, TakesPart, UnreadOf,
};
pub(crate) use self::messages::{CountsAt, FirstUnread, MessageFor, MessagesPage, SeenAt, message_at};
use crate::accounts::Accounts;
use crate::log::{Database, Each, Unavailable, UserRow};
use crate::messaging::UserId;

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
