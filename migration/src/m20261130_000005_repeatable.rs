//! What makes creating repeatable: which conversations are the one of just their people, what was started under which
//! key, and what was asked for when somebody registered under one.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// `people`, `request` and `registration` are SHA-256. `starts` only grows, as `messages` does.
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
