//! The calls that a webhook has not accepted yet, and those that were given up. Calls of one lane follow each other: the
//! first that waits has a time at which it is tried again, and those behind it have none.

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::log::entities::webhook_call;
use crate::log::error::During;
use crate::log::sql::Sql;
use crate::log::{Database, Unavailable};
use crate::messaging::{ConversationId, Epoch, Position, Timestamp, UserId, WebhookId};

/// The time at which a call that was given up is tried when an operator has asked for it. It never comes: the node that
/// calls the webhook takes such calls back when it has room, so that what it knows of the lanes stays true.
const WHEN_TAKEN_BACK: i64 = i64::MAX;

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
    pub(super) fn number(self) -> i64 {
        match self {
            Self::Event => 1,
            Self::Undelivered { .. } => 2,
            Self::Rewound => 3,
        }
    }

    pub(super) fn after_seconds(self) -> i64 {
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
    pub(super) fn columns(&self) -> (Option<i64>, Option<i64>) {
        match self.waiting {
            Waiting::Until(at) => (Some(at.0), None),
            Waiting::Behind => (None, None),
            Waiting::GivenUp(at) => (None, Some(at.0)),
        }
    }
}

#[derive(FromQueryResult)]
struct LaneRow {
    conversation_id: Uuid,
    recipient_id: Uuid,
    calls: i64,
}

impl Database {
    /// The calls of a webhook that are due and the first of their lanes, the longest due first, at most `limit`.
    pub async fn due_calls(&self, id: WebhookId, limit: i64) -> Result<Vec<StoredCall>, Unavailable> {
        let mut sql = Sql::default();
        sql.push("SELECT ").columns::<webhook_call::Entity>("d");
        sql.push(" FROM webhook_calls d WHERE d.webhook_id = ")
            .bind(id.0)
            .push(" AND d.next_at <= ")
            .bind(self.now().0);
        // A call that was taken back may come before one that has a time.
        sql.push(
            " AND NOT EXISTS (SELECT 1 FROM webhook_calls c WHERE c.webhook_id = d.webhook_id \
             AND c.conversation_id = d.conversation_id AND c.recipient_id = d.recipient_id \
             AND c.number < d.number AND c.dead_at IS NULL) ORDER BY d.next_at, d.number LIMIT ",
        );
        sql.bind(limit);
        let rows: Vec<webhook_call::Model> =
            sql.rows(&self.reader).await.during("read the webhook calls that are due")?;
        Ok(rows.into_iter().map(call_of).collect())
    }

    /// The calls of a webhook that were given up and that an operator has asked to try again, the first ones first, at
    /// most `limit`.
    pub async fn replayed_calls(&self, id: WebhookId, limit: u64) -> Result<Vec<StoredCall>, Unavailable> {
        let rows = webhook_call::Entity::find()
            .filter(webhook_call::Column::WebhookId.eq(id.0))
            .filter(webhook_call::Column::NextAt.eq(WHEN_TAKEN_BACK))
            .order_by_asc(webhook_call::Column::Number)
            .limit(limit)
            .all(&self.reader)
            .await
            .during("read the webhook calls that are replayed")?;
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

    /// Asks the node that calls a webhook to try the calls again that were given up, from the first attempt on. Returns
    /// how many. They wait as given up until that node has room for them.
    pub async fn replay_calls(&self, id: WebhookId) -> Result<u64, Unavailable> {
        let again = webhook_call::ActiveModel { next_at: Set(Some(WHEN_TAKEN_BACK)), ..Default::default() };
        let done = webhook_call::Entity::update_many()
            .set(again)
            .filter(webhook_call::Column::WebhookId.eq(id.0))
            .filter(webhook_call::Column::DeadAt.is_not_null())
            .filter(webhook_call::Column::NextAt.is_null())
            .exec(&self.writer)
            .await
            .during("replay webhook calls")?;
        Ok(done.rows_affected)
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
