//! Adds who has blocked whom.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: &str = "
CREATE TABLE blocks (
    blocker_id {id} NOT NULL REFERENCES users (id),
    blocked_id {id} NOT NULL REFERENCES users (id),
    created_at {bigint} NOT NULL,
    PRIMARY KEY (blocker_id, blocked_id)
);
";

#[allow(elided_lifetimes_in_paths, reason = "the trait, expanded by async_trait, leaves this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_script(manager, UP).await
    }
}
