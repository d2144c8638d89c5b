//! Reads and writes the rows of users, and the order in which users changed. `accounts` decides what they mean.

use std::collections::HashMap;

use sea_orm::ActiveValue::Set;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, SqlErr,
};

use super::batch::{Each, KEYS_PER_STATEMENT, ask};
use super::entities::{log_head, session, user};
use super::error::{During, StorageFault};
use super::head::Locked;
use super::sharing::share_as_chosen;
use super::sql::Sql;
use super::{Database, Unavailable};
use crate::messaging::{DisplayName, ExternalId, Handle, Sharing, Timestamp, UserId};

/// A user as stored.
#[derive(Debug, Clone)]
pub struct UserRow {
    /// The user's id.
    pub id: UserId,
    /// The unique name by which others find the user.
    pub handle: Handle,
    /// The name that others see.
    pub display_name: DisplayName,
    /// The hash of the password, in PHC form; `None` for a user who cannot sign in with a password.
    pub password_hash: Option<String>,
    /// When the user was created.
    pub created_at: Timestamp,
    /// The digest of the registration; `None` where it had no idempotency key.
    pub registration: Option<Vec<u8>>,
    /// The id under which another system knows the user.
    pub external_id: Option<ExternalId>,
    /// Since when the user is disabled; `None` while the user is not.
    pub disabled_at: Option<Timestamp>,
    /// What the user shares with others, unless they say otherwise for a conversation.
    pub sharing: Sharing,
}

/// What to change of a user. `None` leaves a value as it is.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// The name that others see from here on.
    pub display_name: Option<DisplayName>,
    /// Whether the user is disabled from here on. Disabling ends all of the user's sessions.
    pub disabled: Option<bool>,
    /// Whether others are told of what the user receives from here on, unless the user says otherwise for a conversation.
    pub share_delivered: Option<bool>,
    /// The same for what the user reads.
    pub share_read: Option<bool>,
}

impl Database {
    /// Stores a user. `false` when the handle or the external id is taken, also by someone who comes at this very
    /// moment.
    pub async fn insert_user(&self, row: &UserRow) -> Result<bool, Unavailable> {
        let model = user::ActiveModel {
            id: Set(row.id.0),
            handle: Set(row.handle.to_string()),
            display_name: Set(row.display_name.to_string()),
            password_hash: Set(row.password_hash.clone().unwrap_or_default()),
            created_at: Set(row.created_at.0),
            registration: Set(row.registration.clone()),
            external_id: Set(row.external_id.as_ref().map(ToString::to_string)),
            disabled_at: Set(row.disabled_at.map(|at| at.0)),
            changed: Set(None),
            share_delivered: Set(row.sharing.delivered),
            share_read: Set(row.sharing.read),
        };
        match user::Entity::insert(model).exec_without_returning(&self.writer).await {
            Ok(_) => Ok(true),
            Err(error) if is_taken(&error) => Ok(false),
            Err(error) => Err(error).during("store a user"),
        }
    }

    /// Changes a user, and counts this as one more change for every node to see. Returns the user of after; `None` when
    /// there is no such user.
    pub async fn change_user(&self, id: UserId, change: &UserChange) -> Result<Option<UserRow>, Unavailable> {
        self.count_and_change(id, change).await.during("change a user")
    }

