//! Adds the keys of services, and the service by which an event came.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// `key_hash` is SHA-256. `scopes` are words with a space between them. Existing events came by no service.
const UP: &str = "
CREATE TABLE service_keys (
    id {id} NOT NULL PRIMARY KEY,
    name text NOT NULL,
    key_hash {bytes} NOT NULL UNIQUE,
    scopes text NOT NULL,
    created_at {bigint} NOT NULL,
    revoked_at {bigint}
);
CREATE UNIQUE INDEX service_keys_by_name ON service_keys (name) WHERE revoked_at IS NULL;

ALTER TABLE events ADD COLUMN via text;
";

#[allow(elided_lifetimes_in_paths, reason = "the trait, expanded by async_trait, leaves this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_script(manager, UP).await
    }
}
