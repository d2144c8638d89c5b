//! The handle to the hub: what those who follow the log ask of its task, and what they can tell without asking it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::VisibleEvent;
use super::damage::Damage;
use super::joining::{Handover, Join, JoinError};
use super::leavings::Leavings;
use super::older::Older;
use super::recent::Recent;
use super::routing::{Interest, Routing};
use super::task::{JOIN_QUEUE, Task};
use crate::feed::Feed;
use crate::log::{Database, SubscriptionFilter, Unavailable};
use crate::messaging::{Epoch, Place, Position};
use crate::metrics::METRICS;
use crate::vitals::Vitals;

/// The settings of the hub.
#[derive(Debug, Clone, Copy)]
pub struct HubOptions {
    /// The most events that wait for one subscriber. A subscriber that falls further behind goes back to the log.
    pub queue: usize,
    /// The time between two polls of the log's head.
    pub poll: Duration,
    /// The most bytes of memory that recent events may take, with their answers. Whoever comes back is served from there.
    pub recent_bytes: usize,
}

/// A handle to the hub's task. A clone costs a few atomic increments.
#[derive(Debug, Clone)]
pub struct Hub {
    joins: mpsc::Sender<Join>,
    pub(super) older: Older,
    pub(super) damage: Damage,
    noted: Noted,
    pub(super) leavings: Leavings,
}

/// How far the hub has queued every event for those who follow; `None` while it cannot read the log, which may have more.
/// A clone shares it.
#[derive(Debug, Clone)]
pub(super) struct Noted(
    // A `std` mutex, because it is locked only to copy the place and never across an await.
    Arc<Mutex<Option<Place>>>,
);

impl Noted {
    pub(super) fn set(&self, place: Option<Place>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    fn get(&self) -> Option<Place> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    /// Starts the hub at the head of the log. The hub ends when the last clone of the handle is dropped.
    pub async fn start(
        database: Database,
        feed: Arc<dyn Feed>,
        vitals: Arc<Vitals>,
        options: HubOptions,
    ) -> Result<Self, Unavailable> {
        // The hub listens before it reads the head, so it misses no notification in between.
        let news = feed.listen();
        let applied = database.head().await?;
        METRICS.log_position.set(applied.position.0);
        METRICS.enter_epoch(applied.epoch.0);
        let older = Older::default();
        let redactions = older.redactions.clone();
        let recent = Recent::of_log(&database, applied, redactions, options.recent_bytes).await?;
        let (joins, requests) = mpsc::channel(JOIN_QUEUE);
        let (routing, noted) = (Routing::default(), Noted(Arc::new(Mutex::new(Some(applied)))));
        let (damage, leavings) = (Damage::new(Arc::clone(&vitals)), Leavings::default());
        let hub =
            Self { joins, older, damage: damage.clone(), noted: noted.clone(), leavings: leavings.clone() };
        let task =
            Task { database, feed, vitals, options, applied, noted, leavings, routing, recent, damage };
        tokio::spawn(task.run(news, requests));
        Ok(hub)
    }

    /// A place up to which every event has been queued for those who follow; `None` while the log cannot be read.
    pub(super) fn applied(&self) -> Option<Place> {
        self.noted.get()
    }

    /// The event at a position, as a service sees it; `None` if the log does not have it.
    pub async fn event_at(
        &self,
        database: &Database,
        epoch: Epoch,
        position: Position,
    ) -> Result<Option<VisibleEvent>, Unavailable> {
        let filter = SubscriptionFilter::EVERYTHING;
        // Before the read, so that none comes between.
        let heeded = self.older.redactions.all_heeded();
        let before = Position(position.0 - 1);
        let (found, _) = database.replay(filter, before, position, 1).await?;
        let mut shared = self.older.share(epoch, &heeded, found.into_iter());
        Ok(shared.next().map(|(shared, view)| VisibleEvent { shared, view }))
    }

    /// Joins after a place, and is handed what is missed. The answer is as of `at_least` or later.
    pub(super) async fn join(
        &self,
        interest: Interest,
        after: Place,
        at_least: Option<Place>,
    ) -> Result<Handover, JoinError> {
        let (answer, answered) = oneshot::channel();
        let join = Join { interest, after, at_least, answer };
        // The channel closes when herald shuts down. Its error holds the join and no cause.
        self.joins.send(join).await.map_err(|_| JoinError::Unavailable)?;
        answered.await.unwrap_or(Err(JoinError::Unavailable))
    }
}
