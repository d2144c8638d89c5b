//! One webhook, while this node calls it. It makes a call of each event, keeps the order of each conversation, and stores
//! what is not accepted. Its place in the log moves on when everything before it is accepted or stored, so whoever goes on
//! from there, after a crash or at another node, leaves nothing out and repeats a few calls, under the same ids.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout_at};
use tokio_util::sync::CancellationToken;

use super::attempt::{self, Client, Message, Outcome};
use super::beginning;
use super::body::{self, Told};
use super::progress::Progress;
use super::rules::Rules;
use super::signature::Secrets;
use super::supervisor::{Node, Numbers};
use super::url::WebhookUrl;
use super::waiting::behind;
use crate::graphql::{Answers, Rendering};
use crate::log::{CallKind, Database, Lane, Settlement, StoredCall, Unavailable, WebhookRow};
use crate::messaging::{Epoch, Place, Position};
use crate::metrics::{Call, METRICS};
use crate::trouble::Trouble;

/// How long a node holds a webhook that it does not renew.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// The rest of the lease below which nothing is called any more: an attempt must end while the lease is held, so that no
/// two nodes call at a time.
const LAST_MOMENT: Duration = Duration::from_secs(attempt::TIMEOUT.as_secs() + 2);

/// How long a node that stops waits for the attempts under way.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// The most attempts under way.
pub(super) const MAX_ATTEMPTS: usize = 16;

/// The most events whose calls are open, or wait behind open ones. herald reads on when there are fewer.
const MAX_OPEN: usize = 128;

/// The most stored calls. herald reads on when there are fewer: the rest waits in the log.
pub(super) const MAX_STORED: usize = 10_000;

/// New stored calls that are written at once, without waiting for the next look.
const STORED_TOGETHER: usize = 32;

static CALLS: Trouble = Trouble::new("webhooks do not accept calls", "webhooks accept calls again");

pub(super) static FOLLOWING: Trouble =
    Trouble::new("webhooks cannot follow the log", "webhooks follow the log again");

/// Why a node stops calling a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// herald stops, or an operator disabled the webhook.
    Stopped,
    /// The lease may be another node's.
    Lost,
    /// The log does not continue what was told. The webhook begins anew.
    Rewound,
    /// The receiver wants no calls any more, or the webhook cannot be called.
    Disabled,
}

impl From<Unavailable> for Ended {
    fn from(_: Unavailable) -> Self {
        Self::Lost
    }
}

/// What an attempt is about.
pub(super) enum Subject {
    Event(Epoch, Position),
    Stored(StoredCall),
}

/// An attempt that has ended.
pub(super) struct Attempted {
    lane: Lane,
    subject: Subject,
    outcome: Outcome,
}

/// A webhook that this node calls.
pub(super) struct Follower {
    pub(super) node: Arc<Node>,
    pub(super) numbers: Arc<Numbers>,
    pub(super) row: WebhookRow,
    pub(super) target: Arc<(WebhookUrl, Secrets)>,
    pub(super) client: Client,
    pub(super) lease_until: Instant,
    pub(super) answers: Answers,
    pub(super) retelling: Rendering,
    pub(super) rules: Rules,
    pub(super) progress: Progress,
    /// The place that the database has.
    pub(super) saved: Place,
    /// Lanes with an attempt under way, with the events behind it. Their calls are made when it is their turn, so that
    /// they show what there is then.
    pub(super) busy: HashMap<Lane, VecDeque<Place>>,
    /// Lanes with stored calls, and how many. What comes in them is stored too.
    pub(super) stored: HashMap<Lane, usize>,
    /// How many there are in all lanes.
    pub(super) stored_calls: usize,
    pub(super) next_number: i64,
    /// What is not written yet.
    pub(super) settlement: Settlement,
    /// Whether a stored call may be due before the next look.
    pub(super) is_due: bool,
    /// Whether the rules may find more before the next look.
    pub(super) is_looking: bool,
    pub(super) attempts: JoinSet<Attempted>,
    pub(super) retries: usize,
}

impl Follower {
    /// Calls until there is a reason to stop.
    pub(super) async fn run(mut self, stopping: CancellationToken) -> Ended {
        let ended = self.follow(&stopping).await;
        match ended {
            // Whoever goes on calls again what is under way for longer, and what is not written.
            Ended::Stopped => {
                let _ = self.finish_soon().await;
                let _ = self.write().await;
            }
            Ended::Disabled => {}
            Ended::Lost | Ended::Rewound => return ended,
        }
        self.attempts.abort_all();
        // If this fails, the lease runs out.
        let _ = self.database().release_webhook(self.row.id, self.node.owner).await;
        ended
    }

    /// Gives the attempts under way a moment, and begins no others.
    async fn finish_soon(&mut self) -> Result<(), Ended> {
        self.busy.values_mut().for_each(VecDeque::clear);
        let until = Instant::now() + LAST_WAIT;
        while let Ok(Some(attempted)) = timeout_at(until, self.attempts.join_next()).await {
            self.finish(attempted.map_err(|_| Ended::Lost)?).await?;
        }
        Ok(())
    }

