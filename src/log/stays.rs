//! Messages as one person sees them: those of the stays in which they took part. A person's stays are joined, never
//! listed in a statement, since somebody may leave and come back any number of times.
//!
//! The stays of one person in one conversation do not overlap. So the messages of the stays, stay by stay, are in the
//! order of their positions, and a page ends as soon as it is full, wherever the stays are.

use sea_orm::DbBackend;

use super::reader::Direction;
use super::sql::Sql;
use crate::messaging::{ConversationId, Position, UserId};

/// Beyond every position.
pub(super) const END: Position = Position(i64::MAX);

/// Messages of a conversation that lie in somebody's stays.
#[derive(Debug, Clone)]
pub(super) struct InStays {
    pub(super) conversation: ConversationId,
    /// Whose stays.
    pub(super) of: UserId,
    /// Only what this user received: it was sent by somebody else while they took part.
    pub(super) received_by: Option<UserId>,
    /// Only what comes after this.
    pub(super) after: Position,
    /// Only what comes before this.
    pub(super) before: Position,
    pub(super) direction: Direction,
    pub(super) limit: usize,
}

/// Writes what follows `SELECT m.*`.
pub(super) fn messages_in_stays(sql: &mut Sql, backend: DbBackend, wanted: &InStays) {
    let order = match wanted.direction {
        Direction::First => "ASC",
        Direction::Last => "DESC",
    };
    let limit = i64::try_from(wanted.limit).unwrap_or(i64::MAX);
    sql.push(" FROM participants s CROSS JOIN ");
    if backend == DbBackend::Postgres {
        // Postgres sorts what a join yields, so each stay yields no more than the page needs.
        sql.push("LATERAL (SELECT * FROM messages m WHERE ");
        in_stay(sql, wanted);
        sql.push(" ORDER BY m.position ").push(order).push(" LIMIT ").bind(limit).push(") m WHERE ");
    } else {
        // SQLite goes through the stays and the messages of each in the order of their indexes, and stops.
        sql.push("messages m WHERE ");
        in_stay(sql, wanted);
        sql.push(" AND ");
    }
    stays(sql, wanted.conversation, wanted.of, wanted.after, wanted.before);
    sql.push(" ORDER BY s.joined_position ").push(order).push(", m.position ").push(order);
    sql.push(" LIMIT ").bind(limit);
}

/// Narrows `participants s` to somebody's stays that meet a stretch of the log, both ends excluded.
pub(super) fn stays(
    sql: &mut Sql,
    conversation: ConversationId,
    of: UserId,
    after: Position,
    before: Position,
) {
    sql.push("s.conversation_id = ").bind(conversation.0).push(" AND s.user_id = ").bind(of.0);
    sql.push(" AND s.joined_position < ").bind(before.0);
    sql.push(" AND (s.left_position IS NULL OR s.left_position > ").bind(after.0).push(")");
}

/// Narrows messages (`m`) to what lies in the stay `s` and in a stretch of the log, both ends excluded. One bound on
/// either side: of two, a database would take one for its index and look at all that the other one excludes.
pub(super) fn messages_of_stay(sql: &mut Sql, after: Position, before: Position) {
    sql.push("m.conversation_id = s.conversation_id AND m.position > CASE WHEN s.joined_position > ");
    sql.bind(after.0).push(" THEN s.joined_position ELSE ").bind(after.0).push(" END");
    sql.push(" AND m.position < CASE WHEN s.left_position < ").bind(before.0);
    sql.push(" THEN s.left_position ELSE ").bind(before.0).push(" END");
}

fn in_stay(sql: &mut Sql, wanted: &InStays) {
    messages_of_stay(sql, wanted.after, wanted.before);
    let Some(recipient) = wanted.received_by else { return };
    sql.push(" AND m.sender_id <> ").bind(recipient.0);
    if recipient != wanted.of {
        sql.push(" AND ");
        end_of_stay(sql, |sql| {
            sql.bind(recipient.0);
        });
        sql.push(" > m.position");
    }
}

/// Where somebody's last stay that began before the message `m` ends: beyond every position while it goes on, 0
/// without such a stay. If somebody saw the message, it was in this stay.
pub(super) fn end_of_stay(sql: &mut Sql, user: impl FnOnce(&mut Sql)) {
    sql.push("COALESCE((SELECT COALESCE(r.left_position, ").push(&END.0.to_string());
    sql.push(") FROM participants r WHERE r.conversation_id = m.conversation_id AND r.user_id = ");
    user(sql);
    sql.push(" AND r.joined_position < m.position ORDER BY r.joined_position DESC LIMIT 1), 0)");
}
