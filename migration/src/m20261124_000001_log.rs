//! Creates the tables of the log, of conversations, participants and messages, and of users and sessions.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// All positions are those of `events`. Times are milliseconds since 1970 in UTC; a later migration makes them
/// microseconds.
const UP: &str = "
CREATE TABLE log_head (
    id {bigint} PRIMARY KEY CHECK (id = 1),
    epoch {bigint} NOT NULL,
    position {bigint} NOT NULL
);

CREATE TABLE users (
    id {id} NOT NULL PRIMARY KEY,
    handle text NOT NULL UNIQUE,
    display_name text NOT NULL,
    password_hash text NOT NULL,
    created_at {bigint} NOT NULL
);

CREATE TABLE sessions (
    id {id} NOT NULL PRIMARY KEY,
    token_hash {bytes} NOT NULL UNIQUE,
    user_id {id} NOT NULL REFERENCES users (id),
    created_at {bigint} NOT NULL,
    last_used_at {bigint} NOT NULL,
    expires_at {bigint} NOT NULL
);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE conversations (
    id {id} NOT NULL PRIMARY KEY,
    title text,
    created_at {bigint} NOT NULL,
    latest_position {bigint} NOT NULL,
    participant_count {bigint} NOT NULL
);

CREATE TABLE participants (
    conversation_id {id} NOT NULL REFERENCES conversations (id),
    user_id {id} NOT NULL REFERENCES users (id),
    joined_position {bigint} NOT NULL,
    joined_at {bigint} NOT NULL,
    left_position {bigint},
    delivered_through {bigint} NOT NULL,
    read_through {bigint} NOT NULL,
    PRIMARY KEY (conversation_id, user_id, joined_position)
);
CREATE INDEX participants_by_user ON participants (user_id, conversation_id);
CREATE INDEX participants_by_join ON participants (conversation_id, joined_position, user_id);

CREATE TABLE messages (
    position {bigint} NOT NULL PRIMARY KEY,
    id {id} NOT NULL UNIQUE,
    conversation_id {id} NOT NULL REFERENCES conversations (id),
    sender_id {id} NOT NULL REFERENCES users (id),
    body text NOT NULL,
    idempotency_key text,
    sent_at {bigint} NOT NULL
);
CREATE INDEX messages_by_conversation ON messages (conversation_id, position, sender_id);
CREATE UNIQUE INDEX messages_by_idempotency_key ON messages (sender_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TABLE events (
    position {bigint} NOT NULL PRIMARY KEY,
    kind {bigint} NOT NULL,
    conversation_id {id} NOT NULL REFERENCES conversations (id),
    actor_id {id} NOT NULL REFERENCES users (id),
    origin_session {id},
    origin_connection text,
    users {bytes},
    from_position {bigint},
    through_position {bigint},
    at {bigint} NOT NULL
);
CREATE INDEX events_by_conversation ON events (conversation_id, position);
CREATE INDEX events_by_mark ON events (conversation_id, actor_id, kind, through_position)
    WHERE through_position IS NOT NULL;
";

#[allow(elided_lifetimes_in_paths, reason = "the trait, expanded by async_trait, leaves this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::finish_script(manager, UP).await
    }
}
