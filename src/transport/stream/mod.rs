//! A subscription over HTTP: one response that stays open, and to which herald writes answer after answer.

mod framing;
mod open;

use std::io;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::{StreamExt, stream};

pub(super) use self::framing::{COMPLETE, Framing};

use self::open::OpenResponse;
use super::Shared;
use crate::graphql::{self, Caller, Cursor, LIMIT_EXCEEDED, Prepared, failure};
use crate::random;

/// The milliseconds for which an `EventSource` waits before it connects again. herald draws them, so that the clients
/// that lose a server together do not come back together.
const RETRY_MILLIS: Range<u64> = 500..1_500;

/// Begins a subscription, and answers with a response that stays open.
///
/// # Errors
/// The response of GraphQL that says why the subscription does not begin.
pub(super) async fn subscribe(
    shared: Arc<Shared>,
    caller: Arc<Caller>,
    prepared: &Prepared,
    resume: Option<Cursor>,
    framing: Framing,
) -> Result<Response, Box<graphql::Response>> {
    caller.identified().map_err(|error| Box::new(failure(&error)))?;
    let Some(slot) = shared.sockets.take(caller.owner()) else {
        let message = "This user has as many subscriptions and sockets open as they may: close others first.";
        return Err(Box::new(graphql::refusal(LIMIT_EXCEEDED, message)));
    };
    let answers = shared.engine.subscribe(prepared, Arc::clone(&caller), resume).await?;
    let open = OpenResponse::new(shared, caller, slot, answers, framing);
    Ok(response(framing, Body::from_stream(open.chunks())))
}

/// Writes the answer to a query or a mutation as server-sent events that are complete at once.
pub(super) fn complete_response(mut result: graphql::Response) -> Response {
    let framing = Framing::EventStream;
    let headers = mem::take(&mut result.http_headers);
    let answer = result.write();
    let text =
        [framing.opening(retry_millis(), None), framing.next(answer.as_str(), None), framing.complete()]
            .concat();
    let mut response = response(framing, Body::from(Bytes::from_owner(answer.replaced(text))));
    response.headers_mut().extend(headers);
    response
}

/// Writes, as server-sent events, why a subscription does not begin. If the reason is temporary, the response breaks
/// off, and clients connect again.
pub(super) fn refusal(refusal: graphql::Response) -> Response {
    if !refusal.is_unavailable() {
        return complete_response(refusal);
    }
    let framing = Framing::EventStream;
    let text = framing.opening(retry_millis(), None) + &framing.next(&refusal.to_json(), None);
    let breaking_off = async {
        // hyper writes the text before it polls for the error.
        tokio::task::yield_now().await;
        Err(broken_off())
    };
    let chunks = stream::once(async { Ok(Bytes::from(text)) }).chain(stream::once(breaking_off));
    response(framing, Body::from_stream(chunks))
}

fn retry_millis() -> u64 {
    let span = RETRY_MILLIS.end - RETRY_MILLIS.start;
    RETRY_MILLIS.start + u64::from_be_bytes(random::bytes()) % span
}

/// The error that ends a response before it is complete, so that no client takes it for complete.
fn broken_off() -> io::Error {
    io::Error::other("herald breaks the response off")
}

fn response(framing: Framing, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(framing.content_type()));
    // A proxy that compresses the response holds answers back until it has enough of them.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    // nginx holds answers back until its buffer is full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
