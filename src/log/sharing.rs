//! Carries what users choose to share over to their stays, where the rules and the counts of receipts find it. What never
//! lives here: the choices themselves, which are in `users` and `own_participations`.

use std::collections::BTreeSet;

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::error::StorageFault;
use super::sql::Sql;
use crate::messaging::{ConversationId, Position, UserId};

/// Whether the user of a stay shares what they receive in its conversation.
const SHARES_DELIVERED: &str = "COALESCE((SELECT o.share_delivered FROM own_participations o \
     WHERE o.user_id = participants.user_id AND o.conversation_id = participants.conversation_id), \
     (SELECT u.share_delivered FROM users u WHERE u.id = participants.user_id))";

/// Whether they share what they read there, if they share what they receive.
const SHARES_READ: &str = "COALESCE((SELECT o.share_read FROM own_participations o \
     WHERE o.user_id = participants.user_id AND o.conversation_id = participants.conversation_id), \
     (SELECT u.share_read FROM users u WHERE u.id = participants.user_id))";

/// Whether its user begins to share later in another of their stays in the conversation. Where herald writes a stay, it
/// begins at the same position in all of them.
const IS_EARLY: &str = "EXISTS (SELECT 1 FROM participants q \
     WHERE q.conversation_id = participants.conversation_id AND q.user_id = participants.user_id \
     AND (q.delivered_shared_after > participants.delivered_shared_after \
         OR q.read_shared_after > participants.read_shared_after))";

/// Writes whether a stay shares other marks than its user chose. A herald of a version before people chose shares
/// everything in each stay that it writes, from the beginning.
pub(super) fn is_wrong(sql: &mut Sql) {
    sql.push("(");
    is_stale(sql);
    sql.push(" OR ").push(IS_EARLY).push(")");
}

/// Has the stays in some conversations share what their users chose, in a transaction that locks the head of the log at a
/// position. Whoever shares does so from where they begin in their other stays there, and else from the position on.
pub(super) fn set_right(conversations: BTreeSet<Uuid>, head: Position) -> Sql {
    let mut sql = Sql::default();
    sql.push("UPDATE participants SET delivered_shared_after = CASE WHEN ").push(SHARES_DELIVERED);
    latest(&mut sql, "delivered_shared_after", head);
    sql.push(", read_shared_after = CASE WHEN ").push(SHARES_DELIVERED).push(" AND ").push(SHARES_READ);
    latest(&mut sql, "read_shared_after", head);
    sql.push(" WHERE conversation_id IN ").bind_list(conversations).push(" AND ");
    is_wrong(&mut sql);
    sql
}

/// Writes the latest position at which the user of a stay begins to share in their stays in its conversation.
fn latest(sql: &mut Sql, column: &str, head: Position) {
    sql.push(" THEN (SELECT MAX(COALESCE(q.").push(column).push(", ").bind(head.0);
    sql.push(
        ")) FROM participants q WHERE q.conversation_id = participants.conversation_id \
         AND q.user_id = participants.user_id) END",
    );
}

/// Writes whether a stay does not follow what its user chose.
fn is_stale(sql: &mut Sql) {
    sql.push("((delivered_shared_after IS NOT NULL) <> ").push(SHARES_DELIVERED);
    sql.push(" OR (read_shared_after IS NOT NULL) <> (").push(SHARES_DELIVERED);
    sql.push(" AND ").push(SHARES_READ).push("))");
}

/// Has the user's stays, in one conversation or in all, follow what the user chose, in a transaction that locks the head
/// of the log at a position. Whoever begins to share shares what comes after it, so that nothing of before is told.
pub(super) async fn share_as_chosen(
    transaction: &impl ConnectionTrait,
    user: UserId,
    conversation: Option<ConversationId>,
    head: Position,
) -> Result<(), StorageFault> {
    let mut sql = Sql::default();
    sql.push("UPDATE participants SET delivered_shared_after = CASE WHEN ").push(SHARES_DELIVERED);
    sql.push(" THEN COALESCE(delivered_shared_after, ").bind(head.0).push(") END, ");
    sql.push("read_shared_after = CASE WHEN ").push(SHARES_DELIVERED).push(" AND ").push(SHARES_READ);
    sql.push(" THEN COALESCE(read_shared_after, ").bind(head.0).push(") END WHERE user_id = ").bind(user.0);
    if let Some(conversation) = conversation {
        sql.push(" AND conversation_id = ").bind(conversation.0);
    }
    sql.push(" AND ");
    is_stale(&mut sql);
    transaction.execute_raw(sql.statement(transaction.get_database_backend())).await?;
    Ok(())
}
