//! Reads what there is of one user, page by page, for an operator who hands it over. What never lives here: the form in
//! which it is handed over.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::batch::KEYS_PER_STATEMENT;
use super::entities::{event, message};
use super::error::During;
use super::sql::Sql;
use super::{Database, Unavailable, convert};
use crate::messaging::{
    ConversationId, IdempotencyKey, Mark, Message, MessageId, Position, Timestamp, UserId,
};

/// A mark that a user moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkMade {
    /// The position up to which it moved.
    pub through: Position,
    /// The message at that position; `None` if it is missing.
    pub message: Option<MessageId>,
    /// When it moved.
    pub at: Timestamp,
}

#[derive(FromQueryResult)]
struct LastRow {
    last: Option<i64>,
}

#[derive(FromQueryResult)]
struct MarkRow {
    through: i64,
    message: Option<Uuid>,
    at_micros: i64,
}

impl Database {
    /// The position of the last of the next messages of a conversation after a position, whoever sent them: at most `limit`
    /// of them. `None` if there is none.
    pub async fn messages_through(
        &self,
        conversation: ConversationId,
        after: Position,
        limit: i64,
    ) -> Result<Option<Position>, Unavailable> {
        let mut sql = Sql::default();
        sql.push("SELECT MAX(subselect.position) AS last FROM (SELECT m.position FROM messages m");
        sql.push(" WHERE m.conversation_id = ").bind(conversation.0);
        sql.push(" AND m.position > ").bind(after.0);
        sql.push(" ORDER BY m.position LIMIT ").bind(limit).push(") AS subselect");
        let rows: Vec<LastRow> = sql.rows(&self.reader).await.during("read what a user sent")?;
        Ok(rows.first().and_then(|row| row.last).map(Position))
    }

    /// Reads what a user sent to a conversation, with the key that their client gave each message: all after a position
    /// and up to another, in order.
    pub async fn messages_sent(
        &self,
        sender: UserId,
        conversation: ConversationId,
        after: Position,
        through: Position,
    ) -> Result<Vec<(Message, Option<IdempotencyKey>)>, Unavailable> {
        let rows = message::Entity::find()
            .filter(message::Column::ConversationId.eq(conversation.0))
            .filter(message::Column::Position.gt(after.0))
            .filter(message::Column::Position.lte(through.0))
            .filter(message::Column::SenderId.eq(sender.0))
            .order_by_asc(message::Column::Position)
            .all(&self.reader)
            .await
            .during("read what a user sent")?;
        let sent = rows.into_iter().map(|mut row| {
            let key = row.idempotency_key.take().map(IdempotencyKey::trusted);
            (convert::message(row), key)
        });
        Ok(sent.collect())
    }

    /// Reads the marks of one kind that a user made in a conversation, those that others were told of or those that they
    /// were not: at most `limit` of those that went beyond a position, in order.
    pub async fn marks_made(
        &self,
        user: UserId,
        conversation: ConversationId,
        mark: Mark,
        is_shared: bool,
        after: Position,
        limit: i64,
    ) -> Result<Vec<MarkMade>, Unavailable> {
        let number = if is_shared { mark.number() } else { mark.private_number() };
        let mut sql = Sql::default();
        sql.push("SELECT e.through_position AS through, m.id AS message, e.at_micros FROM events e");
        sql.push(" LEFT JOIN messages m ON m.position = e.through_position WHERE e.conversation_id = ");
        sql.bind(conversation.0).push(" AND e.actor_id = ").bind(user.0);
        sql.push(" AND e.kind = ").bind(number).push(" AND e.through_position > ").bind(after.0);
        sql.push(" ORDER BY e.through_position LIMIT ").bind(limit);
        let rows: Vec<MarkRow> = sql.rows(&self.reader).await.during("read the marks of a user")?;
        let made = rows.into_iter().map(|row| MarkMade {
            through: Position(row.through),
            message: row.message.map(MessageId),
            at: Timestamp(row.at_micros),
        });
        Ok(made.collect())
    }

    /// Reads the times of the events at these positions.
    pub async fn times_of(
        &self,
        positions: &[Position],
    ) -> Result<HashMap<Position, Timestamp>, Unavailable> {
        let mut times = HashMap::with_capacity(positions.len());
        for positions in positions.chunks(KEYS_PER_STATEMENT) {
            let rows: Vec<(i64, i64)> = event::Entity::find()
                .select_only()
                .columns([event::Column::Position, event::Column::AtMicros])
                .filter(event::Column::Position.is_in(positions.iter().map(|position| position.0)))
                .into_tuple()
                .all(&self.reader)
                .await
                .during("read when users left")?;
            times.extend(rows.into_iter().map(|(position, at)| (Position(position), Timestamp(at))));
        }
        Ok(times)
    }
}
