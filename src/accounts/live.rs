//! A session in use on this node, whoever vouches for it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::messaging::{SessionId, Timestamp, UserId};

/// A session in use on this node. Everyone who uses it shares one of these.
#[derive(Debug)]
pub struct Live {
    /// The session's id, which is the same on every node.
    pub id: SessionId,
    /// The user who is signed in.
    pub user: UserId,
    /// When the session ends, even if it is in use.
    pub expires_at: Timestamp,
    /// The last use that the database knows of, in microseconds; `None` where the database does not have the session.
    last_used_at: Option<AtomicI64>,
    ended: CancellationToken,
    clock: Clock,
}

impl Live {
    pub(super) fn new(id: SessionId, user: UserId, expires_at: Timestamp, clock: Clock) -> Self {
        Self { id, user, expires_at, last_used_at: None, ended: CancellationToken::new(), clock }
    }

    /// The same, which also ends when `other` is cancelled.
    pub(super) fn within(self, other: &CancellationToken) -> Self {
        Self { ended: other.child_token(), ..self }
    }

    /// The same as a session that the database has, and ends when it is not used.
    pub(super) fn used_at(self, at: Timestamp) -> Self {
        Self { last_used_at: Some(AtomicI64::new(at.0)), ..self }
    }

    /// The last use that the database knows of; `None` where the database does not have the session.
    pub(super) fn last_used_at(&self) -> Option<Timestamp> {
        self.last_used_at.as_ref().map(|at| Timestamp(at.load(Ordering::Relaxed)))
    }

    /// Notes a use.
    pub(super) fn use_at(&self, now: Timestamp) {
        if let Some(at) = &self.last_used_at {
            at.store(now.0, Ordering::Relaxed);
        }
    }

    /// Returns when the session has ended: it is signed out, or expired, or its user is disabled.
    pub async fn ended(&self) {
        tokio::select! {
            () = self.ended.cancelled() => {}
            () = tokio::time::sleep(self.remaining()) => {}
        }
    }

    /// The time until the session ends, even if it is in use; zero once it has.
    pub fn remaining(&self) -> Duration {
        let left = self.expires_at.0.saturating_sub(self.clock.now().0);
        Duration::from_micros(u64::try_from(left).unwrap_or(0))
    }

    /// Whether the session was ended before its time.
    pub(super) fn was_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Whether the session has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.is_cancelled() || self.expires_at <= self.clock.now()
    }

    /// Ends the session, with everything that was opened in it.
    pub(super) fn end(&self) {
        self.ended.cancel();
    }
}

/// A session that was kept in memory, perhaps too late to be ended with its user. It ends when this is dropped, unless
/// it was [`Unproved::proved`] that its user is not disabled.
#[derive(Debug)]
pub(super) struct Unproved {
    live: Arc<Live>,
    is_proved: bool,
}

impl Unproved {
    /// Holds `live` until it is proved. `before` is what an earlier try held; if that was another session in memory, it
    /// ends.
    pub(super) fn new(live: Arc<Live>, before: Option<Self>) -> Self {
        match before {
            Some(same) if Arc::ptr_eq(&same.live, &live) => same,
            Some(_) | None => Self { live, is_proved: false },
        }
    }

    /// The session, which goes on.
    pub(super) fn proved(mut self) -> Arc<Live> {
        self.is_proved = true;
        Arc::clone(&self.live)
    }
}

impl Drop for Unproved {
    fn drop(&mut self) {
        if !self.is_proved {
            self.live.end();
        }
    }
}

/// Sessions that the database does not have, by the hash of what stands for them.
#[derive(Debug)]
pub(super) struct LiveByHash {
    recent: Cache<[u8; 32], Arc<Live>>,
    /// Also those that are no longer recent, and that a socket or a stream still uses.
    // A `std` mutex, because it is never locked across an await.
    all: Mutex<HashMap<[u8; 32], Weak<Live>>>,
    capacity: usize,
}

impl LiveByHash {
    /// Keeps up to `capacity` sessions that nobody uses at the moment.
    pub(super) fn new(capacity: usize) -> Self {
        Self { recent: Cache::new(capacity), all: Mutex::default(), capacity }
    }

    /// The session that has not ended.
    pub(super) fn get(&self, hash: &[u8; 32]) -> Option<Arc<Live>> {
        let live = self.recent.get(hash).or_else(|| {
            let live = self.all().get(hash)?.upgrade()?;
            self.recent.insert(*hash, Arc::clone(&live));
            Some(live)
        });
        live.filter(|live| !live.has_ended())
    }

    /// Keeps this session. There is one [`Live`] for each hash, so the result may be one that is kept already.
    pub(super) fn keep(&self, hash: [u8; 32], live: Live) -> Arc<Live> {
        let mut all = self.all();
        let known = all.get(&hash).and_then(Weak::upgrade);
        let live = known.filter(|known| !known.has_ended()).unwrap_or_else(|| Arc::new(live));
        if all.len() >= 2 * self.capacity {
            all.retain(|_, live| live.strong_count() > 0);
        }
        all.insert(hash, Arc::downgrade(&live));
        self.recent.insert(hash, Arc::clone(&live));
        live
    }

    /// Ends the sessions for which this holds.
    pub(super) fn end_where(&self, ends: impl Fn(&Live) -> bool) {
        self.all().retain(|hash, live| {
            let Some(live) = live.upgrade() else { return false };
            let ends = ends(&live);
            if ends {
                self.recent.remove(hash);
                live.end();
            }
            !ends
        });
    }

    /// The users whose sessions these are.
    pub(super) fn users(&self) -> HashSet<UserId> {
        self.all().values().filter_map(|live| Some(live.upgrade()?.user)).collect()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<[u8; 32], Weak<Live>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
