//! One webhook, while this node calls it. It makes a call of each event, keeps the order of each conversation, and stores
//! what is not accepted. Its place in the log moves on when everything before it is accepted or stored, so whoever goes on
//! from there, after a crash or at another node, leaves nothing out and repeats a few calls, under the same ids.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout_at};
use tokio_util::sync::CancellationToken;

use super::attempt::{self, Client, Message, Outcome};
use super::backoff;
use super::body::{self, Told, WHOLE_LOG};
use super::delivered::Claim;
use super::progress::Progress;
use super::rules::Rules;
use super::signature::Secrets;
use super::supervisor::{Node, Numbers};
use super::url::WebhookUrl;
use crate::clock;
use crate::graphql::{Answers, Cursor, Rendering, Response};
use crate::log::{
    CallKind, CallState, Database, Lane, Settlement, StoredCall, Unavailable, Waiting, WebhookRow,
};
use crate::messaging::{Epoch, Place, Position, Timestamp};
use crate::metrics::{Call, METRICS};
use crate::random;
use crate::trouble::Trouble;

/// How long a node holds a webhook that it does not renew.
const LEASE: Duration = Duration::from_secs(30);

/// The rest of the lease at which it is renewed.
const RENEW_AT: Duration = Duration::from_secs(20);

/// The rest of the lease below which nothing is called any more: an attempt must end while the lease is held, so that no
/// two nodes call at a time.
const LAST_MOMENT: Duration = Duration::from_secs(attempt::TIMEOUT.as_secs() + 2);

/// How long a node that stops waits for the attempts under way.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// The most attempts under way.
const MAX_ATTEMPTS: usize = 16;

/// How many of them may be of stored calls, so that a receiver which refuses some does not keep the others waiting.
const MAX_RETRIES: usize = 8;

/// The most events whose calls are open, or wait behind open ones. herald reads on when there are fewer.
const MAX_OPEN: usize = 128;

/// The most stored calls. herald reads on when there are fewer: the rest waits in the log.
const MAX_STORED: usize = 10_000;

/// New stored calls that are written at once, without waiting for the next look.
const STORED_TOGETHER: usize = 32;

/// Due calls of one read. Some may be under way, or wait behind those that are.
const DUE_AT_A_TIME: u64 = 64;

static CALLS: Trouble = Trouble::new("webhooks do not accept calls", "webhooks accept calls again");

static FOLLOWING: Trouble = Trouble::new("webhooks cannot follow the log", "webhooks follow the log again");

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

/// The call about an event.
struct Open {
    epoch: Epoch,
    position: Position,
    message: Message,
}

/// What an attempt is about.
enum Subject {
    Event(Epoch, Position),
    Stored(StoredCall),
}

/// An attempt that has ended.
struct Attempted {
    lane: Lane,
    subject: Subject,
    outcome: Outcome,
}

/// A webhook that this node calls.
pub(super) struct Follower {
    node: Arc<Node>,
    numbers: Arc<Numbers>,
    row: WebhookRow,
    target: Arc<(WebhookUrl, Secrets)>,
    client: Client,
    lease_until: Instant,
    answers: Answers,
    retelling: Rendering,
    rules: Rules,
    progress: Progress,
    /// The place that the database has.
    saved: Place,
    /// Lanes with an attempt under way, with the events behind it.
    busy: HashMap<Lane, VecDeque<Open>>,
    /// Lanes with stored calls, and how many. What comes in them is stored too.
    stored: HashMap<Lane, usize>,
    /// How many there are in all lanes.
    stored_calls: usize,
    next_number: i64,
    /// What is not written yet.
    settlement: Settlement,
    /// Whether a stored call may be due before the next look.
    is_due: bool,
    attempts: JoinSet<Attempted>,
    retries: usize,
}

