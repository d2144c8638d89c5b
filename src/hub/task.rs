//! The hub's task. It applies notifications, fills gaps from the log and admits subscribers. It finishes one of these
//! before it begins another. So its routing table always belongs to exactly one position, and needs no lock.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};
use tracing::Instrument;

use super::routing::{Routing, Subscriber};
use super::{RenderedEvent, VisibleEvent};
use crate::feed::{Feed, LogNotification};
use crate::log::{ConversationFilter, Database, PolledHead, SubscriptionFilter, Unavailable};
use crate::messaging::{Event, Origin, Place, Position, UserId};
use crate::metrics::{METRICS, Reason};
use crate::vitals::{Part, Vitals};

/// Events per statement when the log is read to catch up.
const PAGE_EVENTS: u64 = 500;

/// Joins that the hub admits together, with one statement for all of them.
const JOIN_QUEUE: usize = 512;

/// The time between two sweeps of the routing table. A subscriber that is gone costs memory until the next sweep.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// The settings of the hub.
#[derive(Debug, Clone, Copy)]
pub struct HubOptions {
    /// The most events that wait for one subscriber. A subscriber that falls further behind goes back to the log.
    pub queue: usize,
    /// The time between two polls of the log's head.
    pub poll: Duration,
}

/// Why the hub does not admit a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JoinError {
    /// The viewer takes no part in the conversation, as of this position.
    NotTakingPart(Position),
    /// The log has another epoch now.
    Expired,
    /// The log cannot be read, or herald is shutting down.
    Unavailable,
}

impl From<Unavailable> for JoinError {
    fn from(_: Unavailable) -> Self {
        Self::Unavailable
    }
}

/// Where a subscriber joined the hub. Every event after `at` arrives in `live` until `live` closes.
#[derive(Debug)]
pub(super) struct JoinPoint {
    pub(super) at: Place,
    pub(super) live: mpsc::Receiver<VisibleEvent>,
}

struct Join {
    filter: SubscriptionFilter,
    origin: Option<Origin>,
    at_least: Place,
    answer: oneshot::Sender<Result<JoinPoint, JoinError>>,
}

/// A handle to the hub's task. A clone costs one atomic increment.
#[derive(Debug, Clone)]
pub struct Hub {
    joins: mpsc::Sender<Join>,
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
        let (joins, requests) = mpsc::channel(JOIN_QUEUE);
        let task = Task { database, feed, vitals, options, applied, routing: Routing::default() };
        tokio::spawn(task.run(news, requests));
        Ok(Self { joins })
    }

    /// Joins at `at_least` or later.
    pub(super) async fn join(
        &self,
        filter: SubscriptionFilter,
        origin: Option<Origin>,
        at_least: Place,
    ) -> Result<JoinPoint, JoinError> {
        let (answer, answered) = oneshot::channel();
        let join = Join { filter, origin, at_least, answer };
        // The channel closes when herald shuts down. Its error holds the join and no cause.
        self.joins.send(join).await.map_err(|_| JoinError::Unavailable)?;
        answered.await.unwrap_or(Err(JoinError::Unavailable))
    }
}

struct Task {
    database: Database,
    feed: Arc<dyn Feed>,
    vitals: Arc<Vitals>,
    options: HubOptions,
    /// The place up to which every event has been routed.
    applied: Place,
    routing: Routing,
}

impl Task {
    async fn run(mut self, mut news: mpsc::Receiver<LogNotification>, mut joins: mpsc::Receiver<Join>) {
        let vitals = Arc::clone(&self.vitals);
        while vitals.guard(Part::Hub, self.serve(&mut news, &mut joins)).await.is_none() {
            // The task panicked, perhaps amid the delivery of an event. Every subscriber is dropped and comes back from
            // its own position.
            self.routing = Routing::default();
        }
    }

