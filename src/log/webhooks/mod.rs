//! Reads and writes webhooks: where each stands in the log, which node calls it, and the calls that wait. What never
//! lives here: what a call says, and when to try again.
//!
//! [`lease`] says which node calls, [`calls`] has what was not accepted yet, [`settlement`] writes what became of it, and
//! [`undelivered`] finds recipients whom nothing has reached.

mod calls;
mod lease;
mod settlement;
mod undelivered;

use std::iter;

use sea_orm::ActiveValue::Set;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::connection::TimeLimited;
use super::entities::{webhook, webhook_call, webhook_rule};
use super::error::{During, StorageFault};
use super::sql::Sql;
use super::writes::Writes;
use super::{Database, Unavailable};
use crate::messaging::{Chain, Epoch, Place, Position, Timestamp, WebhookId};

pub use calls::{CallKind, CallState, Lane, StoredCall, Waiting};
pub use lease::LeaseOwner;
pub use settlement::Settlement;
pub use undelivered::{Overdue, Reachable};

/// The most webhooks that are read at a time. Operators add them by hand.
const MAX_WEBHOOKS: u64 = 1_000;

/// A webhook as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRow {
    /// Its id.
    pub id: WebhookId,
    /// Where calls go.
    pub url: String,
    /// The secrets that sign its calls, in text, with a space between them.
    pub secrets: String,
    /// Whether calls carry the text of messages.
    pub has_bodies: bool,
    /// Whether it comes from the command line of `serve`, where no two have the same URL.
    pub is_configured: bool,
    /// The key that signs its tokens. It never leaves herald.
    pub token_key: Vec<u8>,
    /// Everything up to this place is accepted, or is a call that waits.
    pub place: Place,
    /// When it was added.
    pub created_at: Timestamp,
    /// Since when it is not called, and why; `None` while it is.
    pub disabled: Option<(Timestamp, String)>,
}

/// How many calls of a webhook wait, and how many were given up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromQueryResult)]
pub struct CallCounts {
    /// Calls that will be tried again, and those behind them.
    pub waiting: i64,
    /// Calls that were given up.
    pub dead: i64,
}

impl Database {
    /// Stores a webhook.
    pub async fn insert_webhook(&self, row: &WebhookRow) -> Result<(), Unavailable> {
        let insert = webhook::Entity::insert(active(row)).exec_without_returning(&self.writer);
        insert.await.during("store a webhook").map(|_| ())
    }

    /// Reads the webhooks, disabled ones too, in the order in which they were added.
    pub async fn webhooks(&self) -> Result<Vec<WebhookRow>, Unavailable> {
        let find = webhook::Entity::find()
            .order_by_asc(webhook::Column::CreatedAt)
            .order_by_asc(webhook::Column::Id)
            .limit(MAX_WEBHOOKS);
        Ok(find.all(&self.reader).await.during("read the webhooks")?.into_iter().map(row_of).collect())
    }

    /// Reads a webhook; `None` when there is no such webhook.
    pub async fn webhook(&self, id: WebhookId) -> Result<Option<WebhookRow>, Unavailable> {
        let found = webhook::Entity::find_by_id(id.0).one(&self.reader).await.during("read a webhook")?;
        Ok(found.map(row_of))
    }

    /// Has a webhook be called no more. `false` if it was so already, or if there is no such webhook.
    pub async fn disable_webhook(&self, id: WebhookId, because: &str) -> Result<bool, Unavailable> {
        let disabled = webhook::ActiveModel {
            disabled_at: Set(Some(self.now().0)),
            disabled_because: Set(Some(because.to_owned())),
            ..Default::default()
        };
        let done = webhook::Entity::update_many()
            .set(disabled)
            .filter(webhook::Column::Id.eq(id.0))
            .filter(webhook::Column::DisabledAt.is_null())
            .exec(&self.writer)
            .await
            .during("disable a webhook")?;
        Ok(done.rows_affected > 0)
    }

    /// Makes the webhooks of the command line those of these rows: it adds new ones, gives known ones these secrets, has
    /// those that were disabled begin anew at the head of the log, without what they had stored, and disables those that
    /// are not named any more. All or nothing.
    pub async fn configure_webhooks(&self, rows: &[WebhookRow]) -> Result<(), Unavailable> {
        self.configure(rows).await.during("store the webhooks of the command line")
    }

