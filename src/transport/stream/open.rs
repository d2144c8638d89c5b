//! The body of a response that stays open.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, stream};
use tokio::time::{Instant, Interval, interval_at};

use super::framing::Framing;
use super::{broken_off, retry_millis};
use crate::config::seconds;
use crate::error::Error;
use crate::graphql::{self, Answers, Caller, failure};
use crate::metrics::{Counted, METRICS};
use crate::transport::Shared;
use crate::transport::sockets::Slot;

/// A response that stays open. It holds a place among the user's sockets until it is dropped.
pub(super) struct OpenResponse {
    shared: Arc<Shared>,
    caller: Arc<Caller>,
    answers: Answers,
    framing: Framing,
    /// Completes when the server has a reason to end the response.
    ending: BoxFuture<'static, Ending>,
    heartbeat: Interval,
    _slot: Slot,
    _counted: Counted,
}

/// Why the server ends a response.
enum Ending {
    Stopping,
    SessionEnded,
}

enum State {
    Opening(Box<OpenResponse>),
    Following(Box<OpenResponse>),
    Ended,
}

impl OpenResponse {
    pub(super) fn new(
        shared: Arc<Shared>,
        caller: Arc<Caller>,
        slot: Slot,
        answers: Answers,
        framing: Framing,
    ) -> Self {
        let (stopping, watched) = (shared.stopping.clone(), Arc::clone(&caller));
        let ending = async move {
            tokio::select! {
                biased;
                () = watched.ended() => Ending::SessionEnded,
                () = stopping.cancelled() => Ending::Stopping,
            }
        };
        let period = seconds(shared.limits.ping_interval).max(Duration::from_millis(1));
        let heartbeat = interval_at(Instant::now() + period, period);
        Self {
            shared,
            caller,
            answers,
            framing,
            ending: ending.boxed(),
            heartbeat,
            _slot: slot,
            _counted: Counted::new(&METRICS.streams),
        }
    }

    /// The chunks of the body, each as soon as it exists. An error breaks the response off.
    pub(super) fn chunks(self) -> impl Stream<Item = io::Result<Bytes>> {
        stream::unfold(State::Opening(Box::new(self)), |state| async {
            match state {
                State::Opening(open) => {
                    let opening = open.framing.opening(retry_millis(), Some(&open.answers.cursor()));
                    Some((Ok(opening.into()), State::Following(open)))
                }
                State::Following(open) => Some(open.next_chunk().await),
                State::Ended => None,
            }
        })
    }

    async fn next_chunk(mut self: Box<Self>) -> (io::Result<Bytes>, State) {
        let framing = self.framing;
        let text = tokio::select! {
            biased;
            ending = &mut self.ending => match ending {
                Ending::SessionEnded => return refused(framing, &failure(&Error::Unauthenticated)),
                Ending::Stopping => return (Err(broken_off()), State::Ended),
            },
            answer = self.answers.next() => match answer {
                Ok(Some(answer)) => framing.next(&answer, Some(&self.answers.cursor())),
                Ok(None) => return (Ok(framing.complete().into()), State::Ended),
                Err(refusal) => return refused(framing, &refusal),
            },
            _ = self.heartbeat.tick() => {
                // A subscription keeps its session alive. If the database cannot store this now, a later heartbeat
                // tries again.
                if let Some(session) = &self.caller.session {
                    let _ = self.shared.engine.services().accounts.sessions.keep(session).await;
                }
                framing.heartbeat()
            }
        };
        (Ok(text.into()), State::Following(self))
    }
}

/// Says why no further answers follow.
fn refused(framing: Framing, refusal: &graphql::Response) -> (io::Result<Bytes>, State) {
    let text = framing.next(&refusal.to_json(), None) + &framing.complete();
    (Ok(text.into()), State::Ended)
}
