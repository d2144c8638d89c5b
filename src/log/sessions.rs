//! Reads and writes the rows of sessions. `accounts` decides what they mean.

use std::collections::HashSet;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::batch::KEYS_PER_STATEMENT;
use super::entities::{log_head, session, session_end, user};
use super::error::{During, StorageFault};
use super::head::Locked;
use super::users::{UserRow, user_row};
use super::{Database, Direction, Page, Unavailable};
use crate::messaging::{Epoch, SessionId, Timestamp, UserId};

/// A session as stored. The database has the hash of the token, never the token.
#[derive(Debug, Clone)]
pub struct SessionRow {
    /// The session's id.
    pub id: SessionId,
    /// The user who is signed in.
    pub user: UserId,
    /// When the session began.
    pub created_at: Timestamp,
    /// The last use that the database knows of.
    pub last_used_at: Timestamp,
    /// When the session ends, even if it is in use.
    pub expires_at: Timestamp,
}

/// The key by which a user's sessions are ordered, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// When the session began.
    pub created_at: Timestamp,
    /// The session's id.
    pub id: SessionId,
}

impl SessionRow {
    /// Its key in the list of its user's sessions.
    pub fn key(&self) -> SessionKey {
        SessionKey { created_at: self.created_at, id: self.id }
    }
}

/// How many sessions were ended, and how often users changed, in one epoch of the log. In another epoch the same number
/// may stand for other sessions and users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountCounts {
    /// The epoch of the log.
    pub epoch: Epoch,
    /// The number of sessions that were ended.
    pub sessions_ended: i64,
    /// The number of changes of users.
    pub users_changed: i64,
}

/// A session to be stored.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The session.
    pub row: SessionRow,
    /// The hash of its token.
    pub token_hash: [u8; 32],
}

impl Database {
    /// Deletes the sessions that have expired by `now`.
    pub async fn forget_expired_sessions(&self, now: Timestamp) -> Result<(), Unavailable> {
        session::Entity::delete_many()
            .filter(session::Column::ExpiresAt.lt(now.0))
            .exec(&self.writer)
            .await
            .during("forget expired sessions")?;
        // Every node knows that these sessions have expired.
        session_end::Entity::delete_many()
            .filter(session_end::Column::ExpiresAt.lt(now.0))
            .exec(&self.writer)
            .await
            .during("forget expired sessions")?;
        Ok(())
    }

    /// Reads the session whose token has this hash, and its user; `None` when there is no such session.
    pub async fn session(&self, token_hash: &[u8; 32]) -> Result<Option<(SessionRow, UserRow)>, Unavailable> {
        let operation = "read a session";
        let found = session::Entity::find()
            .filter(session::Column::TokenHash.eq(token_hash.to_vec()))
            .one(&self.reader)
            .await
            .during(operation)?;
        let Some(found) = found else { return Ok(None) };
        let user = user::Entity::find_by_id(found.user_id).one(&self.reader).await.during(operation)?;
        let user = user.map(user_row);
        let row = session_row(&found);
        Ok(user.map(|user| (row, user)))
    }

    /// Stores that the session was in use at `now`.
    pub async fn touch_session(&self, id: SessionId, now: Timestamp) -> Result<(), Unavailable> {
        let used = session::ActiveModel { last_used_at: Set(now.0), ..Default::default() };
        session::Entity::update_many()
            .set(used)
            .filter(session::Column::Id.eq(id.0))
            .exec(&self.writer)
            .await
            .during("note the use of a session")?;
        Ok(())
    }

    /// Ends a session, and stores this for the other nodes. `false` when the session had ended before.
    pub async fn end_session(&self, id: SessionId, expires_at: Timestamp) -> Result<bool, Unavailable> {
        self.count_and_end(id, expires_at).await.during("end a session")
    }

    /// A page of a user's sessions, the newest first, without those that have expired by `now`.
    pub async fn sessions_of(
        &self,
        user: UserId,
        now: Timestamp,
        page: &Page<SessionKey>,
    ) -> Result<Vec<SessionRow>, Unavailable> {
        let mut find = session::Entity::find()
            .filter(session::Column::UserId.eq(user.0))
            .filter(session::Column::ExpiresAt.gt(now.0));
        let place = || Expr::tuple([Expr::col(session::Column::CreatedAt), Expr::col(session::Column::Id)]);
        let value = |key: SessionKey| Expr::tuple([Expr::val(key.created_at.0), Expr::val(key.id.0)]);
        if let Some(after) = page.after {
            find = find.filter(place().lt(value(after)));
        }
        if let Some(before) = page.before {
            find = find.filter(place().gt(value(before)));
        }
        let order = match page.direction {
            Direction::First => Order::Desc,
            Direction::Last => Order::Asc,
        };
        let rows = find
            .order_by(session::Column::CreatedAt, order.clone())
            .order_by(session::Column::Id, order)
            .limit(u64::try_from(page.limit).unwrap_or(u64::MAX))
            .all(&self.reader)
            .await
            .during("read the sessions of a user")?;
        let mut found: Vec<SessionRow> = rows.iter().map(session_row).collect();
        if page.direction == Direction::Last {
            found.reverse();
        }
        Ok(found)
    }

