//! Reads messages as one person sees them: only those that were sent during the person's stays. Statements join the
//! stays and never list them, since somebody may leave and come back any number of times.
//!
//! The stays of one person in one conversation do not overlap. So the messages, read stay by stay, are in the order of
//! their positions, and reading stops as soon as a page is full.

use sea_orm::DbBackend;

use super::reader::Direction;
use super::sql::Sql;
use crate::messaging::{ConversationId, Position, UserId};

/// A position after every event.
pub(super) const END: Position = Position(i64::MAX);

/// A page of the messages of a conversation that were sent during somebody's stays.
#[derive(Debug, Clone)]
pub(super) struct InStays {
    pub(super) conversation: ConversationId,
    /// The user whose stays count.
    pub(super) of: UserId,
    /// Only messages that this user received: somebody else sent them while this user took part. `None`: all messages.
    pub(super) received_by: Option<UserId>,
    /// Only messages after this position.
    pub(super) after: Position,
    /// Only messages before this position.
    pub(super) before: Position,
    pub(super) direction: Direction,
    pub(super) limit: usize,
}

/// Writes what follows `SELECT` and the columns of `messages m`.
pub(super) fn messages_in_stays(sql: &mut Sql, backend: DbBackend, wanted: &InStays) {
    let order = match wanted.direction {
        Direction::First => "ASC",
        Direction::Last => "DESC",
    };
    let limit = i64::try_from(wanted.limit).unwrap_or(i64::MAX);
    sql.push(" FROM participants s CROSS JOIN ");
    if backend == DbBackend::Postgres {
        // Postgres sorts all rows of a join, so each stay is limited to the rows that the page needs.
        sql.push("LATERAL (SELECT * FROM messages m WHERE ");
        in_stay(sql, wanted);
        sql.push(" ORDER BY m.position ").push(order).push(" LIMIT ").bind(limit).push(") m WHERE ");
    } else {
        // SQLite reads the stays and the messages of each in the order of their indexes, and stops at the limit.
        sql.push("messages m WHERE ");
        in_stay(sql, wanted);
        sql.push(" AND ");
    }
    stays(sql, wanted.conversation, wanted.of, wanted.after, wanted.before);
    sql.push(" ORDER BY s.joined_position ").push(order).push(", m.position ").push(order);
    sql.push(" LIMIT ").bind(limit);
}

/// Narrows `participants s` to somebody's stays that overlap the positions between `after` and `before`.
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

/// Narrows messages (`m`) to those in the stay `s` and between `after` and `before`. There is one bound on either side.
/// Of two bounds, a database would use one for its index and read all rows that the other one excludes.
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

/// Writes the position at which the user's last stay that began before the message `m` ends. It is [`END`] while the
/// stay goes on, and 0 without such a stay. If the user saw the message, they saw it during this stay.
pub(super) fn end_of_stay(sql: &mut Sql, user: impl FnOnce(&mut Sql)) {
    sql.push("COALESCE((SELECT COALESCE(r.left_position, ").push(&END.0.to_string());
    sql.push(") FROM participants r WHERE r.conversation_id = m.conversation_id AND r.user_id = ");
    user(sql);
    sql.push(" AND r.joined_position < m.position ORDER BY r.joined_position DESC LIMIT 1), 0)");
}
