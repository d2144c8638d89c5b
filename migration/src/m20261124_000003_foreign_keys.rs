//! On Postgres, `events` and `messages` do without foreign keys. The writer decides under the log's lock whether there is
//! such a conversation and such a user, and neither is ever deleted; each key costs a query and a row lock per row, which
//! together cost more than the rows themselves. SQLite checks them for next to nothing, and cannot drop them.

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
