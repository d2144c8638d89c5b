//! Checks what no single event says: what there may be only once, and that sessions and choices fit together.

use sea_orm::FromQueryResult;

use super::{Check, unreadable};
use crate::log::sharing::is_wrong;
use crate::log::sql::Sql;

/// A number that names a row in an error.
#[derive(FromQueryResult)]
struct Found {
    number: i64,
}

impl Check<'_> {
    /// Checks that each set of people has at most one distinct conversation.
    pub(super) async fn distinct(&self) -> Result<(), String> {
        let twice = "SELECT MAX(latest_position) AS number FROM conversations WHERE people IS NOT NULL \
             GROUP BY people HAVING COUNT(*) > 1 ORDER BY 1 LIMIT 1";
        self.none(twice, "conversation with the latest_position", "another one has the same people").await
    }

    /// Checks that each idempotency key stands for one message of its sender.
    pub(super) async fn keys(&self) -> Result<(), String> {
        let twice = "SELECT MAX(position) AS number FROM messages WHERE idempotency_key IS NOT NULL \
             GROUP BY sender_id, idempotency_key HAVING COUNT(*) > 1 ORDER BY 1 LIMIT 1";
        self.none(twice, "message at", "its sender used its idempotency key before").await
    }

    /// Checks that nothing is left of what was redacted.
    pub(super) async fn redacted(&self) -> Result<(), String> {
        let kept = "SELECT MIN(position) AS number FROM messages WHERE redacted_at_micros IS NOT NULL \
             AND (body <> '' OR metadata IS NOT NULL) HAVING COUNT(*) > 0";
        self.none(kept, "message at", "it was redacted, and its body or metadata is still stored").await
    }

    /// Checks that sessions belong to users, and that ended ones are counted and gone.
    pub(super) async fn sessions(&self) -> Result<(), String> {
        let uncounted = "SELECT e.number FROM session_ends e CROSS JOIN log_head h \
             WHERE e.number > h.sessions_ended OR e.number < 1 ORDER BY e.number LIMIT 1";
        self.none(uncounted, "session end", "log_head.sessions_ended does not count it").await?;
        let still_stored = "SELECT e.number FROM session_ends e JOIN sessions s ON s.id = e.session_id ORDER BY \
             e.number LIMIT 1";
        self.none(still_stored, "session end", "its session is still stored").await?;
        let without_user = "SELECT COUNT(*) AS number FROM sessions s LEFT JOIN users u ON u.id = s.user_id \
             WHERE u.id IS NULL HAVING COUNT(*) > 0";
        self.none(without_user, "sessions:", "this many belong to no user").await
    }

    /// Checks that stays share what their users chose.
    pub(super) async fn sharing(&self) -> Result<(), String> {
        let mut wrong = Sql::default();
        wrong.push("SELECT COUNT(*) AS number FROM participants WHERE ");
        is_wrong(&mut wrong);
        wrong.push(" HAVING COUNT(*) > 0");
        let reason = "this many do not share what their users chose: `herald migrate` has them do so";
        self.finds_none(wrong, "stays:", reason).await
    }

    /// Fails if the statement finds a row. The error names the row by `row` and its number.
    async fn none(&self, statement: &str, row: &str, reason: &str) -> Result<(), String> {
        let mut sql = Sql::default();
        sql.push(statement);
        self.finds_none(sql, row, reason).await
    }

    async fn finds_none(&self, sql: Sql, row: &str, reason: &str) -> Result<(), String> {
        let found: Vec<Found> = sql.rows(self.db).await.map_err(unreadable)?;
        match found.first() {
            Some(Found { number }) => Err(format!("{row} {number}: {reason}")),
            None => Ok(()),
        }
    }
}
