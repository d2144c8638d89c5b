//! Reads and writes the rows of users and sessions. `accounts` decides what they mean.

use std::collections::{HashMap, HashSet};

use sea_orm::ActiveValue::Set;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, SqlErr,
};

use uuid::Uuid;

use super::batch::{Each, KEYS_PER_STATEMENT, ask};
use super::entities::{log_head, session, session_end, user};
use super::error::{During, StorageFault};
use super::head::Locked;
use super::sql::Sql;
use super::{Database, Unavailable};
use crate::messaging::{DisplayName, Epoch, Handle, SessionId, Timestamp, UserId};

/// A user as stored.
#[derive(Debug, Clone)]
pub struct UserRow {
    /// The user's id.
    pub id: UserId,
    /// The unique name by which others find the user.
    pub handle: Handle,
    /// The name that others see.
    pub display_name: DisplayName,
    /// The hash of the password, in PHC form.
    pub password_hash: String,
    /// When the user registered.
    pub created_at: Timestamp,
    /// The digest of the registration; `None` where it had no idempotency key.
    pub registration: Option<Vec<u8>>,
}

/// A session as stored. The database has the hash of the token, never the token.
#[derive(Debug, Clone)]
pub struct SessionRow {
    /// The session's id.
    pub id: SessionId,
    /// The user who is signed in.
    pub user: UserId,
    /// The last use that the database knows of.
    pub last_used_at: Timestamp,
    /// When the session ends, even if it is in use.
    pub expires_at: Timestamp,
}

/// How many sessions were ended in one epoch of the log. In another epoch the same number may stand for other sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedSessions {
    /// The epoch of the log.
    pub epoch: Epoch,
    /// The number of sessions that were ended.
    pub count: i64,
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
    /// Stores a user. `false` when the handle is taken, also by someone who registers at this very moment.
    pub async fn insert_user(&self, row: &UserRow) -> Result<bool, Unavailable> {
        let model = user::ActiveModel {
            id: Set(row.id.0),
            handle: Set(row.handle.to_string()),
            display_name: Set(row.display_name.to_string()),
            password_hash: Set(row.password_hash.clone()),
            created_at: Set(row.created_at.0),
            registration: Set(row.registration.clone()),
        };
        match user::Entity::insert(model).exec_without_returning(&self.writer).await {
            Ok(_) => Ok(true),
            Err(error) if is_taken(&error) => Ok(false),
            Err(error) => Err(error).during("store a user"),
        }
    }

    /// Reads the users with these handles. A handle that nobody has yields nothing.
    pub async fn users_by_handle(
        &self,
        handles: impl IntoIterator<Item = &Handle>,
    ) -> Result<Vec<UserRow>, Unavailable> {
        let operation = "read users by their handles";
        let handles: Vec<&str> = handles.into_iter().map(Handle::as_str).collect();
        let mut found = Vec::with_capacity(handles.len());
        for handles in handles.chunks(KEYS_PER_STATEMENT) {
            let named = user::Column::Handle.is_in(handles.iter().copied());
            let rows = user::Entity::find().filter(named).all(&self.reader).await.during(operation)?;
            found.extend(rows.into_iter().map(user_row));
        }
        Ok(found)
    }

    /// Reads these users; `None` for a user that does not exist.
    pub async fn users_by_id(&self, keys: &[UserId]) -> Each<Option<UserRow>> {
        let write = |sql: &mut Sql, keys: &[UserId]| {
            sql.push("SELECT u.* FROM users u WHERE u.id IN ").bind_list(keys.iter().map(|id| id.0));
        };
        let operation = "read users";
        let sort = |keys: &[UserId], rows: Vec<user::Model>| {
            let mut found: HashMap<_, _> = rows.into_iter().map(|row| (row.id, row)).collect();
            keys.iter().map(|key| found.remove(&key.0)).collect()
        };
        let found = ask(operation, &self.reader, keys, KEYS_PER_STATEMENT, write, sort).await;
        found.into_iter().map(|row| row.map(|row| row.map(user_row))).collect()
    }

    /// Stores a session, and deletes the sessions that have expired by `now`.
    pub async fn insert_session(&self, new: &NewSession, now: Timestamp) -> Result<(), Unavailable> {
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
        let model = session::ActiveModel {
            id: Set(new.row.id.0),
            token_hash: Set(new.token_hash.to_vec()),
            user_id: Set(new.row.user.0),
            created_at: Set(now.0),
            last_used_at: Set(new.row.last_used_at.0),
            expires_at: Set(new.row.expires_at.0),
        };
        session::Entity::insert(model)
            .exec_without_returning(&self.writer)
            .await
            .during("store a session")?;
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
        let row = SessionRow {
            id: SessionId(found.id),
            user: UserId(found.user_id),
            last_used_at: Timestamp(found.last_used_at),
            expires_at: Timestamp(found.expires_at),
        };
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

    /// Counts the sessions that were ended so far in this epoch of the log.
    pub async fn count_of_ended_sessions(&self) -> Result<EndedSessions, Unavailable> {
        let operation = "count the ended sessions";
        let row = log_head::Entity::find_by_id(1).one(&self.reader).await.during(operation)?;
        let row = row.ok_or(StorageFault::NoHead).during(operation)?;
        Ok(EndedSessions { epoch: Epoch(row.epoch), count: row.sessions_ended })
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

async fn count_ended(db: &impl ConnectionTrait) -> Result<i64, StorageFault> {
    let row = log_head::Entity::find_by_id(1).one(db).await?;
    row.map(|row| row.sessions_ended).ok_or(StorageFault::NoHead)
}

fn is_taken(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

fn user_row(row: user::Model) -> UserRow {
    UserRow {
        id: UserId(row.id),
        handle: Handle::trusted(row.handle),
        display_name: DisplayName::trusted(row.display_name),
        password_hash: row.password_hash,
        created_at: Timestamp(row.created_at),
        registration: row.registration,
    }
}
