//! Messages, how far they have come, and who received them when.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, QueryFilter};
use uuid::Uuid;

use super::conversations::{limit, people_page};
use super::{Direction, Page, ParticipantKey};
use crate::log::convert::{self, kind};
use crate::log::entities::message;
use crate::log::sql::{Sql, union, within};
use crate::log::{Database, Unavailable};
use crate::messaging::{ConversationId, Counts, Interval, Message, MessageId, Position, Timestamp, UserId};

/// When a recipient first said something of a message.
pub type MarkTime = Option<Timestamp>;

/// How far one message has come with one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Whose, and its place in the list.
    pub key: ParticipantKey,
    /// When it was received.
    pub delivered_at: MarkTime,
    /// When it was read.
    pub read_at: MarkTime,
}

impl Database {
    /// Pages of messages, for many conversations in one statement: a list for each key, in the order in which
    /// they were sent. Only what lies in the intervals is seen.
    pub async fn messages(
        &self,
        keys: &[(ConversationId, Vec<Interval>, Page<Position>)],
    ) -> Result<Vec<Vec<Arc<Message>>>, Unavailable> {
        let rows: Vec<NumberedMessage> =
            union(&self.reader, keys, |sql, number, (conversation, seen, page)| {
                sql.push("SELECT ").bind(number);
                sql.push(" AS number, m.* FROM messages m WHERE m.conversation_id = ").bind(conversation.0);
                within(sql, seen.iter().copied());
                if let Some(after) = page.after {
                    sql.push(" AND m.position > ").bind(after.0);
                }
                if let Some(before) = page.before {
                    sql.push(" AND m.position < ").bind(before.0);
                }
                sql.push(match page.direction {
                    Direction::First => " ORDER BY m.position ASC LIMIT ",
                    Direction::Last => " ORDER BY m.position DESC LIMIT ",
                });
                sql.bind(limit(page));
            })
            .await?;
        let mut lists = vec![Vec::new(); keys.len()];
        for row in rows {
            if let Some(list) = usize::try_from(row.number).ok().and_then(|n| lists.get_mut(n)) {
                list.push(Arc::new(convert::message(row.message)));
            }
        }
        for list in &mut lists {
            list.sort_by_key(|message| message.position);
        }
        Ok(lists)
    }

    /// These messages, as far as they exist.
    pub async fn messages_by_id(
        &self,
        ids: impl IntoIterator<Item = MessageId>,
    ) -> Result<Vec<Arc<Message>>, Unavailable> {
        let ids = ids.into_iter().map(|id| id.0);
        let rows = message::Entity::find().filter(message::Column::Id.is_in(ids)).all(&self.reader).await?;
        Ok(rows.into_iter().map(|row| Arc::new(convert::message(row))).collect())
    }

    /// The messages at these positions, as far as there are any.
    pub async fn messages_at(
        &self,
        positions: impl IntoIterator<Item = Position>,
    ) -> Result<Vec<Arc<Message>>, Unavailable> {
        let positions = positions.into_iter().map(|position| position.0);
        let rows = message::Entity::find()
            .filter(message::Column::Position.is_in(positions))
            .all(&self.reader)
            .await?;
        Ok(rows.into_iter().map(|row| Arc::new(convert::message(row))).collect())
    }

