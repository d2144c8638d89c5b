//! The hub's task. It does one thing at a time, each wholly: it applies news, fills gaps from the log, lets
//! subscribers in. So its table is always that of exactly one position, and needs no lock.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use super::routing::{Routing, Subscriber};
use super::{RenderedEvent, VisibleEvent};
use crate::feed::{Feed, LogNotification};
use crate::log::{ConversationFilter, Database, Look, SubscriptionFilter, Unavailable};
use crate::messaging::{Event, Origin, Place, Position, UserId};
use crate::metrics::{METRICS, Reason};
use crate::vitals::{Part, Vitals};

/// Events per statement when the log is read to catch up.
const PAGE_EVENTS: u64 = 500;

/// Joins that are let in together, with one statement for all of them.
const JOIN_QUEUE: usize = 512;

/// How often the table is swept for subscribers that are gone. They cost memory until then, nothing else.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// What an operator may set of the hub.
#[derive(Debug, Clone, Copy)]
pub struct HubOptions {
    /// Events that wait for one subscriber; one that falls further behind goes back to the log.
    pub queue: usize,
    /// The time between looks into the log.
    pub poll: Duration,
}

/// Why a subscriber was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JoinError {
    /// The viewer takes no part in the conversation, as of this position.
    NotTakingPart(Position),
    /// The log is in another epoch by now.
    Expired,
    /// The log could not be read, or herald is shutting down.
    Unavailable,
}

/// A place in the hub: every event after `at` arrives in `live`, until that closes.
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

/// The way to the hub's task. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hub {
    joins: mpsc::Sender<Join>,
}

impl Hub {
    /// Starts the hub at the head of the log. It ends with the last clone of itself.
    pub async fn start(
        database: Database,
        feed: Arc<dyn Feed>,
        vitals: Arc<Vitals>,
        options: HubOptions,
    ) -> Result<Self, Unavailable> {
        // Listening first: what is announced between here and the reading of the head is not missed.
        let news = feed.listen();
        let applied = database.head().await?;
        METRICS.log_position.set(applied.position.0);
        METRICS.enter_epoch(applied.epoch.0);
        let (joins, requests) = mpsc::channel(JOIN_QUEUE);
        let task = Task { database, feed, vitals, options, applied, routing: Routing::default() };
        tokio::spawn(task.run(news, requests));
        Ok(Self { joins })
    }

    /// Asks for a place at `at_least` this one.
    pub(super) async fn join(
        &self,
        filter: SubscriptionFilter,
        origin: Option<Origin>,
        at_least: Place,
    ) -> Result<JoinPoint, JoinError> {
        let (answer, answered) = oneshot::channel();
        let join = Join { filter, origin, at_least, answer };
        self.joins.send(join).await.map_err(|_| JoinError::Unavailable)?;
        answered.await.unwrap_or(Err(JoinError::Unavailable))
    }
}

struct Task {
    database: Database,
    feed: Arc<dyn Feed>,
    vitals: Arc<Vitals>,
    options: HubOptions,
    /// Every event up to here has been routed.
    applied: Place,
    routing: Routing,
}

impl Task {
    async fn run(mut self, mut news: mpsc::Receiver<LogNotification>, mut joins: mpsc::Receiver<Join>) {
        let vitals = Arc::clone(&self.vitals);
        while vitals.guard(Part::Hub, self.serve(&mut news, &mut joins)).await.is_none() {
            // It may have been amid handing an event out. Everybody is let go, and comes back from their own position.
            self.routing = Routing::default();
        }
    }

    /// Returns with the last way to the hub.
    async fn serve(&mut self, news: &mut mpsc::Receiver<LogNotification>, joins: &mut mpsc::Receiver<Join>) {
        let mut sweep = interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Whatever the feed says: it may be late, and all it brings long past.
        let mut look = interval_at(Instant::now() + self.options.poll, self.options.poll);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                _ = look.tick() => {
                    match self.look(Reason::Silence).await {
                        Ok(()) => self.vitals.works(Part::Hub),
                        Err(Unavailable) => self.vitals.fails(Part::Hub, "The log cannot be read."),
                    }
                }
                _ = sweep.tick() => self.routing.sweep(),
            }
        }
    }

    /// Applies what came with the news as far as it continues what is known, and reads the rest.
    async fn hear(&mut self, news: LogNotification) {
        for event in news.events {
            if self.applied.is_continued_by(&event) {
                self.apply(event);
            }
        }
        if news.head == self.applied || news.head.position < self.applied.position {
            return;
        }
        // The rest is in the log. Where it is not, the news or what this node knows is not of this log: its head tells.
        // If the log cannot be read now, the next news or the timer bring it.
        let is_of_this_log =
            news.head.epoch == self.applied.epoch && self.applied.position < news.head.position;
        if !is_of_this_log || self.catch_up(news.head.position, Reason::Gap).await == Ok(false) {
            let _ = self.look(Reason::Gap).await;
        }
    }

    /// Comes as far as the log has come, or begins anew where the log does not continue what this node knows of it.
    async fn look(&mut self, reason: Reason) -> Result<(), Unavailable> {
        let Look { head, is_at_home } = self.database.look().await?;
        let is_known = head.epoch == self.applied.epoch
            && is_at_home
            && match head.position.cmp(&self.applied.position) {
                Ordering::Less => false,
                Ordering::Equal => head == self.applied,
                // What comes first there shows whether it continues this.
                Ordering::Greater => true,
            };
        if is_known && self.catch_up(head.position, reason).await? {
            return Ok(());
        }
        self.begin_anew(head, is_at_home).await
    }

    /// Breaks every subscription off and goes on from the head that the log has now, in an epoch of its own. What was
    /// told of the log may be gone from it, so whoever follows needs a new snapshot.
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
        // Only now: whoever is let go looks into the log, and finds the new epoch.
        self.routing = Routing::default();
        self.feed.enter(self.applied.epoch);
        METRICS.log_position.set(self.applied.position.0);
        METRICS.enter_epoch(self.applied.epoch.0);
        Ok(())
    }

    /// Applies what the log has up to `through`. `false` when it does not continue what is known.
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
        self.applied = self.applied.at(&event);
        METRICS.log_position.set(event.position.0);
        METRICS.events_routed.inc();
        self.routing.route(&Arc::new(RenderedEvent::new(event, self.applied.epoch)));
    }

    /// Lets subscribers in, all at one position.
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

    /// Comes as far as the joining ask, and learns of the users among them who are new here.
    async fn prepare(&mut self, joins: &[Join]) -> Result<(), Unavailable> {
        let Place { epoch, position, .. } = self.applied;
        let is_behind = |join: &Join| join.at_least.epoch != epoch || join.at_least.position > position;
        if joins.iter().any(is_behind) {
            self.look(Reason::Gap).await?;
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
