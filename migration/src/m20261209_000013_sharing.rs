//! Adds whether people tell others what they receive and read.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Until now everybody told everything. A stay has the position after which messages are told of, and null while they
/// are not. Null in `own_participations` leaves it at what the user shares everywhere.
const UP: &str = "
ALTER TABLE users ADD COLUMN share_delivered boolean NOT NULL DEFAULT true;
ALTER TABLE users ADD COLUMN share_read boolean NOT NULL DEFAULT true;
ALTER TABLE own_participations ADD COLUMN share_delivered boolean;
ALTER TABLE own_participations ADD COLUMN share_read boolean;
ALTER TABLE participants ADD COLUMN delivered_shared_after {bigint} DEFAULT 0;
ALTER TABLE participants ADD COLUMN read_shared_after {bigint} DEFAULT 0;
";

#[allow(elided_lifetimes_in_paths, reason = "the trait, expanded by async_trait, leaves this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_script(manager, UP).await
    }
}
