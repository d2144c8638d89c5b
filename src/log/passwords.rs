//! What holds only while a user is as they were when their password was checked. A check of a password takes long, and
//! the user may be changed meanwhile, by any node. `accounts` checks.

use sea_orm::ActiveValue::Set;
use sea_orm::{ConnectionTrait, EntityTrait};

use super::entities::{session, user};
use super::error::{During, StorageFault};
use super::head::Locked;
use super::sessions::{NewSession, end_all_in};
use super::users::{UserRow, count_change, user_row};
use super::{Database, Unavailable};
use crate::messaging::SessionId;

/// What has become of a user since they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing<T> {
    /// They have the same password and are not disabled, and this was done.
    Same(T),
    /// They are disabled. Nothing was done.
    Disabled,
    /// They have another password, or are no longer stored. Nothing was done.
    Changed,
}

impl Database {
    /// Stores a session of a user, unless the user was disabled or got another password after `checked` was read.
    pub async fn begin_session(
        &self,
        new: &NewSession,
        checked: &UserRow,
    ) -> Result<Standing<()>, Unavailable> {
        self.try_begin_session(new, checked).await.during("store a session")
    }

    async fn try_begin_session(
        &self,
        new: &NewSession,
        checked: &UserRow,
    ) -> Result<Standing<()>, StorageFault> {
        // Whoever changes a user holds this lock, too. So this session is stored before the change, which ends it, or
        // not at all.
        let Locked { transaction, .. } = self.lock().await?;
        let standing = standing(&transaction, checked).await?;
        if let Standing::Same(_) = &standing {
            let model = session::ActiveModel {
                id: Set(new.row.id.0),
                token_hash: Set(new.token_hash.to_vec()),
                user_id: Set(new.row.user.0),
                created_at: Set(new.row.created_at.0),
                last_used_at: Set(new.row.last_used_at.0),
                expires_at: Set(new.row.expires_at.0),
            };
            session::Entity::insert(model).exec_without_returning(&transaction).await?;
        }
        transaction.commit().await?;
        Ok(standing.map(|_| ()))
    }

    /// Gives a user another password and ends all of the user's sessions, both or none, unless the user was disabled or
    /// got another password after `checked` was read. Counts the change and the ends for every node to see. Returns the
    /// user of after, and the sessions.
    pub async fn change_password(
        &self,
        checked: &UserRow,
        hash: &str,
    ) -> Result<Standing<(UserRow, Vec<SessionId>)>, Unavailable> {
        self.try_change_password(checked, hash).await.during("change a password")
    }

    async fn try_change_password(
        &self,
        checked: &UserRow,
        hash: &str,
    ) -> Result<Standing<(UserRow, Vec<SessionId>)>, StorageFault> {
        let Locked { transaction, .. } = self.lock().await?;
        let known = match standing(&transaction, checked).await? {
            Standing::Same(known) => known,
            other => {
                transaction.rollback().await?;
                return Ok(other.map(|known| (user_row(known), Vec::new())));
            }
        };
        let number = count_change(&transaction).await?;
        let changed = user::Model { password_hash: hash.to_owned(), changed: Some(number), ..known };
        let update = user::ActiveModel {
            id: Set(changed.id),
            password_hash: Set(changed.password_hash.clone()),
            changed: Set(changed.changed),
            ..Default::default()
        };
        user::Entity::update(update).exec(&transaction).await?;
        let ended = end_all_in(&transaction, checked.id).await?;
        transaction.commit().await?;
        Ok(Standing::Same((user_row(changed), ended)))
    }
}

impl<T> Standing<T> {
    fn map<U>(self, done: impl FnOnce(T) -> U) -> Standing<U> {
        match self {
            Self::Same(it) => Standing::Same(done(it)),
            Self::Disabled => Standing::Disabled,
            Self::Changed => Standing::Changed,
        }
    }
}

/// The user as they are now, if they may still do what a right password lets them do.
async fn standing(
    db: &impl ConnectionTrait,
    checked: &UserRow,
) -> Result<Standing<user::Model>, StorageFault> {
    let Some(known) = user::Entity::find_by_id(checked.id.0).one(db).await? else {
        return Ok(Standing::Changed);
    };
    if known.disabled_at.is_some() {
        return Ok(Standing::Disabled);
    }
    if known.password_hash != checked.password_hash.as_deref().unwrap_or_default() {
        return Ok(Standing::Changed);
    }
    Ok(Standing::Same(known))
}
