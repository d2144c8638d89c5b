//! What became of the calls of a webhook, and how far it is: written all together, while this node holds the lease.

use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter,
    SqliteTransactionMode, TransactionOptions,
};

use super::calls::{CallState, Lane, StoredCall, Waiting};
use super::forget_stored;
use super::lease::{LeaseOwner, micros};
use crate::log::connection::TimeLimited;
use crate::log::entities::webhook_call;
use crate::log::error::{During, StorageFault};
use crate::log::sql::Sql;
use crate::log::writes::Writes;
use crate::log::{Database, Unavailable};
use crate::messaging::{Place, Position, Timestamp, WebhookId};

/// The most calls of a webhook that were given up and are kept. The oldest are forgotten first.
const MAX_DEAD: i64 = 10_000;

/// What became of the calls of a webhook. It is written all together.
#[derive(Debug, Clone, Default)]
pub struct Settlement {
    /// Whether all that was stored before is forgotten, calls and rules, because it is about a log that is lost.
    pub forgets: bool,
    /// Calls that wait from now on.
    pub stored: Vec<StoredCall>,
    /// Stored calls that were accepted, or that are about nothing any more.
    pub done: Vec<i64>,
    /// Stored calls that were not accepted.
    pub failed: Vec<(i64, CallState)>,
    /// Calls that were given up and wait again, as if they had never been tried.
    pub taken_back: Vec<i64>,
    /// Whether the first call of each lane is due if it has no time.
    pub frees_all: bool,
    /// Lanes whose first call is gone: the next one is due.
    pub freed: Vec<Lane>,
    /// The rules, in seconds, with the position up to which each was looked at.
    pub rules: Vec<(u32, Position)>,
}

impl Settlement {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.stored.is_empty()
            && self.done.is_empty()
            && self.failed.is_empty()
            && self.taken_back.is_empty()
            && !self.frees_all
            && self.rules.is_empty()
    }
}

impl Database {
    /// Writes what became of calls and how far the webhook is now, and renews the lease. `false` if this node does not
    /// hold the lease any more, or if the webhook is disabled: then nothing is written.
    pub async fn settle_webhook(
        &self,
        id: WebhookId,
        owner: LeaseOwner,
        lasts: Duration,
        place: Place,
        settlement: &Settlement,
    ) -> Result<bool, Unavailable> {
        self.settle(id, owner, lasts, place, settlement).await.during("note what became of webhook calls")
    }

    async fn settle(
        &self,
        id: WebhookId,
        owner: LeaseOwner,
        lasts: Duration,
        place: Place,
        settlement: &Settlement,
    ) -> Result<bool, StorageFault> {
        let transaction = self.begin_webhook_change().await?;
        let mut sql = Sql::default();
        sql.push("UPDATE webhooks SET epoch = ")
            .bind(place.epoch.0)
            .push(", position = ")
            .bind(place.position.0);
        sql.push(", chain = ").bind(place.chain.0).push(", lease_until = ");
        self.push_now(&mut sql);
        sql.push(" + ")
            .bind(micros(lasts))
            .push(" WHERE disabled_at IS NULL AND lease_owner = ")
            .bind(owner.0);
        sql.push(" AND id = ").bind(id.0);
        let statement = sql.statement(transaction.get_database_backend());
        if transaction.execute_raw(statement).await?.rows_affected() == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        self.write_settlement(&transaction, id, settlement).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn write_settlement(
        &self,
        transaction: &TimeLimited<DatabaseTransaction>,
        id: WebhookId,
        settlement: &Settlement,
    ) -> Result<(), DbErr> {
        let now = self.now();
        if settlement.forgets {
            forget_stored(transaction, id.0).await?;
        }
        let mut writes = Writes::new(transaction);
        writes.insert(settlement.stored.iter().map(|call| active(id, call, now)), "").await?;
        writes.send().await?;
        for (number, state) in &settlement.failed {
            let (next_at, dead_at) = state.columns();
            let row = webhook_call::ActiveModel {
                webhook_id: Set(id.0),
                number: Set(*number),
                attempts: Set(state.attempts.into()),
                next_at: Set(next_at),
                dead_at: Set(dead_at),
                last_error: Set(state.error.clone()),
                ..Default::default()
            };
            webhook_call::Entity::update_many()
                .set(row)
                .filter(webhook_call::Column::WebhookId.eq(id.0))
                .filter(webhook_call::Column::Number.eq(*number))
                .exec(transaction)
                .await?;
        }
        if !settlement.done.is_empty() {
            webhook_call::Entity::delete_many()
                .filter(webhook_call::Column::WebhookId.eq(id.0))
                .filter(webhook_call::Column::Number.is_in(settlement.done.iter().copied()))
                .exec(transaction)
                .await?;
        }
        if settlement.failed.iter().any(|(_, state)| matches!(state.waiting, Waiting::GivenUp(_))) {
            forget_oldest_dead(transaction, id).await?;
        }
        if !settlement.taken_back.is_empty() {
            take_back(transaction, id, &settlement.taken_back).await?;
        }
        if settlement.frees_all {
            free_all(transaction, id, now).await?;
        }
        for lane in &settlement.freed {
            let mut sql = Sql::default();
            sql.push("UPDATE webhook_calls SET next_at = ")
                .bind(now.0)
                .push(" WHERE webhook_id = ")
                .bind(id.0);
            sql.push(" AND next_at IS NULL AND number = (SELECT MIN(c.number) FROM webhook_calls c WHERE c.webhook_id = ");
            sql.bind(id.0).push(" AND c.conversation_id = ").bind(lane.conversation.0);
            sql.push(" AND c.recipient_id = ").bind(lane.recipient.0).push(" AND c.dead_at IS NULL)");
            transaction.execute_raw(sql.statement(transaction.get_database_backend())).await?;
        }
        for (after_seconds, position) in &settlement.rules {
            let mut sql = Sql::default();
            sql.push("INSERT INTO webhook_rules (webhook_id, after_seconds, position) VALUES (").bind(id.0);
            sql.push(", ").bind(i64::from(*after_seconds)).push(", ").bind(position.0);
            sql.push(") ON CONFLICT (webhook_id, after_seconds) DO UPDATE SET position = excluded.position");
            transaction.execute_raw(sql.statement(transaction.get_database_backend())).await?;
        }
        Ok(())
    }

    pub(super) async fn begin_webhook_change(&self) -> Result<TimeLimited<DatabaseTransaction>, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        self.writer.begin(options).await
    }
}

