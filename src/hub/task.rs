//! The hub's task. It applies notifications, fills gaps from the log and admits subscribers. It finishes one of these
//! before it begins another. So its routing table always belongs to exactly one position, and needs no lock.

use std::sync::Arc;
use std::time::Duration;
use std::{cmp, iter};

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};
use tracing::Instrument;

use super::damage::{Damage, Missed};
use super::handle::{HubOptions, Noted};
use super::joining::Join;
use super::leavings::Leavings;
use super::recent::{Found, Recent};
use super::redactions::Redaction;
use super::routing::Routing;
use crate::feed::{Feed, LogNotification};
use crate::log::{Database, PolledHead, SubscriptionFilter, Unavailable};
use crate::messaging::{Change, Event, Place, Position, Redacted};
use crate::metrics::{METRICS, Reason};
use crate::trace::TraceContext;
use crate::vitals::{Part, Vitals};

/// Events per statement when the log is read to catch up.
const PAGE_EVENTS: u64 = 500;

/// Joins that the hub admits together, with one statement for all of them.
pub(super) const JOIN_QUEUE: usize = 512;

/// The time between two sweeps of the routing table. A subscriber that is gone costs memory until the next sweep.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

pub(super) struct Task {
    pub(super) database: Database,
    pub(super) feed: Arc<dyn Feed>,
    pub(super) vitals: Arc<Vitals>,
    pub(super) options: HubOptions,
    /// The place up to which every event has been routed.
    pub(super) applied: Place,
    /// The same, for those who follow. It is set when an event has been routed.
    pub(super) noted: Noted,
    pub(super) leavings: Leavings,
    pub(super) routing: Routing,
    /// The events up to `applied`.
    pub(super) recent: Recent,
    pub(super) damage: Damage,
}

