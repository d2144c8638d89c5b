//! Sessions: a token stands for a session until the session ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::token::Token;
use crate::clock::{self, Clock};
use crate::error::Error;
use crate::log::{Database, EndedSessions, NewSession, SessionRow, Unavailable, UserRow};
use crate::messaging::{SessionId, Timestamp};
use crate::metrics::METRICS;
use crate::random;
use crate::vitals::{Part, Vitals};

/// The most sessions that this node keeps in memory.
const MAX_REMEMBERED_SESSIONS: usize = 100_000;

/// The most ended sessions that one statement reads.
const PAGE_ROWS: u64 = 1_000;

/// The time between two checks that the remembered sessions are still stored. An operator may have deleted one.
const RECHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The least time between two updates of a session's last use in the database.
const TOUCH_INTERVAL: Duration = Duration::from_mins(10);

/// A session in use on this node. Everyone who uses it shares one of these.
#[derive(Debug)]
pub struct Live {
    /// The session's id.
    pub id: SessionId,
    /// The user who is signed in.
    pub user: Arc<UserRow>,
    /// When the session ends, even if it is in use.
    pub expires_at: Timestamp,
    last_used_at: AtomicI64,
    ended: CancellationToken,
    clock: Clock,
}

impl Live {
    /// Returns when the session has ended: it is signed out, or expired.
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

    /// Whether the session has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.is_cancelled() || self.expires_at <= self.clock.now()
    }
}

/// How long sessions last.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// A session ends when it has not been used for this long.
    pub idle: Duration,
    /// A session ends this long after its begin, even if it is in use.
    pub absolute: Duration,
}

/// The sessions in use, each with its token's hash.
type ById = HashMap<SessionId, (Weak<Live>, [u8; 32])>;

/// All sessions. Those in use on this node are in memory.
#[derive(Debug)]
pub struct Sessions {
    database: Database,
    lifetimes: Lifetimes,
    by_token: Cache<[u8; 32], Arc<Live>>,
    // A `std` mutex, because it is never locked across an await.
    by_id: Mutex<ById>,
    /// Sessions that ended lately. A request may have read one from the database just before it ended.
    ended: Cache<SessionId, ()>,
}

impl Sessions {
    /// The sessions in `database`.
    pub fn new(database: Database, lifetimes: Lifetimes) -> Self {
        Self {
            database,
            lifetimes,
            by_token: Cache::new(MAX_REMEMBERED_SESSIONS),
            by_id: Mutex::default(),
            ended: Cache::new(MAX_REMEMBERED_SESSIONS),
        }
    }

    /// The sessions in `database`. A task checks every `every` which of them other nodes have ended, for as long as the
    /// result lives.
    pub async fn watched(
        database: Database,
        lifetimes: Lifetimes,
        every: Duration,
        vitals: Arc<Vitals>,
    ) -> Result<Arc<Self>, Unavailable> {
        // No session is in memory yet, so none of those that ended until now can be found there.
        let mut seen = database.count_of_ended_sessions().await?;
        let sessions = Arc::new(Self::new(database, lifetimes));
        let watched = Arc::downgrade(&sessions);
        tokio::spawn(async move {
            let mut reads = tokio::time::interval(every);
            reads.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut checked = Instant::now();
            loop {
                reads.tick().await;
                let Some(sessions) = watched.upgrade() else { return };
                let is_due = checked.elapsed() >= RECHECK_INTERVAL;
                let read = async {
                    if is_due {
                        sessions.check().await?;
                    }
                    sessions.look_for_ended(seen).await
                };
                // If this read fails, the next one finds the ended sessions.
                if let Some(Ok(found)) = vitals.guard(Part::Sessions, read).await {
                    seen = found;
                    vitals.works(Part::Sessions);
                    if is_due {
                        checked = Instant::now();
                    }
                }
            }
        });
        Ok(sessions)
    }

    /// Signs a user in.
    pub async fn begin(&self, user: Arc<UserRow>) -> Result<(Token, Arc<Live>), Error> {
        let token = Token::draw();
        let now = self.database.now();
        let row = SessionRow {
            id: SessionId(random::id()),
            user: user.id,
            last_used_at: now,
            expires_at: clock::after(now, self.lifetimes.absolute),
        };
        let token_hash = token.hash();
        self.database.insert_session(&NewSession { row: row.clone(), token_hash }, now).await?;
        Ok((token, self.remember(token_hash, &row, user)))
    }

