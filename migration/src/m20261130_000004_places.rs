//! Adds `chain` and `home`, by which herald recognises a place in the log. Turns times into microseconds that strictly
//! increase.
//!
//! An earlier version of herald on the same Postgres can then no longer read or write messages and events, and fails
//! with an error. Otherwise it would read microseconds as milliseconds, and store events without a chain.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Existing events have chain 0. Where their times are equal or go back, each moves forward by as little as makes them
/// increase.
const UP: &str = "
ALTER TABLE log_head ADD COLUMN chain {bigint} NOT NULL DEFAULT 0;
ALTER TABLE log_head ADD COLUMN at_micros {bigint} NOT NULL DEFAULT 0;
ALTER TABLE log_head ADD COLUMN home text;

ALTER TABLE events ADD COLUMN chain {bigint} NOT NULL DEFAULT 0;
ALTER TABLE events RENAME COLUMN at TO at_micros;
ALTER TABLE messages RENAME COLUMN sent_at TO sent_at_micros;

UPDATE events SET at_micros = moved.at_micros FROM (
    SELECT position, MAX(at_micros * 1000 - position) OVER (ORDER BY position) + position AS at_micros FROM events
) AS moved WHERE moved.position = events.position;
UPDATE messages SET sent_at_micros =
    (SELECT e.at_micros FROM events e WHERE e.position = messages.position);
UPDATE participants SET joined_at =
    (SELECT e.at_micros FROM events e WHERE e.position = participants.joined_position);
UPDATE conversations SET created_at =
    (SELECT e.at_micros FROM events e WHERE e.conversation_id = conversations.id ORDER BY e.position LIMIT 1);
UPDATE log_head SET at_micros =
    COALESCE((SELECT e.at_micros FROM events e ORDER BY e.position DESC LIMIT 1), 0);
UPDATE users SET created_at = created_at * 1000;
UPDATE sessions SET created_at = created_at * 1000, last_used_at = last_used_at * 1000,
    expires_at = expires_at * 1000;
UPDATE session_ends SET expires_at = expires_at * 1000;
";

/// Refuses an event without a chain. So an earlier version of herald, which gives none, can store no event.
const ON_POSTGRES: &str = "ALTER TABLE events ALTER COLUMN chain DROP DEFAULT";

#[allow(elided_lifetimes_in_paths, reason = "the trait, expanded by async_trait, leaves this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_script(manager, UP).await?;
        match manager.get_database_backend() {
            sea_orm::DbBackend::Postgres => crate::run_script(manager, ON_POSTGRES).await,
            _ => Ok(()),
        }
    }
}
