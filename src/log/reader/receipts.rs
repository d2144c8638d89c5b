//! Reads how far messages have come, and who received them when. It reads this as of now, or as of a position.
//!
//! The table `participants` has the present marks. The marks at an earlier position follow from the events that moved
//! them: a user's marks of one kind in a conversation only move forward, in the order of their positions.
//!
//! Everything here is what others are told, whoever asks. So of the events it looks only for the marks that were told.
//! The present marks are told of messages after the position since which their user shares them.

use std::collections::HashMap;

use sea_orm::FromQueryResult;
use uuid::Uuid;

use super::conversations::people_page;
use super::{Page, ParticipantKey};
use crate::log::Database;
use crate::log::batch::{Each, KEYS_PER_STATEMENT, ask, ask_union};
use crate::log::sql::{Sql, Unsigned};
use crate::log::stays::END;
use crate::messaging::{ConversationId, Counts, Event, Mark, Message, Position, Sharing, Timestamp, UserId};

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
    /// Whether others are told when the recipient receives the message, or were.
    pub is_shared: bool,
    /// Whether others were told that the recipient received the message, also where this viewer is not shown when.
    pub is_delivered: bool,
}

impl Receipt {
    /// The same for a viewer to whom only such marks are shown as they share of their own.
    #[must_use]
    pub fn shown_to_who_shares(self, own: Sharing) -> Self {
        let is_shared = own.tells(Mark::Delivered) && self.is_shared;
        let delivered_at = self.delivered_at.filter(|_| is_shared);
        let read_at = self.read_at.filter(|_| own.tells(Mark::Read));
        Self { delivered_at, read_at, is_shared, ..self }
    }
}

/// Whose receipts are wanted, of the recipients of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// Every recipient's.
    Everybody,
    /// Those of whom others are told when they receive the message, or were.
    Sharing,
    /// Of these, those of whom no mark of this kind was told that covers the message. To read is to receive.
    NotYet(Mark),
}

/// A page of the receipts of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReceiptsPage {
    /// The place of the message.
    pub message: Position,
    /// The conversation that it was sent to.
    pub conversation: ConversationId,
    /// Who sent it, and is no recipient.
    pub sender: UserId,
    /// The position as of which the receipts are; `None` stands for now.
    pub as_of: Option<Position>,
    /// Whose receipts are on the page. Where it is not everybody's, herald may look at every recipient for a page.
    pub whose: Whose,
    /// The page.
    pub page: Page<ParticipantKey>,
}

