//! Adds what people and owners do inside conversations.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// `owner_since` is the position of the event since which a stay is that of an owner. Whoever started a conversation
/// owns it. When its owner leaves, whoever has taken part for longest owns it from there on: for the stays that there
/// are, this is applied again and again, from each leaving to the next. Kind 1 is
/// the start of a conversation, and kind 10 a change of what is kept of it.
const UP: &str = "
ALTER TABLE participants ADD COLUMN owner_since {bigint};
ALTER TABLE messages ADD COLUMN metadata text;
ALTER TABLE messages ADD COLUMN redacted_at_micros {bigint};
ALTER TABLE conversations ADD COLUMN metadata text;

CREATE TABLE own_participations (
    user_id {id} NOT NULL,
    conversation_id {id} NOT NULL,
    muted_until {bigint},
    metadata text,
    PRIMARY KEY (user_id, conversation_id)
);

CREATE INDEX events_by_update ON events (conversation_id, position) WHERE kind = 10;

CREATE INDEX participants_present ON participants (conversation_id, joined_position, user_id)
    WHERE left_position IS NULL;

WITH RECURSIVE owners (conversation_id, user_id, joined_position, since, until) AS (
    SELECT p.conversation_id, p.user_id, p.joined_position, p.joined_position, p.left_position
    FROM events e JOIN participants p
        ON p.conversation_id = e.conversation_id AND p.user_id = e.actor_id AND p.joined_position = e.position
    WHERE e.kind = 1
    UNION ALL
    SELECT p.conversation_id, p.user_id, p.joined_position, o.until, p.left_position
    FROM owners o JOIN participants p ON p.conversation_id = o.conversation_id
        AND p.joined_position < o.until AND (p.left_position IS NULL OR p.left_position > o.until)
    WHERE o.until IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM participants q WHERE q.conversation_id = o.conversation_id
            AND q.joined_position < o.until AND (q.left_position IS NULL OR q.left_position > o.until)
            AND (q.joined_position, q.user_id) < (p.joined_position, p.user_id)
    )
)
UPDATE participants SET owner_since = owners.since FROM owners
    WHERE participants.conversation_id = owners.conversation_id AND participants.user_id = owners.user_id
        AND participants.joined_position = owners.joined_position;
";

#[allow(elided_lifetimes_in_paths, reason = "the trait, expanded by async_trait, leaves this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_script(manager, UP).await
    }
}