    /// Returns when the last handle to the hub is dropped.
    async fn serve(&mut self, news: &mut mpsc::Receiver<LogNotification>, joins: &mut mpsc::Receiver<Join>) {
        let mut sweep = interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The hub polls however much the feed brings: all of that may be old.
        let mut poll = interval_at(Instant::now() + self.options.poll, self.options.poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut feed_is_open = true;
        let mut waiting = Vec::new();
        loop {
            tokio::select! {
                heard = news.recv(), if feed_is_open => match heard {
                    Some(heard) => self.hear(heard).await,
                    None => feed_is_open = false,
                },
                asking = joins.recv_many(&mut waiting, JOIN_QUEUE) => {
                    if asking == 0 {
                        return;
                    }
                    self.admit(std::mem::take(&mut waiting)).await;
                }
                _ = poll.tick() => {
                    match self.refresh(Reason::Silence).await {
                        Ok(()) => self.vitals.works(Part::Hub),
                        Err(Unavailable) => self.vitals.fails(Part::Hub, "The log cannot be read."),
                    }
                }
                _ = sweep.tick() => self.routing.sweep(),
            }
        }
    }

    /// Applies the events of a notification that continue what this node applied, and reads the rest from the log.
    async fn hear(&mut self, news: LogNotification) {
        for event in news.events {
            if self.applied.is_continued_by(&event) {
                self.apply(event);
            }
        }
        if news.head == self.applied || news.head.position < self.applied.position {
            return;
        }
        // The rest is in the log. If it is not, either the notification or what this node applied belongs to another
        // log, and the head tells which. If the log cannot be read now, the next notification or poll reads it.
        let is_of_this_log =
            news.head.epoch == self.applied.epoch && self.applied.position < news.head.position;
        if !is_of_this_log || self.catch_up(news.head.position, Reason::Gap).await == Ok(false) {
            let _ = self.refresh(Reason::Gap).await;
        }
    }

    /// Applies everything that is new in the log. Begins anew when the log does not continue what this node applied.
    async fn refresh(&mut self, reason: Reason) -> Result<(), Unavailable> {
        let span = tracing::debug_span!("refresh", position = self.applied.position.0);
        self.compare_head(reason).instrument(span).await
    }

    async fn compare_head(&mut self, reason: Reason) -> Result<(), Unavailable> {
        let PolledHead { head, is_at_home } = self.database.poll_head().await?;
        let is_known = head.epoch == self.applied.epoch
            && is_at_home
            && match head.position.cmp(&self.applied.position) {
                Ordering::Less => false,
                Ordering::Equal => head == self.applied,
                // The first event after this position shows whether the log continues it.
                Ordering::Greater => true,
            };
        if is_known && self.catch_up(head.position, reason).await? {
            return Ok(());
        }
        self.begin_anew(head, is_at_home).await
    }

    /// Ends every subscription and goes on from the present head of the log, in a new epoch. Events that subscribers
    /// received may be missing from the log now, so each subscriber needs a new snapshot.
    async fn begin_anew(&mut self, head: Place, is_at_home: bool) -> Result<(), Unavailable> {
        let (known, found) = (self.applied.position.0, head.position.0);
        if head.epoch == self.applied.epoch {
            let what = if is_at_home { "is not the one that this node knows" } else { "lives elsewhere now" };
            tracing::error!(
                known,
                found,
                "the log {what}: its database went back in time, was replaced, or failed over. A new epoch begins: \
                 whoever follows takes a new snapshot"
            );
        } else {
            tracing::error!(
                known,
                found,
                "a new epoch of the log has begun: whoever follows takes a new snapshot"
            );
        }
        self.applied = self.database.renew(self.applied.epoch).await?;
        // The subscribers read the log as soon as they are dropped here. The new epoch is in the log by then.
        self.routing = Routing::default();
        self.feed.enter(self.applied.epoch);
        METRICS.log_position.set(self.applied.position.0);
        METRICS.enter_epoch(self.applied.epoch.0);
        Ok(())
    }

    /// Applies the events of the log up to `through`. `false` when they do not continue what this node applied.
    async fn catch_up(&mut self, through: Position, reason: Reason) -> Result<bool, Unavailable> {
        while self.applied.position < through {
            METRICS.count_log_read(reason);
            let events = self.database.events(self.applied.position, through, PAGE_EVENTS).await?;
            if events.is_empty() {
                return Ok(false);
            }
            for event in events {
                if !self.applied.is_continued_by(&event) {
                    return Ok(false);
                }
                self.apply(event);
            }
        }
        Ok(true)
    }

    fn apply(&mut self, event: Arc<Event>) {
        let _span = tracing::debug_span!("route", position = event.position.0).entered();
        self.applied = self.applied.at(&event);
        METRICS.log_position.set(event.position.0);
        METRICS.events_routed.inc();
        self.routing.route(&Arc::new(RenderedEvent::new(event, self.applied.epoch)));
    }

    /// Admits subscribers, all at one position.
    async fn admit(&mut self, joins: Vec<Join>) {
        if self.prepare(&joins).await.is_err() {
            for join in joins {
                let _ = join.answer.send(Err(JoinError::Unavailable));
            }
            return;
        }
        for Join { filter, origin, at_least, answer } in joins {
            if at_least.epoch != self.applied.epoch {
                let _ = answer.send(Err(JoinError::Expired));
                continue;
            }
            let outside = match filter.conversations {
                ConversationFilter::All => false,
                ConversationFilter::Conversation(id) => !self.routing.takes_part(filter.viewer, id),
            };
            if outside {
                let _ = answer.send(Err(JoinError::NotTakingPart(self.applied.position)));
                continue;
            }
            let (sender, live) = mpsc::channel(self.options.queue);
            if answer.send(Ok(JoinPoint { at: self.applied, live })).is_ok() {
                self.routing.add(Subscriber { filter, origin, live: sender });
            }
        }
    }

    /// Applies the log up to the latest place that a join asks for, and reads the memberships of users who are new
    /// here.
    async fn prepare(&mut self, joins: &[Join]) -> Result<(), Unavailable> {
        let Place { epoch, position, .. } = self.applied;
        let is_behind = |join: &Join| join.at_least.epoch != epoch || join.at_least.position > position;
        if joins.iter().any(is_behind) {
            self.refresh(Reason::Gap).await?;
        }
        let new: BTreeSet<UserId> = joins.iter().map(|join| join.filter.viewer).collect();
        let new: Vec<UserId> = new.into_iter().filter(|user| !self.routing.knows(*user)).collect();
        if !new.is_empty() {
            let memberships = self.database.memberships(&new).await?;
            self.routing.learn(&new, &memberships, self.applied.position);
        }
        Ok(())
    }
}