    async fn configure(&self, rows: &[WebhookRow]) -> Result<(), StorageFault> {
        let transaction = self.begin_webhook_change().await?;
        for row in rows {
            configure_one(&transaction, row).await?;
        }
        let mut sql = Sql::default();
        sql.push("UPDATE webhooks SET disabled_at = ").bind(self.now().0);
        sql.push(", disabled_because = 'it is not in --webhook any more' WHERE is_configured = 1");
        sql.push(" AND disabled_at IS NULL");
        if !rows.is_empty() {
            sql.push(" AND url NOT IN ").bind_list(rows.iter().map(|row| row.url.clone()));
        }
        transaction.execute_raw(sql.statement(transaction.get_database_backend())).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The position up to which no webhook that is called needs the log any more; `None` without such a webhook.
    pub async fn webhooks_need_after(&self) -> Result<Option<Position>, Unavailable> {
        #[derive(FromQueryResult)]
        struct Row {
            position: Option<i64>,
        }
        let mut sql = Sql::default();
        // A call that waits is made of its event.
        sql.push(
            "SELECT MIN(p.position) AS position FROM (SELECT w.position FROM webhooks w WHERE w.disabled_at IS NULL \
             UNION ALL SELECT c.position - 1 FROM webhook_calls c JOIN webhooks w ON w.id = c.webhook_id \
             WHERE w.disabled_at IS NULL AND c.dead_at IS NULL) AS p",
        );
        let rows: Vec<Row> = sql.rows(&self.reader).await.during("read where the webhooks stand")?;
        Ok(rows.first().and_then(|row| row.position).map(Position))
    }

    /// Counts the calls of a webhook that wait and those that were given up.
    pub async fn webhook_call_counts(&self, id: WebhookId) -> Result<CallCounts, Unavailable> {
        let mut sql = Sql::default();
        sql.push(
            "SELECT COUNT(*) - COUNT(c.dead_at) AS waiting, COUNT(c.dead_at) AS dead FROM webhook_calls c ",
        );
        sql.push("WHERE c.webhook_id = ").bind(id.0);
        let rows: Vec<CallCounts> = sql.rows(&self.reader).await.during("count the calls of a webhook")?;
        Ok(rows.first().copied().unwrap_or_default())
    }
}

/// Adds a webhook of the command line, or changes the known one with its URL.
async fn configure_one(
    transaction: &TimeLimited<DatabaseTransaction>,
    row: &WebhookRow,
) -> Result<(), DbErr> {
    let mut writes = Writes::new(transaction);
    writes.insert(iter::once(active(row)), " ON CONFLICT DO NOTHING").await?;
    writes.send().await?;
    let known = webhook::Entity::find()
        .filter(webhook::Column::IsConfigured.eq(1))
        .filter(webhook::Column::Url.eq(row.url.as_str()))
        .one(transaction)
        .await?;
    let Some(known) = known else { return Ok(()) };
    let mut given = webhook::ActiveModel {
        secrets: Set(row.secrets.clone()),
        has_bodies: Set(i64::from(row.has_bodies)),
        ..Default::default()
    };
    if known.disabled_at.is_some() {
        let Place { epoch, position, chain } = row.place;
        (given.epoch, given.position, given.chain) = (Set(epoch.0), Set(position.0), Set(chain.0));
        (given.disabled_at, given.disabled_because) = (Set(None), Set(None));
        forget_stored(transaction, known.id).await?;
    }
    let known = webhook::Entity::update_many().set(given).filter(webhook::Column::Id.eq(known.id));
    known.exec(transaction).await.map(|_| ())
}

/// Forgets what a webhook has stored, which is about what it was told before.
async fn forget_stored(transaction: &TimeLimited<DatabaseTransaction>, id: Uuid) -> Result<(), DbErr> {
    let calls = webhook_call::Entity::delete_many().filter(webhook_call::Column::WebhookId.eq(id));
    calls.exec(transaction).await?;
    let rules = webhook_rule::Entity::delete_many().filter(webhook_rule::Column::WebhookId.eq(id));
    rules.exec(transaction).await.map(|_| ())
}

fn row_of(row: webhook::Model) -> WebhookRow {
    let because = row.disabled_because.unwrap_or_default();
    WebhookRow {
        id: WebhookId(row.id),
        url: row.url,
        secrets: row.secrets,
        has_bodies: row.has_bodies != 0,
        is_configured: row.is_configured != 0,
        token_key: row.token_key,
        place: Place { epoch: Epoch(row.epoch), position: Position(row.position), chain: Chain(row.chain) },
        created_at: Timestamp(row.created_at),
        disabled: row.disabled_at.map(|at| (Timestamp(at), because)),
    }
}

fn active(row: &WebhookRow) -> webhook::ActiveModel {
    let (disabled_at, because) = row.disabled.clone().unzip();
    webhook::ActiveModel {
        id: Set(row.id.0),
        url: Set(row.url.clone()),
        secrets: Set(row.secrets.clone()),
        has_bodies: Set(i64::from(row.has_bodies)),
        is_configured: Set(i64::from(row.is_configured)),
        token_key: Set(row.token_key.clone()),
        epoch: Set(row.place.epoch.0),
        position: Set(row.place.position.0),
        chain: Set(row.place.chain.0),
        created_at: Set(row.created_at.0),
        disabled_at: Set(disabled_at.map(|at| at.0)),
        disabled_because: Set(because),
        lease_owner: Set(None),
        lease_until: Set(None),
    }
}
