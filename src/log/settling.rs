//! What nodes of earlier versions leave behind while they still run beside later ones: conversations that nobody owns,
//! and stays that do not share what their users chose. Each start of herald looks at what happened since the last one
//! looked, and sets it right. What never lives here: how, which `owners` and `sharing` know.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, FromQueryResult, Statement};
use uuid::Uuid;

use super::error::{During, StorageFault};
use super::head::Locked;
use super::owners::{give_owners, is_owned};
use super::sharing::{is_wrong, set_right};
use super::sql::Sql;
use super::{Database, Unavailable};

/// Starts, joins and leavings that are looked at together. Two statements set all of their conversations right. Each may be
/// of a thousand people, all of whom one statement looks at.
const PAGE_EVENTS: i64 = 100;

/// The newest event, and up to where everything was seen to be right.
#[derive(FromQueryResult)]
struct HeadRow {
    position: i64,
    owned_through: i64,
}

/// An event that changed who takes part, and its conversation where that is wrong in one way or the other.
#[derive(FromQueryResult)]
struct LookRow {
    position: i64,
    unowned: Option<Uuid>,
    wrongly_shared: Option<Uuid>,
}

impl Database {
    /// Gives every conversation that nobody owns the owner that follows from the log, and has every stay share what its
    /// user chose. It looks only at what was started, joined or left since it last did, so it may be called at every
    /// start. It goes on from where it failed.
    pub async fn settle_participants(&self) -> Result<(), Unavailable> {
        self.look_at_new().await.during("set right what earlier versions of herald did")
    }

    /// The same for everything there is. A herald of an earlier version can take an owner away again, by an event that is
    /// none of these, and what it did may come after the look of the last start.
    pub async fn settle_all_participants(&self) -> Result<(), Unavailable> {
        let anew = Statement::from_string(
            self.writer.get_database_backend(),
            "UPDATE log_head SET owned_through = 0 WHERE id = 1",
        );
        self.writer.execute_raw(anew).await.during("look at everything anew")?;
        self.settle_participants().await
    }

    async fn look_at_new(&self) -> Result<(), StorageFault> {
        let mut sql = Sql::default();
        sql.push("SELECT position, owned_through FROM log_head WHERE id = 1");
        let HeadRow { position: head, owned_through } =
            sql.rows(&self.reader).await?.pop().ok_or(StorageFault::NoHead)?;
        let mut after = owned_through;
        while after < head {
            let page = self.look(after, head).await?;
            let through = page.last().map_or(head, |row| row.position);
            let unowned: BTreeSet<Uuid> = page.iter().filter_map(|row| row.unowned).collect();
            let wrongly_shared: BTreeSet<Uuid> = page.iter().filter_map(|row| row.wrongly_shared).collect();
            if unowned.is_empty() && wrongly_shared.is_empty() {
                let note = looked_through(through).statement(self.writer.get_database_backend());
                self.writer.execute_raw(note).await?;
            } else {
                self.mend(through, unowned, wrongly_shared).await?;
            }
            after = through;
        }
        Ok(())
    }

    /// Reads the next starts, joins and leavings. Kind 1 is a start, kind 2 a join and kind 3 a leaving.
    async fn look(&self, after: i64, through: i64) -> Result<Vec<LookRow>, StorageFault> {
        let mut look = Sql::default();
        look.push(
            "SELECT subselect.position, c.id AS unowned, CASE WHEN EXISTS ( \
             SELECT 1 FROM participants WHERE participants.conversation_id = subselect.conversation_id \
             AND participants.joined_position = subselect.position AND ",
        );
        is_wrong(&mut look);
        look.push(
            ") THEN subselect.conversation_id END AS wrongly_shared FROM ( \
             SELECT e.position, e.conversation_id FROM events e WHERE e.kind IN (1, 2, 3) AND e.position > ",
        );
        look.bind(after).push(" AND e.position <= ").bind(through);
        look.push(" ORDER BY e.position LIMIT ").bind(PAGE_EVENTS);
        look.push(") AS subselect LEFT JOIN conversations c ON c.id = subselect.conversation_id AND NOT ");
        is_owned(&mut look);
        look.push(" ORDER BY subselect.position");
        Ok(look.rows(&self.reader).await?)
    }

    async fn mend(
        &self,
        through: i64,
        unowned: BTreeSet<Uuid>,
        wrongly_shared: BTreeSet<Uuid>,
    ) -> Result<(), StorageFault> {
        let Locked { transaction, head, owned_through, .. } = self.lock().await?;
        if owned_through.0 >= through {
            // Another node has done it meanwhile.
            return Ok(transaction.rollback().await?);
        }
        let backend = transaction.get_database_backend();
        let (owners, sharing) = (unowned.len(), wrongly_shared.len());
        if owners > 0 {
            transaction.execute_raw(give_owners(unowned).statement(backend)).await?;
        }
        if sharing > 0 {
            transaction.execute_raw(set_right(wrongly_shared, head.position).statement(backend)).await?;
        }
        transaction.execute_raw(looked_through(through).statement(backend)).await?;
        transaction.commit().await?;
        tracing::info!(
            owners,
            sharing,
            "set right what an earlier version of herald wrote: this many conversations without an owner, and this many in \
             which it shared what people keep to themselves"
        );
        Ok(())
    }
}

/// Notes that everything is right up to a position.
fn looked_through(position: i64) -> Sql {
    let mut note = Sql::default();
    note.push("UPDATE log_head SET owned_through = ").bind(position);
    note.push(" WHERE id = 1 AND owned_through < ").bind(position);
    note
}
