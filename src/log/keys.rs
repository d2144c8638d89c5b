//! Reads and writes the rows of service keys. `accounts` decides what they mean.

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::entities::service_key;
use super::error::During;
use super::users::is_taken;
use super::{Database, Unavailable};
use crate::messaging::{KeyId, ServiceName, Timestamp};

/// The most keys that are read at a time. Operators make keys by hand, a few for each service.
const MAX_KEYS: u64 = 10_000;

/// A service key as stored. The database has the hash of the key, never the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// The key's id.
    pub id: KeyId,
    /// The name of the service. Of the keys that are not revoked, no two have the same.
    pub name: ServiceName,
    /// What the service may do, as words with a space between them.
    pub scopes: String,
    /// When the key was made.
    pub created_at: Timestamp,
    /// When the key was revoked; `None` while it is valid.
    pub revoked_at: Option<Timestamp>,
}

impl Database {
    /// Stores a key with this hash. `false` when a valid key has the name.
    pub async fn insert_key(&self, row: &KeyRow, key_hash: &[u8; 32]) -> Result<bool, Unavailable> {
        let model = service_key::ActiveModel {
            id: Set(row.id.0),
            name: Set(row.name.to_string()),
            key_hash: Set(key_hash.to_vec()),
            scopes: Set(row.scopes.clone()),
            created_at: Set(row.created_at.0),
            revoked_at: Set(row.revoked_at.map(|at| at.0)),
        };
        match service_key::Entity::insert(model).exec_without_returning(&self.writer).await {
            Ok(_) => Ok(true),
            Err(error) if is_taken(&error) => Ok(false),
            Err(error) => Err(error).during("store a service key"),
        }
    }

    /// Reads the keys, revoked ones too, in the order in which they were made.
    pub async fn keys(&self) -> Result<Vec<KeyRow>, Unavailable> {
        let rows = service_key::Entity::find()
            .order_by_asc(service_key::Column::CreatedAt)
            .order_by_asc(service_key::Column::Id)
            .limit(MAX_KEYS)
            .all(&self.reader)
            .await
            .during("read the service keys")?;
        Ok(rows.into_iter().map(key_row).collect())
    }

    /// Reads the valid key with this hash; `None` when there is none.
    pub async fn valid_key(&self, key_hash: &[u8; 32]) -> Result<Option<KeyRow>, Unavailable> {
        let found = service_key::Entity::find()
            .filter(service_key::Column::KeyHash.eq(key_hash.to_vec()))
            .filter(service_key::Column::RevokedAt.is_null())
            .one(&self.reader)
            .await
            .during("read a service key")?;
        Ok(found.map(key_row))
    }

    /// Returns those of these keys that are valid.
    pub async fn valid_keys(&self, ids: &[KeyId]) -> Result<Vec<KeyId>, Unavailable> {
        let rows: Vec<Uuid> = service_key::Entity::find()
            .select_only()
            .column(service_key::Column::Id)
            .filter(service_key::Column::Id.is_in(ids.iter().map(|id| id.0)))
            .filter(service_key::Column::RevokedAt.is_null())
            .into_tuple()
            .all(&self.reader)
            .await
            .during("read which service keys are valid")?;
        Ok(rows.into_iter().map(KeyId).collect())
    }

    /// Revokes the valid key with this name. `false` when there is none.
    pub async fn revoke_key(&self, name: &ServiceName, now: Timestamp) -> Result<bool, Unavailable> {
        let revoked = service_key::ActiveModel { revoked_at: Set(Some(now.0)), ..Default::default() };
        let done = service_key::Entity::update_many()
            .set(revoked)
            .filter(service_key::Column::Name.eq(name.as_str()))
            .filter(service_key::Column::RevokedAt.is_null())
            .exec(&self.writer)
            .await
            .during("revoke a service key")?;
        Ok(done.rows_affected > 0)
    }
}

fn key_row(row: service_key::Model) -> KeyRow {
    KeyRow {
        id: KeyId(row.id),
        name: ServiceName::trusted(row.name),
        scopes: row.scopes,
        created_at: Timestamp(row.created_at),
        revoked_at: row.revoked_at.map(Timestamp),
    }
}
