//! Sessions that herald itself keeps: a token stands for a session until the session ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use quick_cache::sync::Cache;

use super::known_users::KnownUsers;
use super::live::{Live, Unproved};
use super::token::Token;
use crate::clock;
use crate::error::Error;
use crate::log::{Database, NewSession, SessionRow, Standing, Unavailable, UserRow};
use crate::messaging::{SessionId, UserId};
use crate::metrics::METRICS;
use crate::random;

/// The most sessions that this node keeps in memory.
const MAX_REMEMBERED_SESSIONS: usize = 100_000;

/// The least time between two updates of a session's last use in the database.
const TOUCH_INTERVAL: Duration = Duration::from_mins(10);

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

/// All sessions that herald keeps. Those in use on this node are in memory.
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

    /// Signs in a user, whose password was right when `user` was read.
    ///
    /// # Errors
    /// [`Error::AccountDisabled`] or [`Error::InvalidCredentials`] when the user was disabled or got another password
    /// since then.
    pub async fn begin(&self, user: &UserRow, users: &KnownUsers) -> Result<(Token, Arc<Live>), Error> {
        let before = users.before_reading();
        let token = Token::draw();
        let now = self.database.now();
        let row = SessionRow {
            id: SessionId(random::id()),
            user: user.id,
            created_at: now,
            last_used_at: now,
            expires_at: clock::after(now, self.lifetimes.absolute),
        };
        let token_hash = token.hash();
        self.database.forget_expired_sessions(now).await?;
        match self.database.begin_session(&NewSession { row: row.clone(), token_hash }, user).await? {
            Standing::Same(()) => {}
            Standing::Disabled => return Err(Error::AccountDisabled),
            Standing::Changed => return Err(Error::InvalidCredentials),
        }
        let unproved = Unproved::new(self.remember(token_hash, &row), None);
        // Whoever changes a user ends the sessions that are in use. This one may have come too late for that.
        if users.before_reading() == before {
            return Ok((token, unproved.proved()));
        }
        Ok((token, self.read(token_hash, users, Some(unproved)).await?))
    }

    /// Finds the session that a token stands for, and notes its use.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the token stands for no session: herald never gave it out, or the session is
    /// signed out or expired. [`Error::AccountDisabled`] when its user is disabled.
    pub async fn find(&self, token: &Token, users: &KnownUsers) -> Result<Arc<Live>, Error> {
        let token_hash = token.hash();
        let live = match self.by_token.get(&token_hash).filter(|live| !live.was_ended()) {
            Some(live) => live,
            None => self.read(token_hash, users, None).await?,
        };
        if self.ended.get(&live.id).is_some() {
            return Err(Error::Unauthenticated);
        }
        let now = self.database.now();
        let is_idle = live.last_used_at().is_some_and(|at| clock::after(at, self.lifetimes.idle) <= now);
        if live.has_ended() || is_idle {
            return Err(Error::Unauthenticated);
        }
        self.keep(&live).await?;
        Ok(live)
    }

    /// Reads a session. `kept` is one that is in memory and not proved yet: if this fails, it ends.
    async fn read(
        &self,
        token_hash: [u8; 32],
        users: &KnownUsers,
        mut kept: Option<Unproved>,
    ) -> Result<Arc<Live>, Error> {
        loop {
            let before = users.before_reading();
            let (row, user) = self.database.session(&token_hash).await?.ok_or(Error::Unauthenticated)?;
            if user.disabled_at.is_some() {
                self.forget(row.id);
                return Err(Error::AccountDisabled);
            }
            let unproved = Unproved::new(self.remember(token_hash, &row), kept.take());
            // Whoever disables a user ends the sessions that are in use. This one may have come too late for that.
            if users.before_reading() == before {
                return Ok(unproved.proved());
            }
            kept = Some(unproved);
        }
    }

    /// Notes that a session is in use. A session that is not used ends.
    pub async fn keep(&self, live: &Live) -> Result<(), Unavailable> {
        // Other sessions last as long as what stands for them.
        let Some(last_used_at) = live.last_used_at() else { return Ok(()) };
        let now = self.database.now();
        if clock::after(last_used_at, TOUCH_INTERVAL.min(self.lifetimes.idle / 2)) <= now {
            live.use_at(now);
            self.database.touch_session(live.id, now).await?;
        }
        Ok(())
    }

    /// Ends a session at once, with everything that was opened in it. `false` when it had ended before.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when another system keeps the session.
    pub async fn end(&self, live: &Live) -> Result<bool, Error> {
        if live.last_used_at().is_none() {
            return Err(Error::Forbidden("Another system signed you in: sign out there.".into()));
        }
        let ended = self.database.end_session(live.id, live.expires_at).await?;
        self.forget(live.id);
        Ok(ended)
    }

    /// Ends another session of the same user. `false` when the user has no such session.
    pub async fn end_other(&self, user: UserId, id: SessionId) -> Result<bool, Unavailable> {
        let Some(row) = self.database.session_of(user, id).await? else { return Ok(false) };
        let ended = self.database.end_session(id, row.expires_at).await?;
        self.forget(id);
        Ok(ended)
    }

    /// Ends a session on this node.
    pub(super) fn forget(&self, id: SessionId) {
        // This comes first: a request that has just read the session from the database checks `ended` afterwards.
        if self.ended.get(&id).is_none() {
            self.ended.insert(id, ());
            METRICS.sessions_ended.inc();
        }
        let Some((live, token_hash)) = self.by_id().remove(&id) else { return };
        self.by_token.remove(&token_hash);
        if let Some(live) = live.upgrade() {
            live.end();
        }
    }

    /// Ends on this node the sessions that are no longer stored.
    pub(super) async fn check(&self) -> Result<(), Unavailable> {
        let remembered: Vec<SessionId> = self.by_id().keys().copied().collect();
        let stored = self.database.sessions_stored(&remembered).await?;
        for id in remembered.into_iter().filter(|id| !stored.contains(id)) {
            self.forget(id);
        }
        Ok(())
    }

    /// Ends on this node the sessions of a user.
    pub(super) fn forget_all_of(&self, user: UserId) {
        let of_user = |live: &Weak<Live>| live.upgrade().is_some_and(|live| live.user == user);
        let theirs: Vec<SessionId> =
            self.by_id().iter().filter(|(_, (live, _))| of_user(live)).map(|(id, _)| *id).collect();
        for id in theirs {
            self.forget(id);
        }
    }

    /// Keeps a session in memory. There is one `Live` for each session that has not ended, however often it is read.
    fn remember(&self, token_hash: [u8; 32], row: &SessionRow) -> Arc<Live> {
        let mut by_id = self.by_id();
        let known = by_id.get(&row.id).and_then(|(live, _)| live.upgrade());
        if let Some(live) = known.filter(|live| !live.was_ended()) {
            self.by_token.insert(token_hash, Arc::clone(&live));
            return live;
        }
        let live = Live::new(row.id, row.user, row.expires_at, self.database.clock());
        let live = Arc::new(live.used_at(row.last_used_at));
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