impl ReceiptsPage {
    /// A page of the receipts of this message.
    pub fn of(message: &Message, as_of: Option<Position>, whose: Whose, page: Page<ParticipantKey>) -> Self {
        let Message { position, conversation, sender, .. } = *message;
        Self { message: position, conversation, sender, as_of, whose, page }
    }
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
            sql.push("SELECT ");
            counted(sql, None);
            sql.push(" IN ").bind_list(keys.iter().map(|position| position.0));
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
                counted(sql, Some(*as_of));
                sql.push(" = ").bind(position.0).push(" GROUP BY m.position");
            })
            .await;
        let first = |rows: Vec<CountsRow>| rows.first().map(CountsRow::counts).unwrap_or_default();
        found.into_iter().map(|rows| rows.map(first)).collect()
    }

    /// How far, before each of these marks, others were told that whoever made it had received messages.
    pub async fn received_before(&self, marks: &[&Event]) -> Each<Position> {
        let operation = "read what was told before a mark";
        let found: Each<Vec<ToldRow>> = ask_union(operation, &self.reader, marks, |sql, event| {
            let before = Some(Position(event.position.0 - 1));
            mark_told(sql, Mark::Delivered, before);
            sql.push(" AS delivered, ");
            mark_told(sql, Mark::Read, before);
            sql.push(" AS seen FROM participants p WHERE p.conversation_id = ").bind(event.conversation.0);
            sql.push(" AND p.user_id = ").bind(event.actor.0);
        })
        .await;
        // Each stay has the same marks.
        let through = |rows: Vec<ToldRow>| rows.first().map_or(0, |row| row.delivered.max(row.seen));
        found.into_iter().map(|rows| rows.map(through).map(Position)).collect()
    }

    /// Reads a page of receipts for each key, in one statement. With a position, the receipts are as of it.
    pub async fn receipts(&self, keys: &[ReceiptsPage]) -> Each<Vec<Receipt>> {
        let found: Each<Vec<ReceiptRow>> = ask_union("read receipts", &self.reader, keys, |sql, key| {
            let as_of = key.as_of.unwrap_or(END);
            sql.push("p.joined_position AS joined, p.user_id AS recipient, p.delivered_shared_after, ");
            first_mark(sql, Mark::Delivered, key.message, as_of);
            sql.push(" AS delivered_at, ");
            first_mark(sql, Mark::Read, key.message, as_of);
            sql.push(" AS read_at FROM participants p WHERE p.conversation_id = ");
            sql.bind(key.conversation.0).push(" AND p.user_id <> ").bind(key.sender.0);
            sql.push(" AND p.joined_position <= ").bind(key.message.0);
            sql.push(" AND (p.left_position IS NULL OR p.left_position >= ").bind(key.message.0).push(")");
            narrow(sql, key);
            people_page(sql, &key.page);
        })
        .await;
        keys.iter().zip(found).map(|(key, rows)| Ok(receipts(key.message, rows?))).collect()
    }
}

fn receipts(message: Position, rows: Vec<ReceiptRow>) -> Vec<Receipt> {
    let mut receipts: Vec<_> = rows
        .into_iter()
        .map(|row| {
            // A recipient who read a message without a mark that it arrived received it at that time.
            let delivered_at = row.delivered_at.or(row.read_at).map(Timestamp);
            let is_told_of = row.delivered_shared_after.is_some_and(|after| message.0 > after);
            Receipt {
                key: ParticipantKey { joined: Position(row.joined), user: UserId(row.recipient) },
                delivered_at,
                read_at: row.read_at.map(Timestamp),
                is_shared: delivered_at.is_some() || is_told_of,
                is_delivered: delivered_at.is_some(),
            }
        })
        .collect();
    receipts.sort_by_key(|receipt| (receipt.key.joined, receipt.key.user));
    receipts
}

/// Narrows recipients (`p`) to those whose receipts are wanted, by what the counts go by.
fn narrow(sql: &mut Sql, key: &ReceiptsPage) {
    if key.whose == Whose::Everybody {
        return;
    }
    sql.push(" AND EXISTS (SELECT 1 FROM messages m WHERE m.position = ").bind(key.message.0).push(" AND ");
    is_shared(sql, key.as_of);
    if let Whose::NotYet(mark) = key.whose {
        sql.push(" AND NOT ");
        is_reached(sql, mark, key.as_of);
    }
    sql.push(")");
}

