//! Makes and updates many users at once, all or none. `accounts` decides how.

use std::collections::{HashMap, HashSet};

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};

use super::batch::KEYS_PER_STATEMENT;
use super::entities::{log_head, user};
use super::error::{During, StorageFault, report};
use super::head::Locked;
use super::users::{UserRow, is_taken, user_row};
use super::writes::Writes;
use super::{Database, Unavailable};
use crate::messaging::{ExternalId, Handle, Timestamp, UserId};

/// How often it is tried again, where somebody registers at the same moment with the same handle.
const TRIES: u32 = 3;

/// What may change of a user who is known.
const USER_CHANGES: &str = " ON CONFLICT (id) DO UPDATE SET handle = excluded.handle, \
     display_name = excluded.display_name, changed = excluded.changed";

/// What the database knows of the users who are to be made or updated.
#[derive(Debug)]
pub struct FoundUsers {
    /// Those who are known already.
    pub users: HashMap<ExternalId, UserRow>,
    /// Who has which of the handles that were asked about.
    pub handles: HashMap<Handle, UserId>,
    /// The time now.
    pub now: Timestamp,
}

/// What is to be written.
#[derive(Debug, Default)]
pub struct Provisioned {
    /// Every user who was asked for, as they are from here on, in the order of the request.
    pub users: Vec<UserRow>,
    /// Those of them who are new.
    pub new: HashSet<UserId>,
    /// Those of them who were known and are changed.
    pub changed: HashSet<UserId>,
}

impl Database {
    /// Makes and updates users in one transaction. `decide` is told who of them is known, and who has these handles. It
    /// may be called again.
    ///
    /// # Errors
    /// The inner error is that of `decide`. Nothing was written then.
    pub async fn provision<E>(
        &self,
        ids: &[ExternalId],
        handles: &[Handle],
        decide: impl Fn(FoundUsers) -> Result<Provisioned, E>,
    ) -> Result<Result<Provisioned, E>, Unavailable> {
        let operation = "make and update users";
        for _ in 1..TRIES {
            match self.try_provision(ids, handles, &decide).await {
                Err(StorageFault::Database(error)) if is_taken(&error) => {}
                outcome => return outcome.during(operation),
            }
        }
        self.try_provision(ids, handles, &decide).await.map_err(|fault| report(operation, fault))
    }

    async fn try_provision<E>(
        &self,
        ids: &[ExternalId],
        handles: &[Handle],
        decide: impl Fn(FoundUsers) -> Result<Provisioned, E>,
    ) -> Result<Result<Provisioned, E>, StorageFault> {
        let Locked { transaction, now, .. } = self.lock().await?;
        let mut known = FoundUsers { users: HashMap::new(), handles: HashMap::new(), now };
        let ids: Vec<&str> = ids.iter().map(ExternalId::as_str).collect();
        for row in with(&transaction, user::Column::ExternalId, &ids).await? {
            let row = user_row(row);
            known.users.extend(row.external_id.clone().map(|id| (id, row)));
        }
        let handles: Vec<&str> = handles.iter().map(Handle::as_str).collect();
        for row in with(&transaction, user::Column::Handle, &handles).await? {
            known.handles.insert(Handle::trusted(row.handle), UserId(row.id));
        }
        let provisioned = match decide(known) {
            Ok(provisioned) => provisioned,
            Err(refusal) => {
                transaction.rollback().await?;
                return Ok(Err(refusal));
            }
        };
        write(&transaction, &provisioned).await?;
        transaction.commit().await?;
        Ok(Ok(provisioned))
    }
}

/// The users with these texts in a column.
async fn with(
    db: &impl ConnectionTrait,
    column: user::Column,
    texts: &[&str],
) -> Result<Vec<user::Model>, DbErr> {
    let mut found = Vec::new();
    for texts in texts.chunks(KEYS_PER_STATEMENT) {
        // An index that holds only rows with a value serves only a statement that asks for these.
        let named = user::Entity::find().filter(column.is_not_null());
        found.extend(named.filter(column.is_in(texts.iter().copied())).all(db).await?);
    }
    Ok(found)
}

/// Writes new and changed users, and counts each change for every node to see.
async fn write(db: &impl ConnectionTrait, provisioned: &Provisioned) -> Result<(), StorageFault> {
    let head = log_head::Entity::find_by_id(1).one(db).await?.ok_or(StorageFault::NoHead)?;
    let mut number = head.users_changed;
    let mut rows = Vec::new();
    for row in &provisioned.users {
        let is_changed = provisioned.changed.contains(&row.id);
        if is_changed || provisioned.new.contains(&row.id) {
            number += i64::from(is_changed);
            rows.push(active(row, is_changed.then_some(number)));
        }
    }
    let mut writes = Writes::new(db);
    writes.insert(rows.into_iter(), USER_CHANGES).await?;
    writes.send().await?;
    if number > head.users_changed {
        let counted = log_head::ActiveModel { id: Set(1), users_changed: Set(number), ..Default::default() };
        log_head::Entity::update(counted).exec(db).await?;
    }
    Ok(())
}

fn active(row: &UserRow, changed: Option<i64>) -> user::ActiveModel {
    user::ActiveModel {
        id: Set(row.id.0),
        handle: Set(row.handle.to_string()),
        display_name: Set(row.display_name.to_string()),
        password_hash: Set(row.password_hash.clone().unwrap_or_default()),
        created_at: Set(row.created_at.0),
        registration: Set(row.registration.clone()),
        external_id: Set(row.external_id.as_ref().map(ToString::to_string)),
        disabled_at: Set(row.disabled_at.map(|at| at.0)),
        changed: Set(changed),
        share_delivered: Set(row.sharing.delivered),
        share_read: Set(row.sharing.read),
    }
}