impl Follower {
    /// Takes the lease of a webhook and goes on from its place. `None` if another node has it.
    pub(super) async fn begin(
        node: &Arc<Node>,
        numbers: &Arc<Numbers>,
        row: &WebhookRow,
    ) -> Result<Option<Self>, Ended> {
        let lease_until = Instant::now() + LEASE;
        let database = &node.engine.services().database;
        let Some(row) = database.lease_webhook(row.id, node.owner, LEASE).await? else { return Ok(None) };
        let target = match (row.url.parse::<WebhookUrl>(), Secrets::stored(&row.secrets)) {
            (Ok(url), Ok(secrets)) => Arc::new((url, secrets)),
            (Err(reason), _) | (_, Err(reason)) => {
                database.disable_webhook(row.id, &reason).await?;
                return Err(Ended::Disabled);
            }
        };
        let client = Client::new(node.options.allow_private).map_err(|error| {
            FOLLOWING.note(&error);
            Ended::Lost
        })?;
        let answers = match node.engine.follow_for_webhook(row.has_bodies, row.place).await {
            Ok(answers) => answers,
            Err(refusal) => return Err(begin_anew(node, &row, &refusal).await?),
        };
        let retelling = node.engine.retell_for_webhook(row.has_bodies).map_err(|_| Ended::Lost)?;
        let (lanes, newest) = database.waiting_lanes(row.id).await?;
        let (rules, new_rules) = Rules::open(database, row.id, &node.options.undelivered_after).await?;
        Ok(Some(Self {
            node: Arc::clone(node),
            numbers: Arc::clone(numbers),
            target,
            client,
            lease_until,
            answers,
            retelling,
            rules,
            progress: Progress::new(row.place),
            saved: row.place,
            busy: HashMap::new(),
            stored_calls: lanes.iter().map(|(_, calls)| calls).sum(),
            stored: lanes.into_iter().collect(),
            next_number: newest + 1,
            settlement: Settlement { rules: new_rules, ..Settlement::default() },
            is_due: true,
            attempts: JoinSet::new(),
            retries: 0,
            row,
        }))
    }

    /// Calls until there is a reason to stop.
    pub(super) async fn run(mut self, stopping: CancellationToken) -> Ended {
        let ended = self.follow(&stopping).await;
        // Whoever goes on calls again what is under way for longer.
        if ended == Ended::Stopped && self.finish_soon().await.is_ok() && self.write().await.is_ok() {
            // If this fails, the lease runs out.
            let _ = self.database().release_webhook(self.row.id, self.node.owner).await;
        }
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
        if self.lease_until < Instant::now() + LAST_MOMENT {
            return Err(Ended::Lost);
        }
        let has_room = self.has_room();
        tokio::select! {
            biased;
            () = stopping.cancelled() => return Err(Ended::Stopped),
            Some(attempted) = self.attempts.join_next() => {
                // An attempt that panicked is not known to have ended.
                self.finish(attempted.map_err(|_| Ended::Lost)?).await?;
            }
            _ = look.tick() => self.look().await?,
            answer = self.answers.next(), if has_room => match answer {
                Ok(Some(answer)) => self.take(&answer).await?,
                Ok(None) => return Err(Ended::Lost),
                Err(refusal) => return Err(begin_anew(&self.node, &self.row, &refusal).await?),
            },
        }
        if self.settlement.stored.len() >= STORED_TOGETHER {
            self.write().await?;
        }
        while self.is_due {
            self.begin_due().await?;
        }
        Ok(())
    }

    fn database(&self) -> &Database {
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
        let open = Open { epoch, position, message: Message { id: body::event_id(epoch, position), body } };
        match self.busy.get_mut(&lane) {
            Some(waiting) => waiting.push_back(open),
            None => self.attempt_event(lane, open),
        }
        Ok(())
    }

    fn attempt_event(&mut self, lane: Lane, open: Open) {
        self.busy.entry(lane).or_default();
        self.attempt(lane, Subject::Event(open.epoch, open.position), open.message);
    }