/// Writes the columns of a [`CountsRow`], and from where they are.
fn counted(sql: &mut Sql, as_of: Option<Position>) {
    sql.push("m.position AS position, COUNT(*) AS recipients, SUM(CASE WHEN ");
    is_shared(sql, as_of);
    sql.push(" THEN 1 ELSE 0 END) AS sharing, SUM(CASE WHEN ");
    is_reached(sql, Mark::Delivered, as_of);
    sql.push(" THEN 1 ELSE 0 END) AS delivered, SUM(CASE WHEN ");
    is_reached(sql, Mark::Read, as_of);
    sql.push(" THEN 1 ELSE 0 END) AS seen").push(RECIPIENTS);
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

/// Writes whether others are told of `m` when `p` receives it, or were told up to `as_of`. Who shares is as of now in any
/// case: nobody is told when somebody chooses.
fn is_shared(sql: &mut Sql, as_of: Option<Position>) {
    sql.push("(m.position > p.delivered_shared_after OR ");
    told(sql, as_of.unwrap_or(END));
    sql.push(")");
}

/// Writes whether others were told that `p` received or read `m`: now, or as of a position. For now it asks the log only
/// about messages of which the present mark does not tell.
fn is_reached(sql: &mut Sql, mark: Mark, as_of: Option<Position>) {
    if as_of.is_none() {
        let (through, after) = columns(mark);
        sql.push(&format!("CASE WHEN m.position > {after} THEN {through} >= m.position ELSE "));
    }
    match mark {
        Mark::Delivered => told(sql, as_of.unwrap_or(END)),
        Mark::Read => told_of(sql, Mark::Read, as_of.unwrap_or(END)),
    }
    if as_of.is_none() {
        sql.push(" END");
    }
}

/// The columns of the present mark, and of the position after which it is shared.
fn columns(mark: Mark) -> (&'static str, &'static str) {
    match mark {
        Mark::Delivered => ("p.delivered_through", "p.delivered_shared_after"),
        Mark::Read => ("p.read_through", "p.read_shared_after"),
    }
}

/// Writes whether others were told up to `as_of` that `p` received or read `m`.
pub(in crate::log) fn told(sql: &mut Sql, as_of: Position) {
    sql.push("(");
    told_of(sql, Mark::Delivered, as_of);
    sql.push(" OR ");
    told_of(sql, Mark::Read, as_of);
    sql.push(")");
}

/// Writes whether others were told up to `as_of` of a mark of this kind with which `p` covered `m`.
fn told_of(sql: &mut Sql, mark: Mark, as_of: Position) {
    sql.push("COALESCE((SELECT e.from_position < m.position AND e.position <= ").bind(as_of.0);
    marks_reaching(sql, mark, |sql| {
        sql.push("m.position");
    });
    sql.push("), FALSE)");
}

/// Writes what selects the first mark of this kind that was told by `p` and reaches a position. Where one of them covers
/// the position it is this one, since their ranges do not overlap.
fn marks_reaching(sql: &mut Sql, mark: Mark, position: impl FnOnce(&mut Sql)) {
    sql.push(
        " FROM events e WHERE e.conversation_id = p.conversation_id AND e.actor_id = p.user_id AND e.kind = ",
    );
    sql.bind(mark.number()).push(" AND e.through_position >= ");
    position(sql);
    sql.push(" ORDER BY e.through_position LIMIT 1");
}

/// Writes how far others are told that the mark of this kind by `p` has come: now, or as of a position. It is 0 before
/// the first mark that was told.
pub(super) fn mark_told(sql: &mut Sql, mark: Mark, as_of: Option<Position>) {
    let Some(as_of) = as_of else {
        let (through, after) = columns(mark);
        sql.push(&format!("CASE WHEN {through} > {after} THEN {through} ELSE "));
        last_mark_told(sql, mark, END);
        sql.push(" END");
        return;
    };
    last_mark_told(sql, mark, as_of);
}

fn last_mark_told(sql: &mut Sql, mark: Mark, as_of: Position) {
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
    sharing: Unsigned<u32>,
    delivered: Unsigned<u32>,
    seen: Unsigned<u32>,
}

impl CountsRow {
    fn counts(&self) -> Counts {
        let Self { recipients, sharing, delivered, seen, .. } = self;
        Counts { recipients: recipients.0, sharing: sharing.0, delivered: delivered.0, read: seen.0 }
    }
}

#[derive(FromQueryResult)]
struct ToldRow {
    delivered: i64,
    seen: i64,
}

#[derive(FromQueryResult)]
struct ReceiptRow {
    joined: i64,
    recipient: Uuid,
    delivered_shared_after: Option<i64>,
    delivered_at: Option<i64>,
    read_at: Option<i64>,
}
