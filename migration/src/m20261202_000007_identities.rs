//! Adds what herald knows of users whom another system signs in, and the order in which users changed.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// `users.changed` is the number of the user's newest change, and `log_head.users_changed` the number of the newest
/// change of any user. An empty `password_hash` stands for no password.
const UP: &str = "
ALTER TABLE users ADD COLUMN external_id text;
ALTER TABLE users ADD COLUMN disabled_at {bigint};
ALTER TABLE users ADD COLUMN changed {bigint};
CREATE UNIQUE INDEX users_by_external_id ON users (external_id) WHERE external_id IS NOT NULL;
CREATE INDEX users_by_change ON users (changed) WHERE changed IS NOT NULL;
ALTER TABLE log_head ADD COLUMN users_changed {bigint} NOT NULL DEFAULT 0;
CREATE INDEX sessions_by_user ON sessions (user_id);
";

#[allow(elided_lifetimes_in_paths, reason = "the trait, expanded by async_trait, leaves this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_script(manager, UP).await
    }
}