    /// What `recipient` received of `after < position <= through`, newest first: the messages of others that
    /// were sent while the recipient took part.
    pub async fn messages_received(
        &self,
        conversation: ConversationId,
        recipient: UserId,
        after: Position,
        through: Position,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>, Unavailable> {
        let mut sql = Sql::default();
        sql.push("SELECT m.* FROM messages m WHERE m.conversation_id = ").bind(conversation.0);
        sql.push(" AND m.position > ").bind(after.0).push(" AND m.position <= ").bind(through.0);
        sql.push(" AND m.sender_id <> ").bind(recipient.0);
        sql.push(
            " AND EXISTS (SELECT 1 FROM participants p WHERE p.conversation_id = m.conversation_id \
             AND p.joined_position <= m.position \
             AND (p.left_position IS NULL OR m.position <= p.left_position) AND p.user_id = ",
        );
        sql.bind(recipient.0).push(") ORDER BY m.position DESC LIMIT ");
        sql.bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows: Vec<message::Model> = sql.rows(&self.reader).await?;
        Ok(rows.into_iter().map(|row| Arc::new(convert::message(row))).collect())
    }

    /// How far the messages at these positions have come.
    pub async fn counts(
        &self,
        positions: impl IntoIterator<Item = Position>,
    ) -> Result<HashMap<Position, Counts>, Unavailable> {
        let mut sql = Sql::default();
        sql.push(
            "SELECT m.position AS position, COUNT(*) AS recipients, \
             SUM(CASE WHEN p.delivered_through >= m.position THEN 1 ELSE 0 END) AS delivered, \
             SUM(CASE WHEN p.read_through >= m.position THEN 1 ELSE 0 END) AS seen \
             FROM messages m JOIN participants p ON p.conversation_id = m.conversation_id \
             AND p.joined_position <= m.position \
             AND (p.left_position IS NULL OR m.position <= p.left_position) \
             AND p.user_id <> m.sender_id WHERE m.position IN ",
        );
        sql.bind_list(positions.into_iter().map(|p| p.0)).push(" GROUP BY m.position");
        let rows: Vec<CountsRow> = sql.rows(&self.reader).await?;
        let count = |n| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(rows
            .into_iter()
            .map(|row| {
                let counts = Counts {
                    recipients: count(row.recipients),
                    delivered: count(row.delivered),
                    read: count(row.seen),
                };
                (Position(row.position), counts)
            })
            .collect())
    }

    /// Pages of receipts, for many messages in one statement: a list for each key.
    pub async fn receipts(
        &self,
        keys: &[(Arc<Message>, Page<ParticipantKey>)],
    ) -> Result<Vec<Vec<Receipt>>, Unavailable> {
        let rows: Vec<ReceiptRow> = union(&self.reader, keys, |sql, number, (message, page)| {
            sql.push("SELECT ").bind(number);
            sql.push(" AS number, p.joined_position AS joined, p.user_id AS recipient, ");
            first_mark(sql, kind::DELIVERED, message.position);
            sql.push(" AS delivered_at, ");
            first_mark(sql, kind::READ, message.position);
            sql.push(" AS read_at FROM participants p WHERE p.conversation_id = ");
            sql.bind(message.conversation.0).push(" AND p.user_id <> ").bind(message.sender.0);
            sql.push(" AND p.joined_position <= ").bind(message.position.0);
            sql.push(" AND (p.left_position IS NULL OR p.left_position >= ").bind(message.position.0);
            sql.push(")");
            people_page(sql, page);
        })
        .await?;
        let mut lists = vec![Vec::new(); keys.len()];
        for row in rows {
            if let Some(list) = usize::try_from(row.number).ok().and_then(|n| lists.get_mut(n)) {
                list.push(Receipt {
                    key: ParticipantKey { joined: Position(row.joined), user: UserId(row.recipient) },
                    // Whoever read a message without saying that it had arrived received it then.
                    delivered_at: row.delivered_at.or(row.read_at).map(Timestamp),
                    read_at: row.read_at.map(Timestamp),
                });
            }
        }
        for list in &mut lists {
            list.sort_by_key(|receipt| (receipt.key.joined, receipt.key.user));
        }
        Ok(lists)
    }
}

/// The time of the mark of this kind, made by `p`, that first passed `position`. The first mark that reaches
/// so far is the one, unless it began beyond: then this position was passed by a mark of the other kind.
fn first_mark(sql: &mut Sql, kind: i64, position: Position) {
    sql.push("(SELECT CASE WHEN e.from_position < ").bind(position.0);
    sql.push(
        " THEN e.at END FROM events e WHERE e.conversation_id = p.conversation_id \
         AND e.actor_id = p.user_id AND e.kind = ",
    );
    sql.bind(kind).push(" AND e.through_position >= ").bind(position.0);
    sql.push(" ORDER BY e.through_position LIMIT 1)");
}

#[derive(FromQueryResult)]
struct NumberedMessage {
    number: i64,
    #[sea_orm(nested)]
    message: message::Model,
}

#[derive(FromQueryResult)]
struct CountsRow {
    position: i64,
    recipients: i64,
    delivered: i64,
    seen: i64,
}

#[derive(FromQueryResult)]
struct ReceiptRow {
    number: i64,
    joined: i64,
    recipient: Uuid,
    delivered_at: Option<i64>,
    read_at: Option<i64>,
}