impl Task {
    pub(super) async fn run(
        mut self,
        mut news: mpsc::Receiver<LogNotification>,
        mut joins: mpsc::Receiver<Join>,
    ) {
        let vitals = Arc::clone(&self.vitals);
        while vitals.guard(Part::Hub, self.serve(&mut news, &mut joins)).await.is_none() {
            // The task panicked, perhaps amid the delivery of an event. Every subscriber is dropped and comes back from
            // its own position.
            self.forget();
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
                        Ok(()) => {
                            self.noted.set(Some(self.applied));
                            self.vitals.works(Part::Hub);
                            self.damage.look_again(&self.database).await;
                        }
                        Err(Unavailable::Now | Unavailable::Damaged) => {
                            self.noted.set(None);
                            self.vitals.fails(Part::Hub, "The log cannot be read.");
                        }
                    }
                }
                _ = sweep.tick() => {
                    self.routing.sweep();
                    self.recent.shrink();
                }
            }
        }
    }

    /// Applies the events of a notification that continue what this node applied, and reads the rest from the log.
    async fn hear(&mut self, news: LogNotification) {
        let traces = news.traces.into_iter().chain(iter::repeat(None));
        for (event, trace) in news.events.into_iter().zip(traces) {
            if self.applied.is_continued_by(&event) {
                self.apply(event, trace);
            }
        }
        if self.recent.find(news.head) != Found::Elsewhere {
            return;
        }
        // The rest is in the log. If it is not, either the notification or what this node applied belongs to another
        // log, and the head tells which. If the log cannot be read now, the next notification or poll reads it.
        let is_of_this_log =
            news.head.epoch == self.applied.epoch && self.applied.position < news.head.position;
        let is_whole = is_of_this_log
            && match self.catch_up(news.head.position, Reason::Gap).await {
                Ok(continues) => continues,
                Err(Unavailable::Damaged) => false,
                Err(Unavailable::Now) => true,
            };
        if !is_whole {
            let _ = self.refresh(Reason::Gap).await;
        }
    }

    /// Drops every subscriber, and all that was known of the log before this place.
    fn forget(&mut self) {
        self.routing = Routing::default();
        self.recent.begin_after(self.applied);
    }

    /// Goes on from a place without the events before it. Every subscriber is dropped, and is not shown what it holds.
    fn pass_over_to(&mut self, place: Place) {
        self.applied = place;
        self.routing = Routing::default();
        self.recent.pass_over(place);
        self.leavings.begin_after(place.position);
        self.noted.set(Some(place));
        METRICS.log_position.set(place.position.0);
    }

    /// Applies everything that is new in the log. Begins anew when the log does not continue what this node applied.
    pub(super) async fn refresh(&mut self, reason: Reason) -> Result<(), Unavailable> {
        let span = tracing::debug_span!("refresh", position = self.applied.position.0);
        self.compare_head(reason).instrument(span).await
    }

    async fn compare_head(&mut self, reason: Reason) -> Result<(), Unavailable> {
        let PolledHead { head, is_at_home, trimmed } = self.database.poll_head().await?;
        self.recent.trim(trimmed);
        let is_known = head.epoch == self.applied.epoch
            && is_at_home
            && match head.position.cmp(&self.applied.position) {
                cmp::Ordering::Less => false,
                cmp::Ordering::Equal => head == self.applied,
                // The first event after this position shows whether the log continues it.
                cmp::Ordering::Greater => true,
            };
        if is_known && trimmed <= self.applied.position {
            match self.catch_up(head.position, reason).await {
                Err(Unavailable::Damaged) => {
                    self.pass_over_damage(head);
                    return Ok(());
                }
                continues => {
                    if continues? {
                        return Ok(());
                    }
                }
            }
        }
        // It may have been trimmed just now.
        if is_known && self.applied.position < self.database.trimmed().await? {
            self.skip_to(head);
            return Ok(());
        }
        self.begin_anew(head, is_at_home).await
    }

    /// Ends every subscription and goes on from the present head of the log: this node stood still for so long that what it
    /// missed is no longer kept.
    fn skip_to(&mut self, head: Place) {
        let (known, found) = (self.applied.position.0, head.position.0);
        tracing::error!(
            known,
            found,
            "what this node missed of the log is no longer kept: whoever follows takes a new snapshot"
        );
        self.pass_over_to(head);
    }

    /// Goes on from the present head of the log, since an event before it is damaged. Every subscriber goes on from the log.
    /// Those who may see the event come upon it there, and take a new snapshot.
    fn pass_over_damage(&mut self, head: Place) {
        let filter = SubscriptionFilter::EVERYTHING;
        let (after, through) = (self.applied.position, head.position);
        let most = usize::try_from(PAGE_EVENTS).unwrap_or(usize::MAX);
        self.damage.note(Missed { filter, after, through, most });
        self.pass_over_to(head);
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
        let renewed = self.database.renew(self.applied.epoch).await?;
        // The subscribers read the log as soon as they are dropped here. The new epoch is in the log by then.
        self.pass_over_to(renewed);
        self.feed.enter(self.applied.epoch);
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
                self.apply(event, None);
            }
        }
        Ok(true)
    }

    fn apply(&mut self, event: Arc<Event>, trace: Option<TraceContext>) {
        let span = tracing::debug_span!("route", position = event.position.0);
        if let Some(trace) = &trace {
            trace.continue_in(&span);
        }
        let _entered = span.entered();
        self.applied = self.applied.at(&event);
        METRICS.log_position.set(event.position.0);
        METRICS.events_routed.inc();
        if let Change::Redacted(Redacted { position }) = event.change {
            let Place { epoch, .. } = self.applied;
            self.recent.redact(Redaction { epoch, conversation: event.conversation, position, at: event.at });
        }
        let leaving = event.change.leaving(&event.actor);
        if !leaving.is_empty() {
            self.leavings.note(leaving, event.position);
        }
        self.routing.route(&self.recent.push(event, trace));
        self.noted.set(Some(self.applied));
    }
}
