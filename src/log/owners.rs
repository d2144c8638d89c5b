//! Conversations that nobody owns. While nodes of a version before there were owners still run, they start conversations
//! without one, and let an owner leave without naming the next. Each start of herald gives these the owner that the log
//! says. What never lives here: who is to own a conversation from an event on, which `messaging` decides.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, FromQueryResult, Statement};
use uuid::Uuid;

use super::error::{During, StorageFault};
use super::head::Locked;
use super::sql::Sql;
use super::{Database, Unavailable};

/// Starts and leavings that are looked at together. One statement mends all of their conversations.
const PAGE_EVENTS: i64 = 1_000;

/// The next starts and leavings up to a position, each beside its conversation if nobody owns that. Of those that everybody
/// has left, whoever was the last owned them. Kind 1 is a start, kind 3 a leaving. The range and the limit come in between.
const LOOK: (&str, &str) = (
    "SELECT subselect.position, c.id AS conversation FROM ( \
     SELECT e.position, e.conversation_id FROM events e WHERE e.kind IN (1, 3)",
    ") AS subselect LEFT JOIN conversations c ON c.id = subselect.conversation_id \
     AND NOT EXISTS (SELECT 1 FROM participants p WHERE p.conversation_id = c.id AND p.owner_since IS NOT NULL \
         AND (p.left_position IS NULL OR (c.participant_count = 0 AND p.left_position = c.latest_position))) \
     ORDER BY subselect.position",
);

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

/// The newest event, and up to where every conversation was seen to have its owner.
#[derive(FromQueryResult)]
struct HeadRow {
    position: i64,
    owned_through: i64,
}

#[derive(FromQueryResult)]
struct LookRow {
    position: i64,
    conversation: Option<Uuid>,
}

impl Database {
    /// Gives every conversation that nobody owns the owner that follows from the log. It looks only at those that were
    /// started or left since it last did, so it may be called at every start. It goes on from where it failed.
    pub async fn settle_owners(&self) -> Result<(), Unavailable> {
        self.find_owners().await.during("give conversations their owners")
    }

    /// The same for every conversation there is. A herald of an earlier version can take an owner away again, by an event
    /// that is neither a start nor a leaving.
    pub async fn settle_all_owners(&self) -> Result<(), Unavailable> {
        let operation = "look at all conversations for their owners";
        let anew = Statement::from_string(
            self.writer.get_database_backend(),
            "UPDATE log_head SET owned_through = 0 WHERE id = 1",
        );
        self.writer.execute_raw(anew).await.during(operation)?;
        self.settle_owners().await
    }

    async fn find_owners(&self) -> Result<(), StorageFault> {
        let mut sql = Sql::default();
        sql.push("SELECT position, owned_through FROM log_head WHERE id = 1");
        let HeadRow { position: head, owned_through } =
            sql.rows(&self.reader).await?.pop().ok_or(StorageFault::NoHead)?;
        let mut after = owned_through;
        while after < head {
            let page = self.look(after, head).await?;
            let through = page.last().map_or(head, |row| row.position);
            let without: BTreeSet<Uuid> = page.into_iter().filter_map(|row| row.conversation).collect();
            if without.is_empty() {
                let note = looked_through(through).statement(self.writer.get_database_backend());
                self.writer.execute_raw(note).await?;
            } else {
                self.mend(through, without).await?;
            }
            after = through;
        }
        Ok(())
    }

    async fn look(&self, after: i64, through: i64) -> Result<Vec<LookRow>, StorageFault> {
        let mut look = Sql::default();
        look.push(LOOK.0).push(" AND e.position > ").bind(after).push(" AND e.position <= ").bind(through);
        look.push(" ORDER BY e.position LIMIT ").bind(PAGE_EVENTS).push(LOOK.1);
        Ok(look.rows(&self.reader).await?)
    }

    async fn mend(&self, through: i64, without: BTreeSet<Uuid>) -> Result<(), StorageFault> {
        let Locked { transaction, owned_through, .. } = self.lock().await?;
        if owned_through.0 >= through {
            // Another node has done it meanwhile.
            return Ok(transaction.rollback().await?);
        }
        let backend = transaction.get_database_backend();
        let conversations = without.len();
        let mut mend = Sql::default();
        mend.push(MEND.0).bind_list(without).push(MEND.1);
        transaction.execute_raw(mend.statement(backend)).await?;
        transaction.execute_raw(looked_through(through).statement(backend)).await?;
        transaction.commit().await?;
        tracing::info!(conversations, "conversations that nobody owned have their owners now");
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
