//! Adds a column for the data of later kinds of events, and an index for changes of a conversation's title.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// `data` is JSON that only the kind of the event reads. Kind 7 is a changed title.
const UP: &str = "
ALTER TABLE events ADD COLUMN data text;
CREATE INDEX events_by_title ON events (conversation_id, position) WHERE kind = 7;
";

#[allow(elided_lifetimes_in_paths, reason = "the trait, expanded by async_trait, leaves this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_script(manager, UP).await
    }
}
