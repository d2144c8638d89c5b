//! The calls that a webhook has not accepted yet, and those that were given up. Calls of one lane follow each other: the
//! first that waits has a time at which it is tried again, and those behind it have none.

use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect, SqliteTransactionMode, TransactionOptions,
};
use uuid::Uuid;

use super::lease::{LeaseOwner, micros};
use crate::log::connection::TimeLimited;
use crate::log::entities::{webhook_call, webhook_rule};
use crate::log::error::{During, StorageFault};
use crate::log::sql::Sql;
use crate::log::writes::Writes;
use crate::log::{Database, Unavailable};
use crate::messaging::{ConversationId, Epoch, Place, Position, Timestamp, UserId, WebhookId};

/// What a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// The event at its position.
    Event,
    /// A recipient has not received the message at its position within so many seconds.
    Undelivered {
        /// The seconds.
        after_seconds: u32,
    },
    /// The log began a new epoch.
    Rewound,
}

impl CallKind {
    fn number(self) -> i64 {
        match self {
            Self::Event => 1,
            Self::Undelivered { .. } => 2,
            Self::Rewound => 3,
        }
    }

    fn after_seconds(self) -> i64 {
        match self {
            Self::Undelivered { after_seconds } => after_seconds.into(),
            Self::Event | Self::Rewound => 0,
        }
    }
}

/// What follows each other: the events of a conversation, and what is said of one recipient in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lane {
    /// The conversation; nil for what is about the log as a whole.
    pub conversation: ConversationId,
    /// The recipient; nil for events.
    pub recipient: UserId,
}

/// When a call is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// At this time.
    Until(Timestamp),
    /// When those before it in its lane are accepted or given up.
    Behind,
    /// It was given up at this time.
    GivenUp(Timestamp),
}

/// A call that waits, or was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCall {
    /// Its number among the calls of its webhook. Of a lane, the smaller one comes first.
    pub number: i64,
    /// What it is about.
    pub kind: CallKind,
    /// The epoch of its position.
    pub epoch: Epoch,
    /// The position that it is about.
    pub position: Position,
    /// What it follows.
    pub lane: Lane,
    /// How it stands with it.
    pub state: CallState,
}

/// How it stands with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallState {
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried.
    pub waiting: Waiting,
    /// Why it was not accepted; `None` if it was not tried yet.
    pub error: Option<String>,
}

impl CallState {
    fn columns(&self) -> (Option<i64>, Option<i64>) {
        match self.waiting {
            Waiting::Until(at) => (Some(at.0), None),
            Waiting::Behind => (None, None),
            Waiting::GivenUp(at) => (None, Some(at.0)),
        }
    }
}

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
    /// Lanes whose first call is gone: the next one is due.
    pub freed: Vec<Lane>,
    /// The rules, in seconds, with the position up to which each was looked at.
    pub rules: Vec<(u32, Position)>,
}

impl Settlement {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.stored.is_empty() && self.done.is_empty() && self.failed.is_empty() && self.rules.is_empty()
    }
}

#[derive(FromQueryResult)]
struct LaneRow {
    conversation_id: Uuid,
    recipient_id: Uuid,
    calls: i64,
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
            let of_webhook = webhook_call::Column::WebhookId.eq(id.0);
            webhook_call::Entity::delete_many().filter(of_webhook).exec(transaction).await?;
            let of_webhook = webhook_rule::Column::WebhookId.eq(id.0);
            webhook_rule::Entity::delete_many().filter(of_webhook).exec(transaction).await?;
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

    /// The calls of a webhook that are due, the longest due first, at most `limit`.
    pub async fn due_calls(&self, id: WebhookId, limit: u64) -> Result<Vec<StoredCall>, Unavailable> {
        let rows = webhook_call::Entity::find()
            .filter(webhook_call::Column::WebhookId.eq(id.0))
            .filter(webhook_call::Column::NextAt.lte(self.now().0))
            .order_by_asc(webhook_call::Column::NextAt)
            .order_by_asc(webhook_call::Column::Number)
            .limit(limit)
            .all(&self.reader)
            .await
            .during("read the webhook calls that are due")?;
        Ok(rows.into_iter().map(call_of).collect())
    }

