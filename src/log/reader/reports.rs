//! Reads what services said of messages that they could not bring to recipients.

use sea_orm::FromQueryResult;

use crate::log::batch::{Each, ask_union};
use crate::log::error::During;
use crate::log::sql::Sql;
use crate::log::stays::END;
use crate::log::{Database, convert};
use crate::messaging::{ConversationId, Position, Reason, Timestamp, Undeliverable, UserId};

/// The key of why a message could not be brought to a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReportKey {
    /// The conversation of the message.
    pub conversation: ConversationId,
    /// The recipient.
    pub recipient: UserId,
    /// The position of the message.
    pub message: Position,
    /// The position as of which it is read; `None` stands for now.
    pub as_of: Option<Position>,
}

/// That a service could not bring a message to a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// When the service said so last.
    pub at: Timestamp,
    /// Why, in its words.
    pub reason: Reason,
}

#[derive(FromQueryResult)]
pub(in crate::log) struct ReportRow {
    pub(in crate::log) position: i64,
    pub(in crate::log) data: Option<String>,
    at_micros: i64,
}

impl Database {
    /// Reads the newest report for each key; `None` where there is none.
    pub async fn reports(&self, keys: &[ReportKey]) -> Each<Option<Reported>> {
        let operation = "read what could not be delivered";
        let found: Each<Vec<ReportRow>> = ask_union(operation, &self.reader, keys, |sql, key| {
            sql.push("e.position, e.data, e.at_micros");
            newest_report(sql, key.conversation, key.recipient, key.message, key.as_of.unwrap_or(END));
        })
        .await;
        let report = |rows: Vec<ReportRow>| {
            let Some(row) = rows.into_iter().next() else { return Ok(None) };
            let reason = convert::reason(row.position, row.data).during(operation)?;
            Ok(Some(Reported { at: Timestamp(row.at_micros), reason }))
        };
        found.into_iter().map(|rows| rows.and_then(report)).collect()
    }
}

/// Writes what selects the newest report about a message and a recipient up to a position. The index of marks serves it.
pub(in crate::log) fn newest_report(
    sql: &mut Sql,
    conversation: ConversationId,
    recipient: UserId,
    message: Position,
    as_of: Position,
) {
    sql.push(" FROM events e WHERE e.conversation_id = ").bind(conversation.0);
    sql.push(" AND e.actor_id = ").bind(recipient.0).push(" AND e.kind = ").bind(Undeliverable::NUMBER);
    sql.push(" AND e.through_position = ").bind(message.0).push(" AND e.position <= ").bind(as_of.0);
    sql.push(" ORDER BY e.position DESC LIMIT 1");
}
