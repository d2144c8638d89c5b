//! The hub's task. It does one thing at a time, each wholly: it applies news, fills gaps from the log, lets
//! subscribers in. So its table is always that of exactly one position, and needs no lock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use super::routing::{Routing, Subscriber};
use super::{Occurrence, Seen};
use crate::feed::{Feed, News};
use crate::log::{Database, Interest, Scope, Unavailable};
use crate::messaging::{Event, Origin, Position, UserId};
use crate::metrics::{METRICS, Reason};
use crate::sabotage::{Fault, is_planted};

/// Events per statement when the log is read to catch up.
const PAGE: u64 = 500;

/// Joins that are let in together, with one statement for all of them.
const JOINS: usize = 512;

/// How often the table is swept for subscribers that are gone. They cost memory until then, nothing else.
const SWEEP: Duration = Duration::from_secs(10);

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
    /// The log could not be read, or herald is shutting down.
    Unavailable,
}

/// A place in the hub: every event after `at` arrives in `live`, until that closes.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) at: Position,
    pub(super) live: mpsc::Receiver<Seen>,
}

struct Join {
    interest: Interest,
    origin: Option<Origin>,
    at_least: Position,
    answer: oneshot::Sender<Result<Joined, JoinError>>,
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
        feed: &dyn Feed,
        options: HubOptions,
    ) -> Result<Self, Unavailable> {
        // Listening first: what is announced between here and the reading of the head is not missed.
        let news = feed.listen();
        let applied = database.head().await?.position;
        METRICS.log_position.set(applied.0);
        let (joins, requests) = mpsc::channel(JOINS);
        let task = Task { database, options, applied, routing: Routing::default() };
        tokio::spawn(task.run(news, requests));
        Ok(Self { joins })
    }

    /// Asks for a place, at `at_least` this position.
    pub(super) async fn join(
        &self,
        interest: Interest,
        origin: Option<Origin>,
        at_least: Position,
    ) -> Result<Joined, JoinError> {
        let (answer, answered) = oneshot::channel();
        let join = Join { interest, origin, at_least, answer };
        self.joins.send(join).await.map_err(|_| JoinError::Unavailable)?;
        answered.await.unwrap_or(Err(JoinError::Unavailable))
    }
}

struct Task {
    database: Database,
    options: HubOptions,
    /// Every event up to here has been routed.
    applied: Position,
    routing: Routing,
}

impl Task {
    async fn run(mut self, mut news: mpsc::Receiver<News>, mut joins: mpsc::Receiver<Join>) {
        let mut sweep = interval(SWEEP);
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
                asking = joins.recv_many(&mut waiting, JOINS) => {
                    if asking == 0 {
                        return;
                    }
                    self.admit(std::mem::take(&mut waiting)).await;
                }
                _ = look.tick() => self.catch_up_to_head().await,
                _ = sweep.tick() => self.routing.sweep(),
            }
        }
    }

    /// Applies what came with the news as far as it follows on what is known, and reads the rest.
    async fn hear(&mut self, news: News) {
        METRICS.count_news(!news.events.is_empty());
        for event in news.events {
            let follows = is_planted(Fault::TrustFeed) && event.position > self.applied;
            if follows || event.position == self.applied.next() {
                self.apply(event);
            }
        }
        if self.applied < news.head {
            // It is in the log; if the log cannot be read now, the next news or the timer bring it.
            let _ = self.catch_up(news.head, Reason::Gap).await;
        }
    }

    async fn catch_up_to_head(&mut self) {
        if let Ok(head) = self.database.head().await {
            let _ = self.catch_up(head.position, Reason::Silence).await;
        }
    }

    async fn catch_up(&mut self, through: Position, reason: Reason) -> Result<(), Unavailable> {
        while self.applied < through {
            METRICS.count_log_read(reason);
            let events = self.database.events(self.applied, through, PAGE).await?;
            let before = self.applied;
            for event in events {
                if event.position == self.applied.next() {
                    self.apply(event);
                }
            }
            if self.applied == before {
                tracing::error!(position = before.next().0, "the log has a gap: is it still being written?");
                return Err(Unavailable);
            }
        }
        Ok(())
    }

    fn apply(&mut self, event: Arc<Event>) {
        self.applied = event.position;
        METRICS.log_position.set(event.position.0);
        METRICS.events_routed.inc();
        self.routing.route(&Arc::new(Occurrence::new(event)));
    }

    /// Lets subscribers in, all at one position.
    async fn admit(&mut self, joins: Vec<Join>) {
        if self.prepare(&joins).await.is_err() {
            for join in joins {
                let _ = join.answer.send(Err(JoinError::Unavailable));
            }
            return;
        }
        for Join { interest, origin, answer, .. } in joins {
            let outside = match interest.scope {
                Scope::All => false,
                Scope::Conversation(id) => !self.routing.takes_part(interest.viewer, id),
            };
            if outside {
                let _ = answer.send(Err(JoinError::NotTakingPart(self.applied)));
                continue;
            }
            let (sender, live) = mpsc::channel(self.options.queue);
            if answer.send(Ok(Joined { at: self.applied, live })).is_ok() {
                self.routing.add(Subscriber { interest, origin, live: sender });
            }
        }
    }

    /// Comes as far as the joining ask, and learns of the users among them who are new here.
    async fn prepare(&mut self, joins: &[Join]) -> Result<(), Unavailable> {
        let at_least = joins.iter().map(|join| join.at_least).max().unwrap_or(self.applied);
        self.catch_up(at_least, Reason::Gap).await?;
        let new: BTreeSet<UserId> = joins.iter().map(|join| join.interest.viewer).collect();
        let new: Vec<UserId> = new.into_iter().filter(|user| !self.routing.knows(*user)).collect();
        if !new.is_empty() {
            let memberships = self.database.memberships(&new).await?;
            self.routing.learn(&new, &memberships, self.applied);
        }
        Ok(())
    }
}
