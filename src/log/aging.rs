//! What has grown too old to be kept: which messages and events are to go, how far that has been done, and which node does
//! it. What never lives here: when that is, and the redaction itself, which the writer appends.

use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;

use super::error::{During, StorageFault};
use super::head::Locked;
use super::sql::Sql;
use super::{Database, Unavailable};
use crate::clock::after;
use crate::messaging::{Kinds, MessageId, Position, Timestamp, UserId};

/// A message that is too old to be kept.
pub(super) struct Aged {
    pub(super) position: Position,
    pub(super) id: MessageId,
    pub(super) sender: UserId,
    pub(super) sent_at: Timestamp,
    /// Whether there is nothing left to redact.
    pub(super) is_redacted: bool,
}

#[derive(FromQueryResult)]
struct AgedRow {
    position: i64,
    id: Uuid,
    sender_id: Uuid,
    sent_at_micros: i64,
    redacted_at_micros: Option<i64>,
}

#[derive(FromQueryResult)]
struct LastRow {
    last: Option<i64>,
}

impl Database {
    /// Takes the turn of removing what is too old, for so long or until it is given back. `false` if another node has it.
    /// Two nodes that did it at once would do no harm, but the work twice: so it may depend on their clocks. A turn that
    /// ends too late was taken by a clock that was wrong.
    pub(super) async fn take_turn(&self, length: std::time::Duration) -> Result<bool, Unavailable> {
        let now = self.now();
        let until = after(now, length);
        let mut sql = Sql::default();
        sql.push("UPDATE log_head SET aging_until = ").bind(until.0);
        sql.push(" WHERE id = 1 AND (aging_until <= ").bind(now.0);
        sql.push(" OR aging_until > ").bind(until.0).push(")");
        Ok(self.change(sql).await? > 0)
    }

    /// Gives the turn back.
    pub(super) async fn end_turn(&self) -> Result<(), Unavailable> {
        let mut sql = Sql::default();
        sql.push("UPDATE log_head SET aging_until = 0 WHERE id = 1");
        self.change(sql).await.map(drop)
    }

    /// Reads the oldest messages that were sent before a time and that [`Database::note_redacted`] has not passed, in
    /// order: at most `limit`.
    pub(super) async fn aged_messages(
        &self,
        before: Timestamp,
        limit: i64,
    ) -> Result<Vec<Aged>, Unavailable> {
        let mut sql = Sql::default();
        sql.push(
            "SELECT m.position, m.id, m.sender_id, m.sent_at_micros, m.redacted_at_micros FROM messages m",
        );
        sql.push(" WHERE m.position > (SELECT h.redacted_through FROM log_head h WHERE h.id = 1)");
        sql.push(" ORDER BY m.position LIMIT ").bind(limit);
        let rows: Vec<AgedRow> = sql.rows(&self.reader).await.during("find messages that are too old")?;
        // Times increase with positions.
        let old = rows.into_iter().take_while(|row| row.sent_at_micros < before.0);
        let aged = old.map(|row| Aged {
            position: Position(row.position),
            id: MessageId(row.id),
            sender: UserId(row.sender_id),
            sent_at: Timestamp(row.sent_at_micros),
            is_redacted: row.redacted_at_micros.is_some(),
        });
        Ok(aged.collect())
    }

    /// The time of the newest event.
    pub(super) async fn newest_at(&self) -> Result<Timestamp, Unavailable> {
        let mut sql = Sql::default();
        sql.push("SELECT at_micros AS last FROM log_head WHERE id = 1");
        let rows: Vec<LastRow> = sql.rows(&self.reader).await.during("read the time of the newest event")?;
        Ok(Timestamp(rows.first().and_then(|row| row.last).unwrap_or(0)))
    }

    /// Notes that every message up to a position is redacted, and takes the keys away that clients gave these: a client
    /// may have made them from what was said.
    pub(super) async fn note_redacted(&self, through: Position) -> Result<(), Unavailable> {
        let mut keys = Sql::default();
        keys.push("UPDATE messages SET idempotency_key = NULL WHERE idempotency_key IS NOT NULL");
        keys.push(" AND position > (SELECT h.redacted_through FROM log_head h WHERE h.id = 1)");
        keys.push(" AND position <= ").bind(through.0);
        self.change(keys).await?;
        let mut sql = Sql::default();
        sql.push("UPDATE log_head SET redacted_through = ").bind(through.0);
        sql.push(" WHERE id = 1 AND redacted_through < ").bind(through.0);
        self.change(sql).await.map(drop)
    }

    /// The last of the oldest events of which some may be trimmed, because they happened before a time and
    /// [`Database::trim`] has not passed them: at most `limit` of them. `None` if there is none.
    pub(super) async fn aged_through(
        &self,
        before: Timestamp,
        limit: i64,
    ) -> Result<Option<Position>, Unavailable> {
        let mut sql = Sql::default();
        sql.push("SELECT MAX(subselect.position) AS last FROM (SELECT e.position, e.at_micros FROM events e");
        sql.push(" WHERE e.position > (SELECT h.trimmed FROM log_head h WHERE h.id = 1)");
        sql.push(" ORDER BY e.position LIMIT ").bind(limit);
        sql.push(") AS subselect WHERE subselect.at_micros < ").bind(before.0);
        let rows: Vec<LastRow> = sql.rows(&self.reader).await.during("find events that are too old")?;
        Ok(rows.first().and_then(|row| row.last).map(Position))
    }

    /// Trims the log before a position, at which there must be an event. From then on nobody can go on from a place before
    /// it. What is gone is that messages were sent and redacted, which the messages themselves tell, and by which connections
    /// the others came. Everything else stays, because statuses, receipts, titles, owners and stays follow from it.
    pub(super) async fn trim(&self, before: Position) -> Result<(), Unavailable> {
        self.trim_locked(before).await.during("trim the log")
    }

    async fn trim_locked(&self, before: Position) -> Result<(), StorageFault> {
        let Locked { transaction, trimmed, .. } = self.lock().await?;
        let backend = transaction.get_database_backend();
        let mut gone = Sql::default();
        let kinds = [Kinds::Sent, Kinds::Redacted].into_iter().filter_map(Kinds::numbers).flatten();
        gone.push("DELETE FROM events WHERE kind IN ").bind_list(kinds.copied());
        let mut stripped = Sql::default();
        stripped.push(
            "UPDATE events SET origin_session = NULL, origin_connection = NULL WHERE origin_session IS NOT NULL",
        );
        for mut sql in [gone, stripped] {
            sql.push(" AND position >= ").bind(trimmed.0).push(" AND position < ").bind(before.0);
            transaction.execute_raw(sql.statement(backend)).await?;
        }
        let mut note = Sql::default();
        note.push("UPDATE log_head SET trimmed = ").bind(before.0.max(trimmed.0)).push(" WHERE id = 1");
        transaction.execute_raw(note.statement(backend)).await?;
        Ok(transaction.commit().await?)
    }

    async fn change(&self, sql: Sql) -> Result<u64, Unavailable> {
        let statement = sql.statement(self.writer.get_database_backend());
        let changed = self.writer.execute_raw(statement).await;
        Ok(changed.during("note how far what is too old was removed")?.rows_affected())
    }
}