    async fn count_and_change(
        &self,
        id: UserId,
        change: &UserChange,
    ) -> Result<Option<UserRow>, StorageFault> {
        let Locked { transaction, head, now, .. } = self.lock().await?;
        let known = user::Entity::find_by_id(id.0).one(&transaction).await?;
        let was_erased = |user: &user::Model| Handle::trusted(user.handle.as_str()).is_of_erased(id);
        // Nothing brings back who was erased. To erase somebody once more begins with this change, and does no harm.
        let Some(known) = known.filter(|user| !was_erased(user) || change.disabled == Some(true)) else {
            transaction.rollback().await?;
            return Ok(None);
        };
        let number = count_change(&transaction).await?;
        let disabled_at = match change.disabled {
            None => known.disabled_at,
            Some(false) => None,
            Some(true) => Some(known.disabled_at.unwrap_or(now.0)),
        };
        let name = change.display_name.as_ref().map(ToString::to_string);
        let changed = user::Model {
            display_name: name.unwrap_or_else(|| known.display_name.clone()),
            disabled_at,
            changed: Some(number),
            share_delivered: change.share_delivered.unwrap_or(known.share_delivered),
            share_read: change.share_read.unwrap_or(known.share_read),
            ..known
        };
        let update = user::ActiveModel {
            id: Set(id.0),
            display_name: Set(changed.display_name.clone()),
            disabled_at: Set(changed.disabled_at),
            changed: Set(changed.changed),
            share_delivered: Set(changed.share_delivered),
            share_read: Set(changed.share_read),
            ..Default::default()
        };
        user::Entity::update(update).exec(&transaction).await?;
        if change.share_delivered.is_some() || change.share_read.is_some() {
            share_as_chosen(&transaction, id, None, head.position).await?;
        }
        if change.disabled == Some(true) {
            session::Entity::delete_many()
                .filter(session::Column::UserId.eq(id.0))
                .exec(&transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(Some(user_row(changed)))
    }

    /// Reads the users with a change after `seen`, at most `limit`, in the order of their newest changes, each with the
    /// number of that change.
    pub async fn users_changed(&self, seen: i64, limit: u64) -> Result<Vec<(i64, UserRow)>, Unavailable> {
        let rows = user::Entity::find()
            .filter(user::Column::Changed.gt(seen))
            .order_by_asc(user::Column::Changed)
            .limit(limit)
            .all(&self.reader)
            .await
            .during("read the changed users")?;
        Ok(rows.into_iter().map(|row| (row.changed.unwrap_or(seen), user_row(row))).collect())
    }

    /// Reads the users with these handles. A handle that nobody has yields nothing.
    pub async fn users_by_handle(
        &self,
        handles: impl IntoIterator<Item = &Handle>,
    ) -> Result<Vec<UserRow>, Unavailable> {
        let handles: Vec<&str> = handles.into_iter().map(Handle::as_str).collect();
        self.users_with(user::Column::Handle, &handles, "read users by their handles").await
    }

    /// Reads the users whom another system knows under these ids. An id that nobody has yields nothing.
    pub async fn users_by_external_id(
        &self,
        ids: impl IntoIterator<Item = &ExternalId>,
    ) -> Result<Vec<UserRow>, Unavailable> {
        let ids: Vec<&str> = ids.into_iter().map(ExternalId::as_str).collect();
        self.users_with(user::Column::ExternalId, &ids, "read users by their external ids").await
    }

    async fn users_with(
        &self,
        column: user::Column,
        texts: &[&str],
        operation: &'static str,
    ) -> Result<Vec<UserRow>, Unavailable> {
        let mut found = Vec::with_capacity(texts.len());
        for texts in texts.chunks(KEYS_PER_STATEMENT) {
            // An index that holds only rows with a value serves only a statement that asks for these.
            let named =
                user::Entity::find().filter(column.is_not_null()).filter(column.is_in(texts.iter().copied()));
            let rows = named.all(&self.reader).await.during(operation)?;
            found.extend(rows.into_iter().map(user_row));
        }
        Ok(found)
    }

    /// Reads these users; `None` for a user that does not exist.
    pub async fn users_by_id(&self, keys: &[UserId]) -> Each<Option<UserRow>> {
        let write = |sql: &mut Sql, keys: &[UserId]| {
            sql.push("SELECT ")
                .columns::<user::Entity>("u")
                .push(" FROM users u WHERE u.id IN ")
                .bind_list(keys.iter().map(|id| id.0));
        };
        let operation = "read users";
        let sort = |keys: &[UserId], rows: Vec<user::Model>| {
            let found: HashMap<_, _> = rows.into_iter().map(|row| (row.id, row)).collect();
            // A key may come twice.
            keys.iter().map(|key| found.get(&key.0).cloned()).collect()
        };
        let found = ask(operation, &self.reader, keys, KEYS_PER_STATEMENT, write, sort).await;
        found.into_iter().map(|row| row.map(|row| row.map(user_row))).collect()
    }
}

/// Counts one more change of a user in a transaction that locks the head. Returns its number.
pub(super) async fn count_change(transaction: &impl ConnectionTrait) -> Result<i64, StorageFault> {
    // The count is in the locked row, so a node that has seen a number has seen every smaller one.
    let head = log_head::Entity::find_by_id(1).one(transaction).await?.ok_or(StorageFault::NoHead)?;
    let number = head.users_changed + 1;
    let counted = log_head::ActiveModel { id: Set(1), users_changed: Set(number), ..Default::default() };
    log_head::Entity::update(counted).exec(transaction).await?;
    Ok(number)
}

pub(super) fn is_taken(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

pub(super) fn user_row(row: user::Model) -> UserRow {
    UserRow {
        id: UserId(row.id),
        handle: Handle::trusted(row.handle),
        display_name: DisplayName::trusted(row.display_name),
        password_hash: Some(row.password_hash).filter(|hash| !hash.is_empty()),
        created_at: Timestamp(row.created_at),
        registration: row.registration,
        external_id: row.external_id.map(ExternalId::trusted),
        disabled_at: row.disabled_at.map(Timestamp),
        sharing: Sharing { delivered: row.share_delivered, read: row.share_read },
    }
}
