//! Reads how far messages have come, and who received them when. It reads this as of now, or as of a position.
//!
//! The table `participants` has the present marks. The marks at an earlier position follow from the events that moved
//! them: a user's marks of one kind in a conversation only move forward, in the order of their positions.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::FromQueryResult;
use uuid::Uuid;

use super::conversations::people_page;
use super::{Page, ParticipantKey};
use crate::log::Database;
use crate::log::batch::{Each, KEYS_PER_STATEMENT, ask, ask_union};
use crate::log::sql::{Sql, Unsigned};
use crate::log::stays::END;
use crate::messaging::{Counts, Mark, Message, Position, Timestamp, UserId};

/// The time of the mark with which a recipient first covered a message; `None` if none did.
pub type MarkTime = Option<Timestamp>;

/// How far one message has come with one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The recipient, and the place in the list.
    pub key: ParticipantKey,
    /// When the recipient received the message.
    pub delivered_at: MarkTime,
    /// When the recipient read the message.
    pub read_at: MarkTime,
}

/// Joins a message (`m`) with its recipients: those whose participation (`p`) holds its position.
const RECIPIENTS: &str = " FROM messages m JOIN participants p ON p.conversation_id = m.conversation_id \
     AND p.joined_position <= m.position \
     AND (p.left_position IS NULL OR m.position <= p.left_position) AND p.user_id <> m.sender_id \
     WHERE m.position";

impl Database {
    /// Counts how far the messages at these positions have come.
    pub async fn counts(&self, keys: &[Position]) -> Each<Counts> {
        let write = |sql: &mut Sql, keys: &[Position]| {
            sql.push(
                "SELECT m.position AS position, COUNT(*) AS recipients, \
                 SUM(CASE WHEN p.delivered_through >= m.position THEN 1 ELSE 0 END) AS delivered, \
                 SUM(CASE WHEN p.read_through >= m.position THEN 1 ELSE 0 END) AS seen",
            );
            sql.push(RECIPIENTS).push(" IN ").bind_list(keys.iter().map(|position| position.0));
            sql.push(" GROUP BY m.position");
        };
        ask("count receipts", &self.reader, keys, KEYS_PER_STATEMENT, write, |keys, rows: Vec<CountsRow>| {
            let found: HashMap<_, _> = rows.iter().map(|row| (row.position, row.counts())).collect();
            keys.iter().map(|key| found.get(&key.0).copied().unwrap_or_default()).collect()
        })
        .await
    }

    /// Counts how far the message at each first position had come at the second position.
    pub async fn counts_as_of(&self, keys: &[(Position, Position)]) -> Each<Counts> {
        let found: Each<Vec<CountsRow>> =
            ask_union("count receipts as of a position", &self.reader, keys, |sql, (position, as_of)| {
                let reached = |sql: &mut Sql, mark| {
                    sql.push("(SELECT e.position");
                    marks_reaching(sql, mark, |sql| {
                        sql.push("m.position");
                    });
                    sql.push(") <= ").bind(as_of.0);
                };
                sql.push("m.position AS position, COUNT(*) AS recipients, SUM(CASE WHEN ");
                reached(sql, Mark::Delivered);
                sql.push(" OR ");
                reached(sql, Mark::Read);
                sql.push(" THEN 1 ELSE 0 END) AS delivered, SUM(CASE WHEN ");
                reached(sql, Mark::Read);
                sql.push(" THEN 1 ELSE 0 END) AS seen").push(RECIPIENTS).push(" = ").bind(position.0);
                sql.push(" GROUP BY m.position");
            })
            .await;
        let first = |rows: Vec<CountsRow>| rows.first().map(CountsRow::counts).unwrap_or_default();
        found.into_iter().map(|rows| rows.map(first)).collect()
    }

