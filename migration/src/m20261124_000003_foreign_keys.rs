//! On Postgres, removes the foreign keys of `events` and `messages`. The writer checks under the log's lock that the
//! conversation and the user exist, and neither is ever deleted. Each foreign key costs a query and a row lock for each
//! row, and together they cost more than the rows. SQLite checks them at almost no cost, and cannot drop them.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: &str = "
ALTER TABLE events DROP CONSTRAINT events_conversation_id_fkey, DROP CONSTRAINT events_actor_id_fkey;
ALTER TABLE messages DROP CONSTRAINT messages_conversation_id_fkey, DROP CONSTRAINT messages_sender_id_fkey;
";

#[allow(elided_lifetimes_in_paths, reason = "the trait, expanded by async_trait, leaves this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match manager.get_database_backend() {
            sea_orm::DbBackend::Postgres => crate::run_script(manager, UP).await,
            _ => Ok(()),
        }
    }
}
