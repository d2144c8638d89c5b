//! A subscription over HTTP: one response, which stays open and is written answer by answer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::time::{Instant, Interval, interval_at};

use super::Shared;
use super::framing::Framing;
use super::sockets::Slot;
use crate::accounts::Live;
use crate::config::seconds;
use crate::error::Error;
use crate::graphql::{self, Answers, Caller, Cursor, LIMIT_EXCEEDED, Prepared, failure};
use crate::metrics::{Counted, METRICS};
use crate::random;

/// Milliseconds before an `EventSource` connects again: at least, and at most. They differ, so that those who lost
/// their server together do not come back together.
const RETRY: (u64, u64) = (500, 1_500);

fn retry() -> u64 {
    let (least, most) = RETRY;
    least + u64::from_be_bytes(random::bytes()) % (most - least)
}

/// Begins a subscription, and answers with a response that stays open.
///
/// # Errors
/// The response of GraphQL that says why it does not begin.
pub(super) async fn follow(
    shared: Arc<Shared>,
    caller: Arc<Caller>,
    prepared: &Prepared,
    resume: Option<Cursor>,
    framing: Framing,
) -> Result<Response, Box<graphql::Response>> {
    let session = Arc::clone(caller.viewer().map_err(|error| Box::new(failure(&error)))?);
    let Some(slot) = shared.sockets.take(session.user.id) else {
        let message = "This user has as many subscriptions and sockets open as they may: close others first.";
        return Err(Box::new(graphql::refusal(LIMIT_EXCEEDED, message)));
    };
    let answers = shared.engine.subscribe(prepared, caller, resume).await?;
    let open = Open::new(shared, session, slot, answers, framing);
    Ok(response(framing, Body::from_stream(open.chunks())))
}

/// The answer to a query or a mutation, as server-sent events that are complete at once.
pub(super) fn answer(mut answer: graphql::Response) -> Response {
    let framing = Framing::EventStream;
    let headers = std::mem::take(&mut answer.http_headers);
    let answer = answer.write();
    let text = [framing.opening(retry(), None), framing.next(answer.as_str(), None), framing.complete()];
    let mut http = response(framing, Body::from(Bytes::from_owner(answer.replaced(text.concat()))));
    http.headers_mut().extend(headers);
    http
}

/// Why a subscription does not begin, as server-sent events. If it is only for now, the response breaks off, at
/// which clients connect again.
pub(super) fn refusal(refusal: graphql::Response) -> Response {
    if !refusal.is_unavailable() {
        return answer(refusal);
    }
    let framing = Framing::EventStream;
    let told = Bytes::from(framing.opening(retry(), None) + &framing.next(&refusal.to_json(), None));
    let breaking_off = async {
        // What was told is written before.
        tokio::task::yield_now().await;
        Err(broken_off())
    };
    let chunks = stream::once(async { Ok(told) }).chain(stream::once(breaking_off));
    response(framing, Body::from_stream(chunks))
}

/// What ends a response before it is complete, so that no client takes it for complete.
fn broken_off() -> io::Error {
    io::Error::other("broken off")
}

fn response(framing: Framing, body: Body) -> Response {
    let mut http = Response::new(body);
    let headers = http.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(framing.content_type()));
    // A proxy that compressed it would gather answers until it had enough of them.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    // nginx would gather answers until its buffer is full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    http
}

/// An open response.
struct Open {
    shared: Arc<Shared>,
    session: Arc<Live>,
    answers: Answers,
    framing: Framing,
    /// What ends it from the server's side.
    ending: BoxFuture<'static, Ending>,
    heartbeat: Interval,
    /// The place among the user's sockets.
    _slot: Slot,
    _counted: Counted,
}

enum Ending {
    Stopping,
    SessionEnded,
}

/// How far an open response has come.
enum Progress {
    Opening(Box<Open>),
    Following(Box<Open>),
    Over,
}

impl Open {
    fn new(shared: Arc<Shared>, session: Arc<Live>, slot: Slot, answers: Answers, framing: Framing) -> Self {
        let (stopping, mortal) = (shared.stopping.clone(), Arc::clone(&session));
        let ending = async move {
            tokio::select! {
                biased;
                () = mortal.ended() => Ending::SessionEnded,
                () = stopping.cancelled() => Ending::Stopping,
            }
        };
        let period = seconds(shared.limits.ping_interval).max(Duration::from_millis(1));
        let heartbeat = interval_at(Instant::now() + period, period);
        Self {
            shared,
            session,
            answers,
            framing,
            ending: ending.boxed(),
            heartbeat,
            _slot: slot,
            _counted: Counted::new(&METRICS.streams),
        }
    }

    /// What is written, as it comes about. An error breaks the response off.
    fn chunks(self) -> impl Stream<Item = io::Result<Bytes>> {
        stream::unfold(Progress::Opening(Box::new(self)), |progress| async {
            match progress {
                Progress::Opening(open) => {
                    let opening = open.framing.opening(retry(), Some(&open.answers.cursor()));
                    Some((Ok(opening.into()), Progress::Following(open)))
                }
                Progress::Following(open) => Some(open.follow().await),
                Progress::Over => None,
            }
        })
    }

    async fn follow(mut self: Box<Self>) -> (io::Result<Bytes>, Progress) {
        let framing = self.framing;
        let text = tokio::select! {
            biased;
            ending = &mut self.ending => match ending {
                Ending::SessionEnded => return refused(framing, &failure(&Error::Unauthenticated)),
                Ending::Stopping => return (Err(broken_off()), Progress::Over),
            },
            answer = self.answers.next() => match answer {
                Ok(Some(answer)) => framing.next(&answer, Some(&self.answers.cursor())),
                Ok(None) => return (Ok(framing.complete().into()), Progress::Over),
                Err(refusal) => return refused(framing, &refusal),
            },
            _ = self.heartbeat.tick() => {
                // A session that is subscribed is in use. If this cannot be noted now, it will be later.
                let _ = self.shared.engine.services().accounts.sessions.keep(&self.session).await;
                framing.heartbeat()
            }
        };
        (Ok(text.into()), Progress::Following(self))
    }
}

/// Why there will be no further answers.
fn refused(framing: Framing, refusal: &graphql::Response) -> (io::Result<Bytes>, Progress) {
    let text = framing.next(&refusal.to_json(), None) + &framing.complete();
    (Ok(text.into()), Progress::Over)
}