    async fn follow(&mut self, stopping: &CancellationToken) -> Ended {
        let mut look = interval(self.node.options.look_interval);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Err(ended) = self.step(&mut look, stopping).await {
                return ended;
            }
        }
    }

    /// Waits for something to do, and does it. It is not dropped half-way, so that memory and database agree.
    async fn step(&mut self, look: &mut Interval, stopping: &CancellationToken) -> Result<(), Ended> {
        if stopping.is_cancelled() {
            return Err(Ended::Stopped);
        }
        self.holds_lease()?;
        let has_room = self.has_room();
        // Whatever is ready has its turn: calls that wait do not hold up the log, nor the log those calls.
        tokio::select! {
            () = stopping.cancelled() => return Err(Ended::Stopped),
            Some(attempted) = self.attempts.join_next() => self.finish_all(attempted).await?,
            _ = look.tick() => self.look().await?,
            () = std::future::ready(()), if self.is_due || self.is_looking => self.go_on_looking().await?,
            answer = self.answers.next(), if has_room => match answer {
                Ok(Some(answer)) => self.take(&answer).await?,
                Ok(None) => return Err(Ended::Lost),
                Err(refusal) => return Err(beginning::begin_anew(&self.node, &self.row, &refusal).await?),
            },
        }
        if self.settlement.stored.len() >= STORED_TOGETHER {
            self.write().await?;
        }
        Ok(())
    }

    /// Fails unless the lease lasts for longer than an attempt.
    fn holds_lease(&self) -> Result<(), Ended> {
        if self.lease_until < Instant::now() + LAST_MOMENT { Err(Ended::Lost) } else { Ok(()) }
    }

    pub(super) fn database(&self) -> &Database {
        &self.node.engine.services().database
    }

    fn has_room(&self) -> bool {
        self.attempts.len() < MAX_ATTEMPTS && self.progress.len() < MAX_OPEN && self.stored_calls < MAX_STORED
    }

    /// Makes a call of what the log tells.
    async fn take(&mut self, answer: &str) -> Result<(), Ended> {
        let place = self.answers.place();
        let Some(Told { lane, body }) = body::of_event(answer, self.database().now()) else {
            self.progress.pass(place);
            return Ok(());
        };
        self.progress.open(place);
        let Place { epoch, position, .. } = place;
        if self.stored.contains_key(&lane) {
            self.store(CallKind::Event, lane, epoch, position, behind());
            return Ok(());
        }
        match self.busy.get_mut(&lane) {
            Some(waiting) => waiting.push_back(place),
            None => self.attempt_event(lane, place, body)?,
        }
        Ok(())
    }

    fn attempt_event(&mut self, lane: Lane, place: Place, body: Bytes) -> Result<(), Ended> {
        self.busy.entry(lane).or_default();
        let Place { epoch, position, .. } = place;
        let message = Message { id: body::event_id(epoch, position), body };
        self.attempt(lane, Subject::Event(epoch, position), message)
    }

    /// Begins an attempt.
    ///
    /// # Errors
    /// What was read for it took so long that the attempt may not end while the lease is held.
    pub(super) fn attempt(&mut self, lane: Lane, subject: Subject, message: Message) -> Result<(), Ended> {
        self.holds_lease()?;
        let (client, target) = (self.client.clone(), Arc::clone(&self.target));
        let now = self.database().now();
        self.attempts.spawn(async move {
            let (url, secrets) = &*target;
            let outcome = client.call(url, secrets, &message, now).await;
            Attempted { lane, subject, outcome }
        });
        Ok(())
    }

    /// Notes what became of an attempt, and of those that have ended meanwhile. It is written together.
    async fn finish_all(&mut self, first: Result<Attempted, JoinError>) -> Result<(), Ended> {
        let mut next = Some(first);
        while let Some(attempted) = next {
            // An attempt that panicked is not known to have ended.
            self.finish(attempted.map_err(|_| Ended::Lost)?).await?;
            next = self.attempts.try_join_next();
        }
        Ok(())
    }

    /// Notes what became of an attempt, and begins what waited for it.
    async fn finish(&mut self, attempted: Attempted) -> Result<(), Ended> {
        let Attempted { lane, subject, outcome } = attempted;
        METRICS.count_webhook_call(match &outcome {
            Outcome::Accepted => Call::Accepted,
            Outcome::Failed(..) => Call::Failed,
            Outcome::Gone => Call::Gone,
        });
        match &outcome {
            Outcome::Accepted => CALLS.worked(),
            Outcome::Failed(reason, _) => CALLS.note(&format!("{}: {reason}", self.target.0)),
            Outcome::Gone => {
                let because = "the receiver answered 410 Gone";
                tracing::error!(webhook = %self.row.id, url = %self.target.0, "{because}: the webhook is disabled");
                self.database().disable_webhook(self.row.id, because).await?;
                return Err(Ended::Disabled);
            }
        }
        match (subject, outcome) {
            (Subject::Event(_, position), Outcome::Accepted | Outcome::Gone) => {
                self.progress.settle(position);
                self.next_in(lane).await?;
            }
            (Subject::Event(epoch, position), Outcome::Failed(reason, asked)) => {
                let state = self.after_failure(1, reason, asked);
                self.store(CallKind::Event, lane, epoch, position, state);
                for place in self.busy.remove(&lane).unwrap_or_default() {
                    self.store(CallKind::Event, lane, place.epoch, place.position, behind());
                }
                self.is_due = true;
            }
            (Subject::Stored(call), outcome) => {
                self.retries -= 1;
                self.is_due = true;
                match outcome {
                    Outcome::Accepted | Outcome::Gone => self.drop_stored(&call),
                    Outcome::Failed(reason, asked) => self.fail_stored(&call, reason, asked),
                }
                self.next_in(lane).await?;
            }
        }
        Ok(())
    }

    /// Attempts the event that waited in a lane, or lets the lane go.
    async fn next_in(&mut self, lane: Lane) -> Result<(), Ended> {
        while let Some(place) = self.busy.get_mut(&lane).and_then(VecDeque::pop_front) {
            if let Some(body) = self.event(place.position).await? {
                return self.attempt_event(lane, place, body);
            }
            self.progress.settle(place.position);
        }
        self.busy.remove(&lane);
        Ok(())
    }
}
