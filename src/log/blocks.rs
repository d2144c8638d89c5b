//! Reads and writes who has blocked whom.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::batch::KEYS_PER_STATEMENT;
use super::entities::block;
use super::error::During;
use super::{Database, Direction, Page, Unavailable};
use crate::messaging::{Timestamp, UserId};

/// Somebody who is blocked, and the place in the list of those whom one blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockKey {
    /// Since when they are blocked.
    pub at: Timestamp,
    /// Who is blocked.
    pub user: UserId,
}

impl Database {
    /// Stores that `blocker` blocks `other`, both of whom exist. A second time changes nothing.
    pub async fn block(&self, blocker: UserId, other: UserId) -> Result<(), Unavailable> {
        let row = block::ActiveModel {
            blocker_id: Set(blocker.0),
            blocked_id: Set(other.0),
            created_at: Set(self.now().0),
        };
        let columns = [block::Column::BlockerId, block::Column::BlockedId];
        block::Entity::insert(row)
            .on_conflict(OnConflict::columns(columns).do_nothing().to_owned())
            .exec_without_returning(&self.writer)
            .await
            .during("store a block")?;
        Ok(())
    }

    /// Stores that `blocker` no longer blocks `other`.
    pub async fn unblock(&self, blocker: UserId, other: UserId) -> Result<(), Unavailable> {
        block::Entity::delete_by_id((blocker.0, other.0))
            .exec(&self.writer)
            .await
            .during("remove a block")?;
        Ok(())
    }

    /// Those of `users` who block `blocked`.
    pub async fn blockers_of(&self, blocked: UserId, users: &[UserId]) -> Result<Vec<UserId>, Unavailable> {
        let mut found = Vec::new();
        for users in users.chunks(KEYS_PER_STATEMENT) {
            let rows: Vec<Uuid> = block::Entity::find()
                .select_only()
                .column(block::Column::BlockerId)
                .filter(block::Column::BlockerId.is_in(users.iter().map(|user| user.0)))
                .filter(block::Column::BlockedId.eq(blocked.0))
                .into_tuple()
                .all(&self.reader)
                .await
                .during("read blocks")?;
            found.extend(rows.into_iter().map(UserId));
        }
        Ok(found)
    }

    /// A page of those whom `blocker` blocks, in the order in which they were blocked.
    pub async fn blocked_by(
        &self,
        blocker: UserId,
        page: &Page<BlockKey>,
    ) -> Result<Vec<BlockKey>, Unavailable> {
        let mut find = block::Entity::find().filter(block::Column::BlockerId.eq(blocker.0));
        let place =
            || Expr::tuple([Expr::col(block::Column::CreatedAt), Expr::col(block::Column::BlockedId)]);
        let value = |key: BlockKey| Expr::tuple([Expr::val(key.at.0), Expr::val(key.user.0)]);
        if let Some(after) = page.after {
            find = find.filter(place().gt(value(after)));
        }
        if let Some(before) = page.before {
            find = find.filter(place().lt(value(before)));
        }
        let order = match page.direction {
            Direction::First => Order::Asc,
            Direction::Last => Order::Desc,
        };
        let rows = find
            .order_by(block::Column::CreatedAt, order.clone())
            .order_by(block::Column::BlockedId, order)
            .limit(u64::try_from(page.limit).unwrap_or(u64::MAX))
            .all(&self.reader)
            .await
            .during("read blocks")?;
        let mut found: Vec<BlockKey> = rows
            .into_iter()
            .map(|row| BlockKey { at: Timestamp(row.created_at), user: UserId(row.blocked_id) })
            .collect();
        if page.direction == Direction::Last {
            found.reverse();
        }
        Ok(found)
    }
}