    /// Finds the session that a token stands for, and notes its use.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the token stands for no session: herald never gave it out, or the session is
    /// signed out or expired.
    pub async fn find(&self, token: &Token) -> Result<Arc<Live>, Error> {
        let token_hash = token.hash();
        let live = match self.by_token.get(&token_hash) {
            Some(live) => live,
            None => {
                let (row, user) = self.database.session(&token_hash).await?.ok_or(Error::Unauthenticated)?;
                self.remember(token_hash, &row, Arc::new(user))
            }
        };
        if self.ended.get(&live.id).is_some() {
            return Err(Error::Unauthenticated);
        }
        let now = self.database.now();
        let last_used_at = Timestamp(live.last_used_at.load(Ordering::Relaxed));
        if live.has_ended() || clock::after(last_used_at, self.lifetimes.idle) <= now {
            return Err(Error::Unauthenticated);
        }
        self.keep(&live).await?;
        Ok(live)
    }

    /// Notes that a session is in use. A session that is not used ends.
    pub async fn keep(&self, live: &Live) -> Result<(), Unavailable> {
        let now = self.database.now();
        let last_used_at = Timestamp(live.last_used_at.load(Ordering::Relaxed));
        if clock::after(last_used_at, TOUCH_INTERVAL.min(self.lifetimes.idle / 2)) <= now {
            live.last_used_at.store(now.0, Ordering::Relaxed);
            self.database.touch_session(live.id, now).await?;
        }
        Ok(())
    }

    /// Ends a session at once, with everything that was opened in it. `false` when it had ended before.
    pub async fn end(&self, live: &Live) -> Result<bool, Unavailable> {
        let ended = self.database.end_session(live.id, live.expires_at).await?;
        self.forget(live.id);
        Ok(ended)
    }

    /// Ends a session on this node.
    fn forget(&self, id: SessionId) {
        // This comes first: a request that has just read the session from the database checks `ended` afterwards.
        if self.ended.get(&id).is_none() {
            self.ended.insert(id, ());
            METRICS.sessions_ended.inc();
        }
        let Some((live, token_hash)) = self.by_id().remove(&id) else { return };
        self.by_token.remove(&token_hash);
        if let Some(live) = live.upgrade() {
            live.ended.cancel();
        }
    }

    /// Ends on this node the sessions that any node ended after `seen`. Returns how many are ended now.
    async fn look_for_ended(&self, mut seen: EndedSessions) -> Result<EndedSessions, Unavailable> {
        let ended = self.database.count_of_ended_sessions().await?;
        let went_back = ended.epoch != seen.epoch || ended.count < seen.count;
        if went_back {
            // The numbers stand for other sessions now.
            self.check().await?;
            return Ok(ended);
        }
        while seen.count < ended.count {
            let sessions = self.database.sessions_ended(seen.count, PAGE_ROWS).await?;
            // The rows of sessions that have expired by now are deleted.
            let Some((last, _)) = sessions.last() else { return Ok(ended) };
            seen.count = *last;
            for (_, id) in sessions {
                self.forget(id);
            }
        }
        Ok(seen)
    }

    /// Ends on this node the sessions that are no longer stored.
    async fn check(&self) -> Result<(), Unavailable> {
        let remembered: Vec<SessionId> = self.by_id().keys().copied().collect();
        let stored = self.database.sessions_stored(&remembered).await?;
        for id in remembered.into_iter().filter(|id| !stored.contains(id)) {
            self.forget(id);
        }
        Ok(())
    }

    /// Keeps a session in memory. There is one `Live` for each session, however often it is read.
    fn remember(&self, token_hash: [u8; 32], row: &SessionRow, user: Arc<UserRow>) -> Arc<Live> {
        let mut by_id = self.by_id();
        if let Some(live) = by_id.get(&row.id).and_then(|(live, _)| live.upgrade()) {
            self.by_token.insert(token_hash, Arc::clone(&live));
            return live;
        }
        let live = Arc::new(Live {
            id: row.id,
            user,
            expires_at: row.expires_at,
            last_used_at: AtomicI64::new(row.last_used_at.0),
            ended: CancellationToken::new(),
            clock: self.database.clock(),
        });
        if by_id.len() >= 2 * MAX_REMEMBERED_SESSIONS {
            by_id.retain(|_, (live, _)| live.strong_count() > 0);
        }
        by_id.insert(row.id, (Arc::downgrade(&live), token_hash));
        self.by_token.insert(token_hash, Arc::clone(&live));
        live
    }

    fn by_id(&self) -> MutexGuard<'_, ById> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
