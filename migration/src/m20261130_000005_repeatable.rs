//! Makes it safe to repeat a request that creates something. It adds which conversations are the distinct one of their
//! people, what was started under each key, and what was registered under each key.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// `people`, `request` and `registration` are SHA-256. `starts` only grows, like `messages`.
const UP: &str = "
ALTER TABLE conversations ADD COLUMN people {bytes};
CREATE INDEX conversations_by_people ON conversations (people) WHERE people IS NOT NULL;

CREATE TABLE starts (
    actor_id {id} NOT NULL,
    idempotency_key text NOT NULL,
    request {bytes} NOT NULL,
    conversation_id {id} NOT NULL,
    PRIMARY KEY (actor_id, idempotency_key)
);

ALTER TABLE users ADD COLUMN registration {bytes};
";

#[allow(elided_lifetimes_in_paths, reason = "the trait, expanded by async_trait, leaves this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_script(manager, UP).await
    }
}