    /// Reads a page of receipts for each key, in one statement. With a position, the receipts are as of it.
    pub async fn receipts(
        &self,
        keys: &[(Arc<Message>, Option<Position>, Page<ParticipantKey>)],
    ) -> Each<Vec<Receipt>> {
        let found: Each<Vec<ReceiptRow>> =
            ask_union("read receipts", &self.reader, keys, |sql, (message, as_of, page)| {
                let as_of = as_of.unwrap_or(END);
                sql.push("p.joined_position AS joined, p.user_id AS recipient, ");
                first_mark(sql, Mark::Delivered, message.position, as_of);
                sql.push(" AS delivered_at, ");
                first_mark(sql, Mark::Read, message.position, as_of);
                sql.push(" AS read_at FROM participants p WHERE p.conversation_id = ");
                sql.bind(message.conversation.0).push(" AND p.user_id <> ").bind(message.sender.0);
                sql.push(" AND p.joined_position <= ").bind(message.position.0);
                sql.push(" AND (p.left_position IS NULL OR p.left_position >= ").bind(message.position.0);
                sql.push(")");
                people_page(sql, page);
            })
            .await;
        found.into_iter().map(|rows| rows.map(receipts)).collect()
    }
}

fn receipts(rows: Vec<ReceiptRow>) -> Vec<Receipt> {
    let mut receipts: Vec<_> = rows
        .into_iter()
        .map(|row| Receipt {
            key: ParticipantKey { joined: Position(row.joined), user: UserId(row.recipient) },
            // A recipient who read a message without a mark that it arrived received it at that time.
            delivered_at: row.delivered_at.or(row.read_at).map(Timestamp),
            read_at: row.read_at.map(Timestamp),
        })
        .collect();
    receipts.sort_by_key(|receipt| (receipt.key.joined, receipt.key.user));
    receipts
}

/// The time of the mark of this kind, made by `p` up to `as_of`, that first passed `position`. The first mark that
/// reaches so far is the one, unless it began beyond: then this position was passed by a mark of the other kind.
fn first_mark(sql: &mut Sql, mark: Mark, position: Position, as_of: Position) {
    sql.push("(SELECT CASE WHEN e.from_position < ").bind(position.0);
    sql.push(" AND e.position <= ").bind(as_of.0).push(" THEN e.at_micros END");
    marks_reaching(sql, mark, |sql| {
        sql.bind(position.0);
    });
    sql.push(")");
}

/// Writes what selects the first mark of this kind by `p` that reaches a position.
fn marks_reaching(sql: &mut Sql, mark: Mark, position: impl FnOnce(&mut Sql)) {
    sql.push(
        " FROM events e WHERE e.conversation_id = p.conversation_id AND e.actor_id = p.user_id AND e.kind = ",
    );
    sql.bind(mark.number()).push(" AND e.through_position >= ");
    position(sql);
    sql.push(" ORDER BY e.through_position LIMIT 1");
}

/// Writes how far the mark of this kind by `p` had come at a position. It is 0 before the first mark.
pub(super) fn mark_as_of(sql: &mut Sql, mark: Mark, as_of: Position) {
    // A mark covers only positions before its own. So the search in the index begins near the wanted mark, however many
    // marks came later.
    sql.push(
        "COALESCE((SELECT e.through_position FROM events e WHERE e.conversation_id = p.conversation_id \
         AND e.actor_id = p.user_id AND e.kind = ",
    );
    sql.bind(mark.number()).push(" AND e.through_position < ").bind(as_of.0);
    sql.push(" AND e.position <= ").bind(as_of.0);
    sql.push(" ORDER BY e.through_position DESC LIMIT 1), 0)");
}

#[derive(FromQueryResult)]
struct CountsRow {
    position: i64,
    recipients: Unsigned<u32>,
    delivered: Unsigned<u32>,
    seen: Unsigned<u32>,
}

impl CountsRow {
    fn counts(&self) -> Counts {
        Counts { recipients: self.recipients.0, delivered: self.delivered.0, read: self.seen.0 }
    }
}

#[derive(FromQueryResult)]
struct ReceiptRow {
    joined: i64,
    recipient: Uuid,
    delivered_at: Option<i64>,
    read_at: Option<i64>,
}
