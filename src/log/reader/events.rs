//! Reads events, to fill gaps that the feed left and to replay for subscribers.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::Received;
use crate::log::convert;
use crate::log::entities::{event, message, participant};
use crate::log::error::During;
use crate::log::sql::Sql;
use crate::log::{Database, ReadError, Unavailable};
use crate::messaging::{
    Change, ConversationId, Covered, Event, Interval, Kinds, Mark, Message, Participation, Position, Sent,
    UserId, View, view,
};

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
    fn owed(&self, event: &Event) -> Option<(UserId, Mark)> {
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

/// That a user takes or took part in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// The conversation.
    pub conversation: ConversationId,
    /// The user.
    pub user: UserId,
    /// The positions between which the user takes part.
    pub interval: Interval,
}

impl Database {
    /// Reads the events in `after < position <= through`, at most `limit`, in order.
    pub async fn events(
        &self,
        after: Position,
        through: Position,
        limit: u64,
    ) -> Result<Vec<Arc<Event>>, Unavailable> {
        let rows = event::Entity::find()
            .filter(event::Column::Position.gt(after.0))
            .filter(event::Column::Position.lte(through.0))
            .order_by_asc(event::Column::Position)
            .limit(limit)
            .all(&self.reader)
            .await
            .during("read events")?;
        Ok(self.events_of(rows).await?)
    }

    /// Reads the events in `after < position <= through` that the viewer wants and may see, at most `limit`, in order.
    /// The position is the one up to which it read.
    pub async fn replay(
        &self,
        filter: SubscriptionFilter,
        after: Position,
        through: Position,
        limit: usize,
    ) -> Result<(Vec<(Arc<Event>, View)>, Position), ReadError> {
        let mut sql = Sql::default();
        match filter.viewer {
            Viewer::User(user) => {
                let backend = self.reader.get_database_backend();
                events_in_stays(&mut sql, backend, user, filter, after, through, limit);
            }
            Viewer::Service => events_of_all(&mut sql, filter, after, through, limit),
        }
        let rows: Vec<event::Model> = sql.rows(&self.reader).await.during("replay events")?;
        let reached = match rows.last() {
            Some(last) if rows.len() == limit => Position(last.position),
            _ => through,
        };
        // What was trimmed before the rows were read is missing from them.
        if self.trimmed().await? > after {
            return Err(ReadError::Trimmed);
        }
        let events = self.events_of(rows).await?;
        let seen: Vec<(Arc<Event>, View)> = match filter.viewer {
            Viewer::User(user) => {
                let intervals = self.intervals_in(user, &events).await?;
                let seen = events.into_iter().filter_map(|event| {
                    let view = view(&event, user, intervals.get(&event.conversation)?)?;
                    Some((event, view))
                });
                seen.collect()
            }
            Viewer::Service => events
                .into_iter()
                .filter_map(|event| {
                    let view = View::of_service(&event)?;
                    Some((event, view))
                })
                .collect(),
        };
        let views: Vec<_> = seen.iter().map(|(event, view)| (&**event, *view)).collect();
        let shows = self.shows(filter, &views).await?;
        let seen = seen.into_iter().zip(shows).filter_map(|(seen, shows)| shows.then_some(seen));
        Ok((seen.collect(), reached))
    }

    /// Which of these views show anything of their events. It costs a statement only where the log must tell: a mark is
    /// nothing to a viewer who may see none of the messages that it covers, or to whom it is not owed.
    pub async fn shows(
        &self,
        filter: SubscriptionFilter,
        seen: &[(&Event, View)],
    ) -> Result<Vec<bool>, Unavailable> {
        let owed = self.owed(filter, seen).await?;
        let mut shows = self.cover(seen).await?;
        shows.iter_mut().zip(owed).for_each(|(shows, owed)| *shows &= owed);
        Ok(shows)
    }

    /// Which of these events are owed to the viewer, who shares such marks of their own. A reading is also a receiving,
    /// unless that was told before.
    async fn owed(
        &self,
        filter: SubscriptionFilter,
        seen: &[(&Event, View)],
    ) -> Result<Vec<bool>, Unavailable> {
        let owed: Vec<_> = seen.iter().map(|(event, _)| filter.owed(event)).collect();
        let asked = seen.iter().zip(&owed).filter(|(_, owed)| owed.is_some());
        let conversations: BTreeSet<_> = asked.map(|((event, _), _)| event.conversation).collect();
        let Some((viewer, _)) = owed.iter().flatten().next() else { return Ok(vec![true; seen.len()]) };
        let stays = self.participations(*viewer, conversations).await?;
        let shares = |conversation, mark| {
            let mut stays = stays.iter().filter(|stay| stay.conversation == conversation);
            stays.next().is_some_and(|stay| stay.shared_after(mark).is_some())
        };
        let (mut is_owed, mut received) = (Vec::with_capacity(seen.len()), Vec::new());
        for (index, ((event, _), owed)) in seen.iter().zip(&owed).enumerate() {
            is_owed.push(owed.is_none_or(|(_, mark)| shares(event.conversation, mark)));
            if !is_owed[index] && shares(event.conversation, Mark::Delivered) {
                received.push((index, *event));
            }
        }
        let events: Vec<_> = received.iter().map(|(_, event)| *event).collect();
        for ((index, event), before) in received.into_iter().zip(self.received_before(&events).await) {
            let before = before?;
            is_owed[index] = event.change.covers().is_some_and(|range| before < range.through);
        }
        Ok(is_owed)
    }

