//! The calls that wait: storing them, trying them again, and the place of the webhook, all written together.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::time::Instant;

use super::attempt::Message;
use super::backoff;
use super::body;
use super::delivered::Claim;
use super::follower::{Ended, Follower, LEASE, MAX_ATTEMPTS, MAX_STORED, Subject};
use super::rules::sent_by;
use crate::clock;
use crate::graphql::Cursor;
use crate::log::{CallKind, CallState, Lane, Settlement, StoredCall, Unavailable, Waiting};
use crate::messaging::{Epoch, Position, Timestamp};
use crate::metrics::{Call, METRICS};
use crate::random;

/// The rest of the lease at which it is renewed.
const RENEW_AT: Duration = Duration::from_secs(20);

/// How many of them may be of stored calls, so that a receiver which refuses some does not keep the others waiting.
const MAX_RETRIES: usize = 8;

/// Due calls of one read. Some may be under way, or wait behind those that are.
const DUE_AT_A_TIME: i64 = 64;

/// The most replayed calls that one look takes back.
const REPLAYED_AT_A_TIME: usize = 1_000;

impl Follower {
    pub(super) fn store(
        &mut self,
        kind: CallKind,
        lane: Lane,
        epoch: Epoch,
        position: Position,
        state: CallState,
    ) {
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
    pub(super) fn drop_stored(&mut self, call: &StoredCall) {
        self.settlement.done.push(call.number);
        self.free(call.lane);
    }

    pub(super) fn fail_stored(&mut self, call: &StoredCall, reason: String, asked: Option<Duration>) {
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

    pub(super) fn after_failure(&self, attempts: u32, reason: String, asked: Option<Duration>) -> CallState {
        let now = self.database().now();
        let chance = f64::from(u32::from_be_bytes(random::bytes())) / f64::from(u32::MAX);
        let waiting = match backoff::pause(attempts, asked, chance) {
            Some(pause) => Waiting::Until(clock::after(now, pause)),
            None => Waiting::GivenUp(now),
        };
        CallState { attempts, waiting, error: Some(reason) }
    }

    /// Looks for what time has brought: calls that are due or replayed, recipients who were not reached, a lease to renew.
    pub(super) async fn look(&mut self) -> Result<(), Ended> {
        self.write().await?;
        self.numbers.note(self.row.id, self.progress.place().position, self.stored_calls);
        (self.is_due, self.is_looking) = (true, true);
        self.take_back().await
    }

    /// Does a part of what a look has to do, so that whatever else happens has its turn after it.
    pub(super) async fn go_on_looking(&mut self) -> Result<(), Ended> {
        if self.is_looking {
            self.look_at_rules().await?;
        }
        if self.is_due { self.begin_due().await } else { Ok(()) }
    }

    /// Has calls wait again that were given up and that an operator replays, as many as there is room for.
    async fn take_back(&mut self) -> Result<(), Ended> {
        let room = MAX_STORED.saturating_sub(self.stored_calls).min(REPLAYED_AT_A_TIME);
        let replayed = self.database().replayed_calls(self.row.id, room as u64).await?;
        for call in &replayed {
            *self.stored.entry(call.lane).or_default() += 1;
        }
        self.stored_calls += replayed.len();
        self.settlement.frees_all |= !replayed.is_empty();
        self.settlement.taken_back.extend(replayed.iter().map(|call| call.number));
        self.write().await
    }

    /// Stores calls about the recipients whom the next messages have not reached.
    async fn look_at_rules(&mut self) -> Result<(), Ended> {
        self.is_looking = false;
        if self.stored_calls >= MAX_STORED {
            return Ok(());
        }
        let (now, engine) = (self.database().now(), Arc::clone(&self.node.engine));
        let Some(found) = self.rules.look(&engine.services().database, now).await? else { return Ok(()) };
        self.is_looking = true;
        let kind = CallKind::Undelivered { after_seconds: found.after_seconds };
        for (lane, position) in found.overdue {
            let state = if self.stored.contains_key(&lane) { behind() } else { due(now) };
            self.store(kind, lane, self.progress.place().epoch, position, state);
        }
        self.settlement.rules.push((found.after_seconds, found.reached));
        self.write().await
    }

    /// Writes what became of calls, if there is anything to write or the lease is to be renewed.
    pub(super) async fn write(&mut self) -> Result<(), Ended> {
        let (place, began) = (self.progress.place(), Instant::now());
        let is_young = self.lease_until > began + RENEW_AT;
        if self.settlement.is_empty() && place == self.saved && is_young {
            return Ok(());
        }
        let (id, owner) = (self.row.id, self.node.owner);
        if !self.database().settle_webhook(id, owner, LEASE, place, &self.settlement).await? {
            return Err(Ended::Lost);
        }
        let Settlement { freed, stored, frees_all, .. } = &self.settlement;
        self.is_due |= !freed.is_empty() || !stored.is_empty() || *frees_all;
        (self.saved, self.lease_until, self.settlement) = (place, began + LEASE, Settlement::default());
        Ok(())
    }

    /// Attempts the stored calls that are due, as many as there is room for.
    pub(super) async fn begin_due(&mut self) -> Result<(), Ended> {
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
            match self.message_of(&call).await? {
                Ok(Some(message)) => {
                    self.retries += 1;
                    self.busy.entry(call.lane).or_default();
                    self.attempt(call.lane, Subject::Stored(call), message)?;
                }
                Ok(None) => self.drop_stored(&call),
                Err(reason) => self.fail_stored(&call, reason, None),
            }
        }
        self.write().await
    }

    /// What a stored call says now, or why herald cannot say it; `None` when there is nothing to tell any more.
    async fn message_of(
        &mut self,
        call: &StoredCall,
    ) -> Result<Result<Option<Message>, String>, Unavailable> {
        let body = match call.kind {
            CallKind::Event => self.event(call.position).await?,
            CallKind::Undelivered { after_seconds } => match self.undelivered(call, after_seconds).await? {
                Ok(body) => body,
                Err(reason) => return Ok(Err(reason)),
            },
            CallKind::Rewound => {
                let cursor = Cursor::new(self.saved);
                Some(body::of_rewound(call.position, cursor.as_str(), self.database().now()))
            }
        };
        Ok(Ok(body.map(|body| Message { id: body::id_of(call), body })))
    }

    /// What is told now of the event at a position; `None` if the log does not have it any more.
    pub(super) async fn event(&mut self, position: Position) -> Result<Option<Bytes>, Unavailable> {
        let engine = Arc::clone(&self.node.engine);
        let epoch = self.progress.place().epoch;
        let told = engine.retell(&mut self.retelling, epoch, position).await?;
        let now = self.database().now();
        Ok(told.and_then(|answer| body::of_event(&answer, now)).map(|told| told.body))
    }

    async fn undelivered(
        &mut self,
        call: &StoredCall,
        after_seconds: u32,
    ) -> Result<Result<Option<Bytes>, String>, Unavailable> {
        let Lane { conversation, recipient } = call.lane;
        let (database, now) = (self.database(), self.database().now());
        let still = database.still_undelivered(conversation, recipient, sent_by(now, after_seconds)).await?;
        let Some(still) = still else {
            // What was sent since is told of when it is old enough.
            self.rules.forget(after_seconds, call.lane);
            return Ok(Ok(None));
        };
        let has_bodies = self.row.has_bodies;
        let answer = self.node.engine.undelivered(recipient, conversation, still.newest, has_bodies).await;
        let data = match answer {
            Ok(data) => data,
            Err(response) if response.is_unavailable() => return Err(Unavailable::Now),
            Err(response) => return Ok(Err(response.messages().collect::<Vec<_>>().join(" "))),
        };
        let claim = Claim::new(self.row.id, recipient, still.newest, now);
        let token = claim.token(&self.row.token_key);
        let body =
            |data| body::of_undelivered(data, after_seconds, still.since, &token, claim.expires(), now);
        Ok(Ok(data.map(body)))
    }
}

/// The state of a call that waits behind others.
pub(super) fn behind() -> CallState {
    CallState { attempts: 0, waiting: Waiting::Behind, error: None }
}

/// The state of a call that is tried next.
pub(super) fn due(now: Timestamp) -> CallState {
    CallState { attempts: 0, waiting: Waiting::Until(now), error: None }
}