    fn attempt(&mut self, lane: Lane, subject: Subject, message: Message) {
        let (client, target) = (self.client.clone(), Arc::clone(&self.target));
        let now = self.database().now();
        self.attempts.spawn(async move {
            let (url, secrets) = &*target;
            let outcome = client.call(url, secrets, &message, now).await;
            Attempted { lane, subject, outcome }
        });
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
                self.next_in(lane);
            }
            (Subject::Event(epoch, position), Outcome::Failed(reason, asked)) => {
                let state = self.after_failure(1, reason, asked);
                self.store(CallKind::Event, lane, epoch, position, state);
                for open in self.busy.remove(&lane).unwrap_or_default() {
                    self.store(CallKind::Event, lane, open.epoch, open.position, behind());
                }
                self.write().await?;
            }
            (Subject::Stored(call), outcome) => {
                self.retries -= 1;
                self.is_due = true;
                match outcome {
                    Outcome::Accepted | Outcome::Gone => self.drop_stored(&call),
                    Outcome::Failed(reason, asked) => self.fail_stored(&call, reason, asked),
                }
                self.next_in(lane);
                self.write().await?;
            }
        }
        Ok(())
    }

    /// Attempts the event that waited in a lane, or lets the lane go.
    fn next_in(&mut self, lane: Lane) {
        let next = self.busy.get_mut(&lane).and_then(VecDeque::pop_front);
        match next {
            Some(open) => self.attempt_event(lane, open),
            None => drop(self.busy.remove(&lane)),
        }
    }

    fn store(&mut self, kind: CallKind, lane: Lane, epoch: Epoch, position: Position, state: CallState) {
        let call = StoredCall { number: self.next_number, kind, epoch, position, lane, state };
        self.next_number += 1;
        *self.stored.entry(lane).or_default() += 1;
        self.stored_calls += 1;
        self.settlement.stored.push(call);
        if kind == CallKind::Event {
            self.progress.settle(position);
        }
    }

    /// A stored call is accepted, or there is nothing to tell any more.
    fn drop_stored(&mut self, call: &StoredCall) {
        self.settlement.done.push(call.number);
        self.free(call.lane);
    }

    fn fail_stored(&mut self, call: &StoredCall, reason: String, asked: Option<Duration>) {
        let state = self.after_failure(call.state.attempts.saturating_add(1), reason, asked);
        if let Waiting::GivenUp(_) = state.waiting {
            METRICS.count_webhook_call(Call::GivenUp);
            let (webhook, url, attempts) = (self.row.id, &self.target.0, state.attempts);
            tracing::error!(%webhook, %url, attempts, id = body::id_of(call), "a webhook call is given up");
            self.free(call.lane);
        }
        self.settlement.failed.push((call.number, state));
    }

    /// The first call of a lane is gone.
    fn free(&mut self, lane: Lane) {
        self.settlement.freed.push(lane);
        if let Some(calls) = self.stored.get_mut(&lane) {
            *calls -= 1;
            self.stored_calls -= 1;
            if *calls == 0 {
                self.stored.remove(&lane);
            }
        }
    }

    fn after_failure(&self, attempts: u32, reason: String, asked: Option<Duration>) -> CallState {
        let now = self.database().now();
        let chance = f64::from(u32::from_be_bytes(random::bytes())) / f64::from(u32::MAX);
        let waiting = match backoff::pause(attempts, asked, chance) {
            Some(pause) => Waiting::Until(clock::after(now, pause)),
            None => Waiting::GivenUp(now),
        };
        CallState { attempts, waiting, error: Some(reason) }
    }

    /// Looks for what time has brought: calls that are due, recipients who were not reached, a lease to renew.
    async fn look(&mut self) -> Result<(), Ended> {
        while self.stored_calls < MAX_STORED {
            let (now, engine) = (self.database().now(), Arc::clone(&self.node.engine));
            let Some(found) = self.rules.look(&engine.services().database, now).await? else { break };
            let kind = CallKind::Undelivered { after_seconds: found.after_seconds };
            for (lane, position) in found.overdue {
                let state = if self.stored.contains_key(&lane) { behind() } else { due(now) };
                self.store(kind, lane, self.progress.place().epoch, position, state);
            }
            self.settlement.rules.push((found.after_seconds, found.reached));
            self.write().await?;
        }
        self.write().await?;
        self.numbers.note(self.row.id, self.progress.place().position, self.stored_calls);
        self.is_due = true;
        Ok(())
    }

    /// Writes what became of calls, if there is anything to write or the lease is to be renewed.
    async fn write(&mut self) -> Result<(), Ended> {
        let (place, began) = (self.progress.place(), Instant::now());
        let is_young = self.lease_until > began + RENEW_AT;
        if self.settlement.is_empty() && place == self.saved && is_young {
            return Ok(());
        }
        let (id, owner) = (self.row.id, self.node.owner);
        if !self.database().settle_webhook(id, owner, LEASE, place, &self.settlement).await? {
            return Err(Ended::Lost);
        }
        self.is_due |= !self.settlement.freed.is_empty() || !self.settlement.stored.is_empty();
        (self.saved, self.lease_until, self.settlement) = (place, began + LEASE, Settlement::default());
        Ok(())
    }

    /// Attempts the stored calls that are due, as many as there is room for.
    async fn begin_due(&mut self) -> Result<(), Ended> {
        // What is not written yet would be read as it was.
        self.write().await?;
        self.is_due = false;
        let due = self.database().due_calls(self.row.id, DUE_AT_A_TIME).await?;
        let mut begun = HashSet::new();
        for call in due {
            if self.retries >= MAX_RETRIES || self.attempts.len() >= MAX_ATTEMPTS {
                break;
            }
            // The first of a lane goes first.
            if self.busy.contains_key(&call.lane) || !begun.insert(call.lane) {
                continue;
            }
            if call.state.attempts == 0 && call.state.error.is_some() {
                // An operator has it replayed, so that more calls wait than this node knows.
                let (lanes, _) = self.database().waiting_lanes(self.row.id).await?;
                self.stored_calls = lanes.iter().map(|(_, calls)| calls).sum();
                self.stored = lanes.into_iter().collect();
            }
            match self.message_of(&call).await? {
                Some(message) => {
                    self.retries += 1;
                    self.busy.entry(call.lane).or_default();
                    self.attempt(call.lane, Subject::Stored(call), message);
                }
                None => self.drop_stored(&call),
            }
        }
        self.write().await
    }

    /// What a stored call says now; `None` when there is nothing to tell any more.
    async fn message_of(&mut self, call: &StoredCall) -> Result<Option<Message>, Unavailable> {
        let engine = Arc::clone(&self.node.engine);
        let now = self.database().now();
        let body = match call.kind {
            CallKind::Event => {
                let epoch = self.progress.place().epoch;
                let told = engine.retell(&mut self.retelling, epoch, call.position).await?;
                told.and_then(|answer| body::of_event(&answer, now)).map(|told| told.body)
            }
            CallKind::Undelivered { after_seconds } => self.undelivered(call, after_seconds).await?,
            CallKind::Rewound => {
                let cursor = Cursor::new(self.saved);
                Some(body::of_rewound(call.position, cursor.as_str(), now))
            }
        };
        Ok(body.map(|body| Message { id: body::id_of(call), body }))
    }

    async fn undelivered(
        &mut self,
        call: &StoredCall,
        after_seconds: u32,
    ) -> Result<Option<Bytes>, Unavailable> {
        let Lane { conversation, recipient } = call.lane;
        let (database, now) = (self.database(), self.database().now());
        let still = database.still_undelivered(conversation, recipient, call.position).await?;
        let Some(still) = still else { return Ok(None) };
        let has_bodies = self.row.has_bodies;
        let data = self.node.engine.undelivered(recipient, conversation, still.newest, has_bodies).await?;
        let claim = Claim::new(self.row.id, recipient, still.newest, now);
        let token = claim.token(&self.row.token_key);
        Ok(data
            .map(|data| body::of_undelivered(data, after_seconds, still.since, &token, claim.expires(), now)))
    }
}

