//! Finds recipients whom messages have not reached in time. There is no timer for a message: a rule looks at the messages
//! in the order of the log, each once, when it is old enough.

use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;

use crate::log::error::During;
use crate::log::sql::Sql;
use crate::log::{Database, Unavailable};
use crate::messaging::{ConversationId, MessageId, Position, Timestamp, UserId, WebhookId};

/// The most messages of one look.
const MAX_MESSAGES: i64 = 100;

/// The most recipients of one look, as far as its first message has no more.
const MAX_RECIPIENTS: i64 = 2_000;

/// A recipient who has not received messages in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromQueryResult)]
struct OverdueRow {
    conversation_id: Uuid,
    user_id: Uuid,
    latest: i64,
    newest: i64,
}

/// A recipient whom messages of a conversation have not reached in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overdue {
    /// The conversation.
    pub conversation: ConversationId,
    /// The recipient.
    pub recipient: UserId,
    /// The position of the last of these messages.
    pub latest: Position,
    /// The position of the newest message of the conversation that is not the recipient's own.
    pub newest: Position,
}

/// What a recipient has not received yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reachable {
    /// The newest message that they have not received.
    pub newest: MessageId,
    /// When the first message was sent that they have not received.
    pub since: Timestamp,
}

#[derive(FromQueryResult)]
struct MessageRow {
    position: i64,
    sent_at_micros: i64,
    participant_count: i64,
}

#[derive(FromQueryResult)]
struct ReachableRow {
    id: Option<Uuid>,
    since: Option<i64>,
}

#[derive(FromQueryResult)]
struct RuleRow {
    after_seconds: i64,
    position: i64,
}

/// A column of the first or the last message that has not reached a participant `p`.
fn undelivered_message(column: &str, order: &str) -> String {
    format!(
        "(SELECT m.{column} FROM messages m WHERE m.conversation_id = p.conversation_id \
         AND m.position > p.delivered_through AND m.position > p.joined_position AND m.sender_id <> p.user_id \
         AND m.redacted_at_micros IS NULL ORDER BY m.position {order} LIMIT 1)"
    )
}

impl Database {
    /// Finds the recipients who have not received a message after a position that was sent by `sent_by`, each once for a
    /// conversation. Those who left, and those who are disabled, are no recipients. The position is the one up to which it
    /// looked: there may be more, unless it is the one from which it began.
    pub async fn overdue(
        &self,
        after: Position,
        sent_by: Timestamp,
    ) -> Result<(Vec<Overdue>, Position), Unavailable> {
        let operation = "find what was not delivered in time";
        let mut sql = Sql::default();
        sql.push(
            "SELECT m.position, m.sent_at_micros, c.participant_count FROM messages m JOIN conversations c ",
        );
        sql.push("ON c.id = m.conversation_id WHERE m.position > ").bind(after.0);
        sql.push(" ORDER BY m.position LIMIT ").bind(MAX_MESSAGES);
        let rows: Vec<MessageRow> = sql.rows(&self.reader).await.during(operation)?;
        let mut recipients = 0;
        let old = rows.into_iter().take_while(|row| row.sent_at_micros <= sent_by.0);
        let looked_at: Vec<i64> = old
            .take_while(|row| {
                let is_first = recipients == 0;
                recipients += row.participant_count.max(1);
                is_first || recipients <= MAX_RECIPIENTS
            })
            .map(|row| row.position)
            .collect();
        let Some(reached) = looked_at.last().copied() else { return Ok((Vec::new(), after)) };
        let mut sql = Sql::default();
        sql.push(
            "SELECT subselect.conversation_id, subselect.user_id, subselect.latest, (SELECT x.position FROM messages x \
             WHERE x.conversation_id = subselect.conversation_id AND x.sender_id <> subselect.user_id \
             ORDER BY x.position DESC LIMIT 1) AS newest FROM (\
             SELECT p.conversation_id, p.user_id, MAX(m.position) AS latest FROM messages m \
             JOIN participants p ON p.conversation_id = m.conversation_id JOIN users u ON u.id = p.user_id \
             WHERE p.joined_position < m.position AND p.left_position IS NULL AND p.delivered_through < m.position \
             AND p.user_id <> m.sender_id AND u.disabled_at IS NULL AND m.redacted_at_micros IS NULL \
             AND m.position IN ",
        );
        sql.bind_list(looked_at)
            .push(" GROUP BY p.conversation_id, p.user_id) AS subselect ORDER BY subselect.latest");
        let rows: Vec<OverdueRow> = sql.rows(&self.reader).await.during(operation)?;
        let overdue = |row: OverdueRow| Overdue {
            conversation: ConversationId(row.conversation_id),
            recipient: UserId(row.user_id),
            latest: Position(row.latest),
            newest: Position(row.newest),
        };
        Ok((rows.into_iter().map(overdue).collect(), Position(reached)))
    }

    /// What a recipient has still not received of a conversation, if the first such message was sent by `sent_by`. `None`
    /// if there is no such message any more, or if they left or are disabled.
    pub async fn still_undelivered(
        &self,
        conversation: ConversationId,
        recipient: UserId,
        sent_by: Timestamp,
    ) -> Result<Option<Reachable>, Unavailable> {
        let mut sql = Sql::default();
        sql.push("SELECT ").push(&undelivered_message("id", "DESC")).push(" AS id, ");
        sql.push(&undelivered_message("sent_at_micros", "ASC")).push(" AS since FROM participants p ");
        sql.push("JOIN users u ON u.id = p.user_id WHERE p.left_position IS NULL AND u.disabled_at IS NULL");
        sql.push(" AND p.conversation_id = ")
            .bind(conversation.0)
            .push(" AND p.user_id = ")
            .bind(recipient.0);
        let rows: Vec<ReachableRow> = sql.rows(&self.reader).await.during("read what was not delivered")?;
        let reachable = |row: &ReachableRow| {
            let (newest, since) = (MessageId(row.id?), Timestamp(row.since?));
            (since <= sent_by).then_some(Reachable { newest, since })
        };
        Ok(rows.first().and_then(reachable))
    }

    /// The rules of a webhook: the seconds, and the position up to which the messages were looked at.
    pub async fn webhook_rules(&self, id: WebhookId) -> Result<Vec<(u32, Position)>, Unavailable> {
        let mut sql = Sql::default();
        sql.push("SELECT r.after_seconds, r.position FROM webhook_rules r WHERE r.webhook_id = ").bind(id.0);
        let rows: Vec<RuleRow> = sql.rows(&self.reader).await.during("read the rules of a webhook")?;
        let rule =
            |row: RuleRow| (u32::try_from(row.after_seconds).unwrap_or(u32::MAX), Position(row.position));
        Ok(rows.into_iter().map(rule).collect())
    }

    /// Forgets the rules of a webhook that are not among these, given in seconds. Whoever brings one back begins anew.
    pub async fn forget_webhook_rules(&self, id: WebhookId, but: &[u32]) -> Result<(), Unavailable> {
        let mut sql = Sql::default();
        sql.push("DELETE FROM webhook_rules WHERE webhook_id = ").bind(id.0);
        if !but.is_empty() {
            sql.push(" AND after_seconds NOT IN ").bind_list(but.iter().map(|seconds| i64::from(*seconds)));
        }
        let statement = sql.statement(self.writer.get_database_backend());
        self.writer.execute_raw(statement).await.during("forget rules of a webhook").map(|_| ())
    }
}
