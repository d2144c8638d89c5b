//! Conversations that nobody owns. While nodes of a version before there were owners still run, they start conversations
//! without one, and let an owner leave without naming the next. Each start of herald gives these the owner that the log
//! says. What never lives here: who is to own a conversation from an event on, which `messaging` decides.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;

use super::batch::KEYS_PER_STATEMENT;
use super::error::{During, StorageFault};
use super::head::Locked;
use super::sql::Sql;
use super::{Database, Unavailable};

/// The head, beside each conversation that was started or left since the last look and that nobody owns. Of those that
/// everybody has left, whoever was the last owned them. Kind 1 is a start, kind 3 a leaving.
const LOOK: &str = "SELECT h.position AS through, subselect.id AS conversation FROM log_head h LEFT JOIN ( \
     SELECT c.id FROM conversations c WHERE c.id IN (SELECT e.conversation_id FROM events e \
         WHERE e.kind IN (1, 3) AND e.position > (SELECT o.owned_through FROM log_head o WHERE o.id = 1)) \
     AND NOT EXISTS (SELECT 1 FROM participants p WHERE p.conversation_id = c.id AND p.owner_since IS NOT NULL \
         AND (p.left_position IS NULL OR (c.participant_count = 0 AND p.left_position = c.latest_position))) \
     ) AS subselect ON TRUE WHERE h.id = 1";

/// Says who owned some conversations, from the start of each on: whoever started it, and after each owner who left,
/// whoever had taken part for longest. The list of the conversations comes in between.
const MEND: (&str, &str) = (
    "WITH RECURSIVE owners (conversation_id, user_id, joined_position, since, until) AS ( \
     SELECT p.conversation_id, p.user_id, p.joined_position, p.joined_position, p.left_position \
     FROM events e JOIN participants p \
         ON p.conversation_id = e.conversation_id AND p.user_id = e.actor_id AND p.joined_position = e.position \
     WHERE e.kind = 1 AND e.conversation_id IN ",
    " UNION ALL \
     SELECT p.conversation_id, p.user_id, p.joined_position, o.until, p.left_position \
     FROM owners o JOIN participants p ON p.conversation_id = o.conversation_id \
         AND p.joined_position < o.until AND (p.left_position IS NULL OR p.left_position > o.until) \
     WHERE o.until IS NOT NULL AND NOT EXISTS ( \
         SELECT 1 FROM participants q WHERE q.conversation_id = o.conversation_id \
             AND q.joined_position < o.until AND (q.left_position IS NULL OR q.left_position > o.until) \
             AND (q.joined_position, q.user_id) < (p.joined_position, p.user_id) \
     ) \
     ) \
     UPDATE participants SET owner_since = owners.since FROM owners \
     WHERE participants.conversation_id = owners.conversation_id AND participants.user_id = owners.user_id \
         AND participants.joined_position = owners.joined_position AND participants.owner_since IS NULL",
);

#[derive(FromQueryResult)]
struct LookRow {
    through: i64,
    conversation: Option<Uuid>,
}

impl Database {
    /// Gives every conversation that nobody owns the owner that follows from the log. It looks only at those that were
    /// started or left since it last did, so it may be called at every start.
    pub async fn settle_owners(&self) -> Result<(), Unavailable> {
        let operation = "give conversations their owners";
        let mut look = Sql::default();
        look.push(LOOK);
        let rows: Vec<LookRow> = look.rows(&self.reader).await.during(operation)?;
        let Some(through) = rows.first().map(|row| row.through) else { return Ok(()) };
        let without: BTreeSet<Uuid> = rows.into_iter().filter_map(|row| row.conversation).collect();
        if without.is_empty() {
            let note = looked_through(through).statement(self.writer.get_database_backend());
            return self.writer.execute_raw(note).await.during(operation).map(drop);
        }
        self.mend(through, without.into_iter().collect()).await.during(operation)
    }

    async fn mend(&self, through: i64, without: Vec<Uuid>) -> Result<(), StorageFault> {
        let Locked { transaction, owned_through, .. } = self.lock().await?;
        if owned_through.0 >= through {
            // Another node has done it meanwhile.
            return Ok(transaction.rollback().await?);
        }
        let backend = transaction.get_database_backend();
        for ids in without.chunks(KEYS_PER_STATEMENT) {
            let mut mend = Sql::default();
            mend.push(MEND.0).bind_list(ids.iter().copied()).push(MEND.1);
            transaction.execute_raw(mend.statement(backend)).await?;
        }
        transaction.execute_raw(looked_through(through).statement(backend)).await?;
        transaction.commit().await?;
        tracing::info!(
            conversations = without.len(),
            "conversations that nobody owned have their owners now"
        );
        Ok(())
    }
}

/// Notes that every conversation has its owner up to a position.
fn looked_through(position: i64) -> Sql {
    let mut note = Sql::default();
    note.push("UPDATE log_head SET owned_through = ").bind(position);
    note.push(" WHERE id = 1 AND owned_through < ").bind(position);
    note
}
