//! Creates a table of the sessions that were ended, in order. Each node reads those that it does not know yet.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// `number` counts 1, 2, 3, … without gaps. Rows become visible in this order, because the row of `log_head` has the
/// count.
const UP: &str = "
ALTER TABLE log_head ADD COLUMN sessions_ended {bigint} NOT NULL DEFAULT 0;

CREATE TABLE session_ends (
    number {bigint} NOT NULL PRIMARY KEY,
    session_id {id} NOT NULL,
    expires_at {bigint} NOT NULL
);
CREATE INDEX session_ends_by_expiry ON session_ends (expires_at);
";

#[allow(elided_lifetimes_in_paths, reason = "the trait, expanded by async_trait, leaves this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::finish_script(manager, UP).await
    }
}