fn behind() -> CallState {
    CallState { attempts: 0, waiting: Waiting::Behind, error: None }
}

fn due(now: Timestamp) -> CallState {
    CallState { attempts: 0, waiting: Waiting::Until(now), error: None }
}

/// Has a webhook begin anew if the log does not continue what it was told. If the log agrees up to its place, it goes on
/// from there; else from the head of the log, without the calls that waited. The receiver is told in either case.
async fn begin_anew(node: &Node, row: &WebhookRow, refusal: &Response) -> Result<Ended, Unavailable> {
    if !refusal.codes().any(|code| code == "CURSOR_EXPIRED") {
        let reasons: Vec<&str> = refusal.messages().collect();
        FOLLOWING.note(&reasons.join(" "));
        return Ok(Ended::Lost);
    }
    let database = &node.engine.services().database;
    let row = database.webhook(row.id).await?.ok_or(Unavailable)?;
    let head = database.head().await?;
    let own = Place { epoch: head.epoch, ..row.place };
    let agrees = database.head_after(own).await?.is_some();
    if agrees && own == row.place {
        // The log is the same. An event in it is damaged, so nobody can tell it: the webhook waits until it is mended.
        FOLLOWING.note(&refusal.messages().collect::<Vec<_>>().join(" "));
        return Ok(Ended::Lost);
    }
    let place = if agrees { own } else { head };
    tracing::error!(
        webhook = %row.id,
        position = row.place.position.0,
        goes_on_from = place.position.0,
        "the log does not continue what a webhook was told: the receiver is told (log.rewound)"
    );
    let (_, newest) = database.waiting_lanes(row.id).await?;
    let call = StoredCall {
        number: newest + 1,
        kind: CallKind::Rewound,
        epoch: place.epoch,
        position: place.position,
        lane: WHOLE_LOG,
        state: due(database.now()),
    };
    let done = database.restart_webhook(row.id, node.owner, LEASE, place, vec![call], agrees).await?;
    Ok(if done { Ended::Rewound } else { Ended::Lost })
}