    /// Which of these events cover a message that the viewer may see, or cover none at all.
    async fn cover(&self, seen: &[(&Event, View)]) -> Result<Vec<bool>, Unavailable> {
        let asked: Vec<Received> = seen.iter().filter_map(|(event, view)| in_doubt(event, *view)).collect();
        if asked.is_empty() {
            return Ok(vec![true; seen.len()]);
        }
        let mut found = HashMap::new();
        for (asked, newest) in asked.iter().zip(self.newest_received(&asked).await) {
            found.insert(*asked, newest?.is_some());
        }
        let shows =
            |event: &Event, view| in_doubt(event, view).is_none_or(|received: Received| found[&received]);
        Ok(seen.iter().map(|(event, view)| shows(event, *view)).collect())
    }

    async fn intervals_in(
        &self,
        viewer: UserId,
        events: &[Arc<Event>],
    ) -> Result<HashMap<ConversationId, Vec<Interval>>, Unavailable> {
        let conversations: BTreeSet<ConversationId> = events.iter().map(|e| e.conversation).collect();
        let parts = self.participations(viewer, conversations).await?;
        let mut intervals: HashMap<_, Vec<_>> = HashMap::new();
        for part in parts {
            intervals.entry(part.conversation).or_default().push(part.interval);
        }
        Ok(intervals)
    }

    /// Reads every participation of `viewer` in these conversations, in the order of joining.
    pub async fn participations(
        &self,
        viewer: UserId,
        conversations: impl IntoIterator<Item = ConversationId>,
    ) -> Result<Vec<Participation>, Unavailable> {
        let ids: Vec<Uuid> = conversations.into_iter().map(|c| c.0).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = participant::Entity::find()
            .filter(participant::Column::UserId.eq(viewer.0))
            .filter(participant::Column::ConversationId.is_in(ids))
            .order_by_asc(participant::Column::JoinedPosition)
            .all(&self.reader)
            .await
            .during("read the participations of a user")?;
        Ok(rows.iter().map(convert::participation).collect())
    }

    /// Reads every membership of these users, past ones too, in the order of joining.
    pub async fn memberships(&self, users: &[UserId]) -> Result<Vec<Membership>, Unavailable> {
        let rows = participant::Entity::find()
            .filter(participant::Column::UserId.is_in(users.iter().map(|u| u.0)))
            .order_by_asc(participant::Column::JoinedPosition)
            .all(&self.reader)
            .await
            .during("read the memberships of users")?;
        Ok(rows
            .iter()
            .map(convert::participation)
            .map(|part| Membership {
                conversation: part.conversation,
                user: part.user,
                interval: part.interval,
            })
            .collect())
    }

    pub(super) async fn events_of(&self, rows: Vec<event::Model>) -> Result<Vec<Arc<Event>>, ReadError> {
        let sent: Vec<i64> =
            rows.iter().filter(|row| Sent::is_stored_as(row.kind)).map(|row| row.position).collect();
        let messages: HashMap<i64, Arc<Message>> = if sent.is_empty() {
            HashMap::new()
        } else {
            let rows = message::Entity::find()
                .filter(message::Column::Position.is_in(sent))
                .all(&self.reader)
                .await
                .during("read the messages of events")?;
            rows.into_iter().map(|row| (row.position, Arc::new(convert::message(row)))).collect()
        };
        let event = |row| Ok(Arc::new(convert::event(row, &messages).during("read events")?));
        rows.into_iter().map(event).collect()
    }
}

/// The messages of which a mark must cover one for the viewer to see it; `None` where the view is enough to tell.
fn in_doubt(event: &Event, view: View) -> Option<Received> {
    match view.covered {
        Covered::After(_) => None,
        Covered::StaysOf(_) => event.change.covers().map(|range| Received::by(event, range, view)),
    }
}

/// Writes the statement for everybody's events in `after < position <= through`.
fn events_of_all(
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
fn events_in_stays(
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
