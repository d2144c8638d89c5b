//! Which events a subscriber wants, as a condition of SQL.

use sea_orm::DbBackend;

use super::Received;
use crate::log::entities::event;
use crate::log::sql::Sql;
use crate::messaging::{Change, ConversationId, Covered, Event, Kinds, Mark, Position, UserId, View};

/// The conversations whose events a subscriber wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConversationFilter {
    /// All conversations that the viewer takes part in, or all that there are if the viewer is a service.
    All,
    /// This conversation.
    Conversation(ConversationId),
}

/// Who follows the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Viewer {
    /// A user, who is told what they may see.
    User(UserId),
    /// A service, which is told everything.
    Service,
}

/// The events that a subscriber wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubscriptionFilter {
    /// Who subscribes.
    pub viewer: Viewer,
    /// The conversations of the events.
    pub conversations: ConversationFilter,
    /// The kinds of the events.
    pub kinds: Kinds,
    /// Whether a viewer who does not share marks of a kind is told of none that others make. Whoever shares only what they
    /// receive is told of what others read as of what they receive.
    pub is_reciprocal: bool,
}

impl SubscriptionFilter {
    /// Every event, as a service sees it.
    pub const EVERYTHING: Self = Self {
        viewer: Viewer::Service,
        conversations: ConversationFilter::All,
        kinds: Kinds::ALL,
        is_reciprocal: false,
    };

    /// The mark of somebody else of which the viewer is told only if they share what they receive.
    pub(super) fn owed(&self, event: &Event) -> Option<(UserId, Mark)> {
        match (self.viewer, &event.change) {
            (Viewer::User(viewer), Change::Marked(marked)) if self.is_reciprocal && viewer != event.actor => {
                Some((viewer, marked.mark))
            }
            _ => None,
        }
    }

    /// Whether the log must tell if a view of an event shows the viewer anything.
    pub fn is_in_doubt(&self, event: &Event, view: View) -> bool {
        in_doubt(event, view).is_some() || self.owed(event).is_some()
    }
}

/// The messages of which a mark must cover one for the viewer to see it; `None` where the view is enough to tell.
pub(super) fn in_doubt(event: &Event, view: View) -> Option<Received> {
    match view.covered {
        Covered::After(_) => None,
        Covered::StaysOf(_) => event.change.covers().map(|range| Received::by(event, range, view)),
    }
}

/// Writes the statement for everybody's events in `after < position <= through`.
pub(super) fn events_of_all(
    sql: &mut Sql,
    filter: SubscriptionFilter,
    after: Position,
    through: Position,
    limit: usize,
) {
    sql.push("SELECT ")
        .columns::<event::Entity>("e")
        .push(" FROM events e WHERE e.position > ")
        .bind(after.0);
    sql.push(" AND e.position <= ").bind(through.0);
    if let Some(numbers) = filter.kinds.numbers() {
        sql.push(" AND e.kind IN ").bind_list(numbers.iter().copied());
    }
    if let ConversationFilter::Conversation(conversation) = filter.conversations {
        sql.push(" AND e.conversation_id = ").bind(conversation.0);
    }
    sql.push(" ORDER BY e.position LIMIT ").bind(i64::try_from(limit).unwrap_or(i64::MAX));
}

/// Writes the statement for the events of somebody's stays in `after < position <= through`.
pub(super) fn events_in_stays(
    sql: &mut Sql,
    backend: DbBackend,
    user: UserId,
    filter: SubscriptionFilter,
    after: Position,
    through: Position,
    limit: usize,
) {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    // Both databases go from the viewer's stays to their events by index, and not over everybody's events. The cross
    // join makes SQLite do so, and the limit for each stay makes Postgres do so.
    sql.push("SELECT ").columns::<event::Entity>("e").push(" FROM participants s CROSS JOIN ");
    let is_lateral = backend == DbBackend::Postgres;
    sql.push(if is_lateral { "LATERAL (SELECT * FROM events e WHERE " } else { "events e WHERE " });
    // There is one bound on either side. Of two bounds, a database would use one for its index and read all rows that
    // the other one excludes, for every stay.
    sql.push("e.conversation_id = s.conversation_id AND e.position >= CASE WHEN s.joined_position > ");
    sql.bind(after.0).push(" THEN s.joined_position ELSE ").bind(after.next().0);
    sql.push(" END AND e.position <= CASE WHEN s.left_position < ").bind(through.0);
    sql.push(" THEN s.left_position ELSE ").bind(through.0).push(" END");
    if let Some(numbers) = filter.kinds.numbers() {
        sql.push(" AND e.kind IN ").bind_list(numbers.iter().copied());
    }
    if is_lateral {
        sql.push(" ORDER BY e.position LIMIT ").bind(limit).push(") e WHERE ");
    } else {
        sql.push(" AND ");
    }
    sql.push("s.user_id = ").bind(user.0);
    sql.push(" AND s.joined_position <= ").bind(through.0);
    sql.push(" AND (s.left_position IS NULL OR s.left_position > ").bind(after.0).push(")");
    if let ConversationFilter::Conversation(conversation) = filter.conversations {
        sql.push(" AND s.conversation_id = ").bind(conversation.0);
    }
    sql.push(" ORDER BY e.position LIMIT ").bind(limit);
}
