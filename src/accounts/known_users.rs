//! The users that this node has read lately. What never lives here: reading them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;

use crate::log::UserRow;
use crate::messaging::UserId;

/// Users that are kept.
const MAX_KNOWN_USERS: usize = 20_000;

/// The users that this node has read lately. A user whom any node changes is forgotten, about a second later on the
/// other nodes.
#[derive(Debug)]
pub struct KnownUsers {
    rows: Cache<UserId, Arc<UserRow>>,
    /// How often users were forgotten.
    forgotten: AtomicU64,
}

/// A moment before users were read. Users who are forgotten after it may have been read before their change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeforeReading(u64);

impl Default for KnownUsers {
    fn default() -> Self {
        Self { rows: Cache::new(MAX_KNOWN_USERS), forgotten: AtomicU64::new(0) }
    }
}

impl KnownUsers {
    /// The user, if this node knows them.
    pub fn get(&self, id: UserId) -> Option<Arc<UserRow>> {
        self.rows.get(&id)
    }

    /// This moment. It is asked for before users are read, and given to [`KnownUsers::keep`] after it.
    pub fn before_reading(&self) -> BeforeReading {
        BeforeReading(self.forgotten.load(Ordering::SeqCst))
    }

    /// Keeps what was read, unless a user was forgotten meanwhile.
    pub fn keep(&self, before: BeforeReading, rows: impl IntoIterator<Item = Arc<UserRow>>) {
        let rows: Vec<_> = rows.into_iter().collect();
        for row in &rows {
            self.rows.insert(row.id, Arc::clone(row));
        }
        if self.before_reading() != before {
            for row in rows {
                self.rows.remove(&row.id);
            }
        }
    }

    /// Forgets a user, who was changed.
    pub(super) fn forget(&self, id: UserId) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.rows.remove(&id);
    }

    /// Forgets everybody.
    pub(super) fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.rows.clear();
    }
}