    /// How many calls wait in each lane of a webhook, and the largest number of a call.
    pub async fn waiting_lanes(&self, id: WebhookId) -> Result<(Vec<(Lane, usize)>, i64), Unavailable> {
        let operation = "read the webhook calls that wait";
        let mut sql = Sql::default();
        sql.push("SELECT c.conversation_id, c.recipient_id, COUNT(*) AS calls FROM webhook_calls c WHERE c.webhook_id = ");
        sql.bind(id.0).push(" AND c.dead_at IS NULL GROUP BY c.conversation_id, c.recipient_id");
        let rows: Vec<LaneRow> = sql.rows(&self.reader).await.during(operation)?;
        let newest = webhook_call::Entity::find()
            .filter(webhook_call::Column::WebhookId.eq(id.0))
            .order_by_desc(webhook_call::Column::Number)
            .one(&self.reader)
            .await
            .during(operation)?;
        let lane = |row: LaneRow| {
            let (conversation, recipient) = (ConversationId(row.conversation_id), UserId(row.recipient_id));
            (Lane { conversation, recipient }, usize::try_from(row.calls).unwrap_or(0))
        };
        Ok((rows.into_iter().map(lane).collect(), newest.map_or(0, |row| row.number)))
    }

    /// The calls of a webhook that were given up, the latest first, at most `limit`.
    pub async fn dead_calls(&self, id: WebhookId, limit: u64) -> Result<Vec<StoredCall>, Unavailable> {
        let rows = webhook_call::Entity::find()
            .filter(webhook_call::Column::WebhookId.eq(id.0))
            .filter(webhook_call::Column::DeadAt.is_not_null())
            .order_by_desc(webhook_call::Column::Number)
            .limit(limit)
            .all(&self.reader)
            .await
            .during("read the webhook calls that were given up")?;
        Ok(rows.into_iter().map(call_of).collect())
    }

    /// Has the calls of a webhook that were given up be tried again, from the first attempt on. Returns how many.
    pub async fn replay_calls(&self, id: WebhookId) -> Result<u64, Unavailable> {
        let again = webhook_call::ActiveModel {
            attempts: Set(0),
            next_at: Set(Some(self.now().0)),
            dead_at: Set(None),
            ..Default::default()
        };
        let done = webhook_call::Entity::update_many()
            .set(again)
            .filter(webhook_call::Column::WebhookId.eq(id.0))
            .filter(webhook_call::Column::DeadAt.is_not_null())
            .exec(&self.writer)
            .await
            .during("replay webhook calls")?;
        Ok(done.rows_affected)
    }

    async fn begin_webhook_change(&self) -> Result<TimeLimited<DatabaseTransaction>, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        self.writer.begin(options).await
    }
}

fn call_of(row: webhook_call::Model) -> StoredCall {
    let kind = match row.kind {
        2 => CallKind::Undelivered { after_seconds: u32::try_from(row.after_seconds).unwrap_or(u32::MAX) },
        3 => CallKind::Rewound,
        _ => CallKind::Event,
    };
    let waiting = match (row.next_at, row.dead_at) {
        (_, Some(at)) => Waiting::GivenUp(Timestamp(at)),
        (Some(at), None) => Waiting::Until(Timestamp(at)),
        (None, None) => Waiting::Behind,
    };
    StoredCall {
        number: row.number,
        kind,
        epoch: Epoch(row.epoch),
        position: Position(row.position),
        lane: Lane { conversation: ConversationId(row.conversation_id), recipient: UserId(row.recipient_id) },
        state: CallState {
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            waiting,
            error: row.last_error,
        },
    }
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