/// Forgets the oldest calls of a webhook that were given up, when there are too many.
async fn forget_oldest_dead(
    transaction: &TimeLimited<DatabaseTransaction>,
    id: WebhookId,
) -> Result<(), DbErr> {
    let mut sql = Sql::default();
    sql.push("DELETE FROM webhook_calls WHERE webhook_id = ").bind(id.0);
    sql.push(
        " AND dead_at IS NOT NULL AND number <= (SELECT c.number FROM webhook_calls c WHERE c.webhook_id = ",
    );
    sql.bind(id.0)
        .push(" AND c.dead_at IS NOT NULL ORDER BY c.number DESC LIMIT 1 OFFSET ")
        .bind(MAX_DEAD)
        .push(")");
    transaction.execute_raw(sql.statement(transaction.get_database_backend())).await.map(|_| ())
}

/// Has calls that were given up wait again, as if they had never been tried.
async fn take_back(
    transaction: &TimeLimited<DatabaseTransaction>,
    id: WebhookId,
    numbers: &[i64],
) -> Result<(), DbErr> {
    let again = webhook_call::ActiveModel {
        attempts: Set(0),
        next_at: Set(None),
        dead_at: Set(None),
        ..Default::default()
    };
    let calls = webhook_call::Entity::update_many()
        .set(again)
        .filter(webhook_call::Column::WebhookId.eq(id.0))
        .filter(webhook_call::Column::Number.is_in(numbers.iter().copied()));
    calls.exec(transaction).await.map(|_| ())
}

/// Has the first call of each lane be due, unless it has a time.
async fn free_all(
    transaction: &TimeLimited<DatabaseTransaction>,
    id: WebhookId,
    now: Timestamp,
) -> Result<(), DbErr> {
    let mut sql = Sql::default();
    sql.push("UPDATE webhook_calls SET next_at = ").bind(now.0).push(" WHERE webhook_id = ").bind(id.0);
    sql.push(
        " AND next_at IS NULL AND number IN (SELECT MIN(c.number) FROM webhook_calls c WHERE c.webhook_id = ",
    );
    sql.bind(id.0).push(" AND c.dead_at IS NULL GROUP BY c.conversation_id, c.recipient_id)");
    transaction.execute_raw(sql.statement(transaction.get_database_backend())).await.map(|_| ())
}

fn active(id: WebhookId, call: &StoredCall, now: Timestamp) -> webhook_call::ActiveModel {
    let (next_at, dead_at) = call.state.columns();
    webhook_call::ActiveModel {
        webhook_id: Set(id.0),
        number: Set(call.number),
        kind: Set(call.kind.number()),
        epoch: Set(call.epoch.0),
        position: Set(call.position.0),
        conversation_id: Set(call.lane.conversation.0),
        recipient_id: Set(call.lane.recipient.0),
        after_seconds: Set(call.kind.after_seconds()),
        attempts: Set(call.state.attempts.into()),
        next_at: Set(next_at),
        dead_at: Set(dead_at),
        last_error: Set(call.state.error.clone()),
        created_at: Set(now.0),
    }
}