    /// Reads a session of a user; `None` when the user has no such session.
    pub async fn session_of(&self, user: UserId, id: SessionId) -> Result<Option<SessionRow>, Unavailable> {
        let find = session::Entity::find_by_id(id.0).filter(session::Column::UserId.eq(user.0));
        let found = find.one(&self.reader).await.during("read a session")?;
        Ok(found.as_ref().map(session_row))
    }

    async fn count_and_end(&self, id: SessionId, expires_at: Timestamp) -> Result<bool, StorageFault> {
        let Locked { transaction, .. } = self.lock().await?;
        let deleted = session::Entity::delete_by_id(id.0).exec(&transaction).await?;
        if deleted.rows_affected == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        // The count is in the locked row, so a node that has seen a number has seen every smaller one.
        let number = count_ended(&transaction).await? + 1;
        let counted = log_head::ActiveModel { id: Set(1), sessions_ended: Set(number), ..Default::default() };
        log_head::Entity::update(counted).exec(&transaction).await?;
        let word = session_end::ActiveModel {
            number: Set(number),
            session_id: Set(id.0),
            expires_at: Set(expires_at.0),
        };
        session_end::Entity::insert(word).exec_without_returning(&transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Counts the sessions that were ended and the changes of users, so far in this epoch of the log.
    pub async fn account_counts(&self) -> Result<AccountCounts, Unavailable> {
        let operation = "count the changes of accounts";
        let row = log_head::Entity::find_by_id(1).one(&self.reader).await.during(operation)?;
        let row = row.ok_or(StorageFault::NoHead).during(operation)?;
        let epoch = Epoch(row.epoch);
        Ok(AccountCounts { epoch, sessions_ended: row.sessions_ended, users_changed: row.users_changed })
    }

    /// Returns those of these sessions that are stored.
    pub async fn sessions_stored(&self, ids: &[SessionId]) -> Result<HashSet<SessionId>, Unavailable> {
        let mut stored = HashSet::with_capacity(ids.len());
        for ids in ids.chunks(KEYS_PER_STATEMENT) {
            let named = session::Column::Id.is_in(ids.iter().map(|id| id.0));
            let rows: Vec<Uuid> = session::Entity::find()
                .select_only()
                .column(session::Column::Id)
                .filter(named)
                .into_tuple()
                .all(&self.reader)
                .await
                .during("read sessions")?;
            stored.extend(rows.into_iter().map(SessionId));
        }
        Ok(stored)
    }

    /// Reads the ended sessions with a number after `seen`, at most `limit`, in the order of their numbers.
    pub async fn sessions_ended(&self, seen: i64, limit: u64) -> Result<Vec<(i64, SessionId)>, Unavailable> {
        let rows = session_end::Entity::find()
            .filter(session_end::Column::Number.gt(seen))
            .order_by_asc(session_end::Column::Number)
            .limit(limit)
            .all(&self.reader)
            .await
            .during("read the ended sessions")?;
        Ok(rows.into_iter().map(|row| (row.number, SessionId(row.session_id))).collect())
    }

    /// Waits for the statements under way and closes every connection.
    pub async fn close(self) {
        for connection in [self.writer, self.reader] {
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "closing the database");
            }
        }
        if let Some(lock) = &self.lock {
            lock.release();
        }
    }
}

fn session_row(row: &session::Model) -> SessionRow {
    SessionRow {
        id: SessionId(row.id),
        user: UserId(row.user_id),
        created_at: Timestamp(row.created_at),
        last_used_at: Timestamp(row.last_used_at),
        expires_at: Timestamp(row.expires_at),
    }
}

async fn count_ended(db: &impl ConnectionTrait) -> Result<i64, StorageFault> {
    let row = log_head::Entity::find_by_id(1).one(db).await?;
    row.map(|row| row.sessions_ended).ok_or(StorageFault::NoHead)
}

/// Ends all sessions of a user in a transaction that locks the head, and stores this for the other nodes. Returns the
/// sessions.
pub(super) async fn end_all_in(
    transaction: &impl ConnectionTrait,
    user: UserId,
) -> Result<Vec<SessionId>, StorageFault> {
    let theirs = session::Entity::find().filter(session::Column::UserId.eq(user.0)).all(transaction).await?;
    let ended = count_ended(transaction).await?;
    let words: Vec<_> = theirs
        .iter()
        .zip(ended + 1..)
        .map(|(row, number)| session_end::ActiveModel {
            number: Set(number),
            session_id: Set(row.id),
            expires_at: Set(row.expires_at),
        })
        .collect();
    let number = ended + i64::try_from(words.len()).unwrap_or(0);
    let counted = log_head::ActiveModel { id: Set(1), sessions_ended: Set(number), ..Default::default() };
    log_head::Entity::update(counted).exec(transaction).await?;
    for word in words {
        session_end::Entity::insert(word).exec_without_returning(transaction).await?;
    }
    session::Entity::delete_many().filter(session::Column::UserId.eq(user.0)).exec(transaction).await?;
    Ok(theirs.into_iter().map(|row| SessionId(row.id)).collect())
}
