//! Reads the log into the ledger, event by event and with the messages, and compares its end with the head.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::{EntityTrait, FromQueryResult};
use uuid::Uuid;

use super::ledger::{Ledger, MarkedMessage};
use super::{Census, Check, PAGE_ROWS, unreadable};
use crate::log::convert;
use crate::log::entities::{event, log_head, message};
use crate::log::sql::Sql;
use crate::messaging::{ConversationId, Message, Position, Sent, UserId};

/// A row of `events`, with the conversation and the sender of the message at its `through_position`.
#[derive(FromQueryResult)]
struct EventRow {
    #[sea_orm(nested)]
    event: event::Model,
    marked_conversation: Option<Uuid>,
    marked_sender: Option<Uuid>,
}

/// The most positions that one page of events spans where some are trimmed. So a page has a bounded number of messages.
const PAGE_POSITIONS: i64 = 10_000;

impl Check<'_> {
    /// Adds all events to the ledger, in order, and checks that each message belongs to an event. The events of messages
    /// may be missing where the log was trimmed.
    pub(super) async fn events(&self, ledger: &mut Ledger, census: &mut Census) -> Result<(), String> {
        let mut after = 0;
        loop {
            let mut sql = Sql::default();
            sql.push("SELECT ").columns::<event::Entity>("e").push(
                ", m.conversation_id AS marked_conversation, m.sender_id AS marked_sender \
                 FROM events e LEFT JOIN messages m ON m.position = e.through_position",
            );
            sql.push(" WHERE e.position > ").bind(after);
            sql.push(" ORDER BY e.position LIMIT ").bind(PAGE_ROWS);
            let mut rows: Vec<EventRow> = sql.rows(self.db).await.map_err(unreadable)?;
            let is_last = rows.is_empty();
            let mut through = rows.last().map_or(i64::MAX, |row| row.event.position);
            if after < ledger.trimmed.0 {
                through = through.min(after + PAGE_POSITIONS);
                rows.retain(|row| row.event.position <= through);
            }
            let mut messages = self.messages(after, through).await?;
            for row in rows {
                let is_sent = Sent::is_stored_as(row.event.kind);
                add_trimmed(row.event.position, &mut messages, ledger, census)?;
                add(row, &mut messages, ledger)?;
                census.events += 1;
                census.messages += i64::from(is_sent);
            }
            // No row stands at the end of a page that was cut off, but a message may.
            add_trimmed(through.saturating_add(1), &mut messages, ledger, census)?;
            if let Some(position) = messages.keys().min() {
                return Err(format!("message at {position}: no event sent it"));
            }
            if is_last {
                return Ok(());
            }
            after = through;
        }
    }

    /// The messages in `after < position <= through`, without their texts.
    async fn messages(&self, after: i64, through: i64) -> Result<HashMap<i64, Arc<Message>>, String> {
        let mut sql = Sql::default();
        sql.push(
            "SELECT position, id, conversation_id, sender_id, '' AS body, idempotency_key, sent_at_micros, \
             NULL AS metadata, redacted_at_micros",
        );
        sql.push(" FROM messages WHERE position > ").bind(after).push(" AND position <= ").bind(through);
        sql.push(" ORDER BY position LIMIT ").bind(PAGE_POSITIONS);
        let rows: Vec<message::Model> = sql.rows(self.db).await.map_err(unreadable)?;
        Ok(rows.into_iter().map(|row| (row.position, Arc::new(convert::message(row)))).collect())
    }

    /// The position before which the log was trimmed.
    pub(super) async fn trimmed(&self) -> Result<Position, String> {
        let head = log_head::Entity::find_by_id(1).one(self.db).await.map_err(unreadable)?;
        Ok(Position(head.map_or(0, |head| head.trimmed)))
    }

    /// Compares the row of `log_head` with the newest event.
    pub(super) async fn head(&self, ledger: &Ledger, census: &Census) -> Result<(), String> {
        let head = log_head::Entity::find_by_id(1).one(self.db).await.map_err(unreadable)?;
        let Some(head) = head else { return Err("log_head: its row is missing".into()) };
        let newest = (ledger.position.0, ledger.chain.0);
        if (head.position, head.chain) != newest {
            return Err(format!(
                "log_head: position {} and chain {}, but the newest event has {} and {}",
                head.position, head.chain, newest.0, newest.1
            ));
        }
        if census.events > 0 && head.at_micros != ledger.at.0 {
            return Err(format!(
                "log_head: at_micros is {}, but that of the newest event is {}",
                head.at_micros, ledger.at.0
            ));
        }
        Ok(())
    }
}

/// Adds the messages before a position that were sent where the log was trimmed, and removes them from `messages`.
fn add_trimmed(
    before: i64,
    messages: &mut HashMap<i64, Arc<Message>>,
    ledger: &mut Ledger,
    census: &mut Census,
) -> Result<(), String> {
    let end = before.min(ledger.trimmed.0);
    let mut trimmed: Vec<i64> = messages.keys().copied().filter(|position| *position < end).collect();
    trimmed.sort_unstable();
    for position in trimmed {
        if let Some(message) = messages.remove(&position) {
            ledger.add_trimmed(&message).map_err(|reason| format!("message at {position}: {reason}"))?;
            census.messages += 1;
        }
    }
    Ok(())
}

/// Adds an event to the ledger, and removes its message from `messages`.
fn add(row: EventRow, messages: &mut HashMap<i64, Arc<Message>>, ledger: &mut Ledger) -> Result<(), String> {
    let EventRow { event: row, marked_conversation, marked_sender } = row;
    let position = row.position;
    let marked = marked_conversation.zip(marked_sender).map(|(conversation, sender)| MarkedMessage {
        conversation: ConversationId(conversation),
        sender: UserId(sender),
    });
    let is_sent = Sent::is_stored_as(row.kind);
    let event = convert::event(row, messages).map_err(unreadable)?;
    if is_sent {
        messages.remove(&position);
    }
    ledger.add(&event, marked).map_err(|reason| format!("event {position}: {reason}"))
}
