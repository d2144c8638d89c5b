//! Adds what is needed to find conversations without an owner, and what is older than it is kept.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Up to `owned_through` every conversation was seen to have its owner. Kind 1 is the start of a conversation and kind 3
/// a leaving: only these decide who owns it. Up to `redacted_through` all messages that were too old are redacted. Events
/// before `trimmed` may be gone. One node sees to both until `aging_until`.
const UP: &str = "
ALTER TABLE log_head ADD COLUMN owned_through {bigint} NOT NULL DEFAULT 0;
ALTER TABLE log_head ADD COLUMN redacted_through {bigint} NOT NULL DEFAULT 0;
ALTER TABLE log_head ADD COLUMN aging_until {bigint} NOT NULL DEFAULT 0;
ALTER TABLE log_head ADD COLUMN trimmed {bigint} NOT NULL DEFAULT 0;
CREATE INDEX events_by_owning ON events (position) WHERE kind IN (1, 3);
";

#[allow(elided_lifetimes_in_paths, reason = "the trait, expanded by async_trait, leaves this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_script(manager, UP).await
    }
}
