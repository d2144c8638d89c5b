//! Adds webhooks: where each stands in the log, which node calls it, and the calls that it has not accepted yet.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// `has_bodies` and `is_configured` are 0 or 1. Times are microseconds since 1970 in UTC.
const UP: &str = "
CREATE TABLE webhooks (
    id {id} NOT NULL PRIMARY KEY,
    url text NOT NULL,
    secrets text NOT NULL,
    has_bodies {bigint} NOT NULL,
    is_configured {bigint} NOT NULL,
    token_key {bytes} NOT NULL,
    epoch {bigint} NOT NULL,
    position {bigint} NOT NULL,
    chain {bigint} NOT NULL,
    created_at {bigint} NOT NULL,
    disabled_at {bigint},
    disabled_because text,
    lease_owner {id},
    lease_until {bigint}
);
CREATE UNIQUE INDEX webhooks_configured ON webhooks (url) WHERE is_configured = 1;

CREATE TABLE webhook_rules (
    webhook_id {id} NOT NULL REFERENCES webhooks (id),
    after_seconds {bigint} NOT NULL,
    position {bigint} NOT NULL,
    PRIMARY KEY (webhook_id, after_seconds)
);

CREATE TABLE webhook_calls (
    webhook_id {id} NOT NULL REFERENCES webhooks (id),
    number {bigint} NOT NULL,
    kind {bigint} NOT NULL,
    epoch {bigint} NOT NULL,
    position {bigint} NOT NULL,
    conversation_id {id} NOT NULL,
    recipient_id {id} NOT NULL,
    after_seconds {bigint} NOT NULL,
    attempts {bigint} NOT NULL,
    next_at {bigint},
    dead_at {bigint},
    last_error text,
    created_at {bigint} NOT NULL,
    PRIMARY KEY (webhook_id, number)
);
CREATE INDEX webhook_calls_due ON webhook_calls (webhook_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_calls_by_lane ON webhook_calls (webhook_id, conversation_id, recipient_id, number);
";

#[allow(elided_lifetimes_in_paths, reason = "the trait, expanded by async_trait, leaves this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_script(manager, UP).await
    }
}
