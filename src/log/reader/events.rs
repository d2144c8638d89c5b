//! Reads events, to fill gaps that the feed left and to replay for subscribers.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::Received;
use super::filter::{SubscriptionFilter, Viewer, events_in_stays, events_of_all, in_doubt};
use crate::log::convert;
use crate::log::entities::{event, message, participant};
use crate::log::error::During;
use crate::log::sql::Sql;
use crate::log::{Database, ReadError, Unavailable};
use crate::messaging::{
    ConversationId, Event, Interval, Mark, Message, Participation, Position, Sent, UserId, View, view,
};

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
