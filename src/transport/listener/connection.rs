//! Serves one connection: gives a client a bounded time to send a request and to accept the response, and gives each
//! request an id.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::ConnectionPlace;
use super::intake::Intake;
use super::metered::MeteredStream;
use crate::config::seconds;
use crate::network::Network;
use crate::random;
use crate::trace::TraceContext;
use crate::transport::http::RequestError;
use crate::transport::{Shared, caller, health};

/// Carries the id of a request, both in the request and in the response.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that a proxy may give a request.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// The smallest limit on a request's head that hyper accepts.
const MIN_HEADER_LIMIT_BYTES: usize = 8 * 1024;

/// A connection for which there is a place, with what each of its requests needs.
#[derive(Clone)]
pub(super) struct Accepted {
    pub(super) place: Arc<ConnectionPlace>,
    pub(super) address: SocketAddr,
    pub(super) intake: Arc<Intake>,
    pub(super) router: Router,
    pub(super) shared: Arc<Shared>,
}

impl Accepted {
    /// Serves the connection until it ends. When herald stops, it finishes the request under way.
    pub(super) async fn serve(self, stream: TcpStream) {
        let (address, shared) = (self.address, Arc::clone(&self.shared));
        let limits = &shared.limits;
        // Small frames leave at once. A system that cannot do this delays them.
        let _ = stream.set_nodelay(true);
        set_user_timeout(&stream, seconds(limits.ping_interval) * 2);
        let mut stream = TimeoutStream::new(MeteredStream::new(stream, Arc::clone(&self.intake)));
        stream.set_write_timeout(Some(seconds(limits.write_timeout)));
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            self.clone().answer(request.map(Body::new)).map(Ok::<_, Infallible>)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // From the answer before to the end of the next head. The head itself has less time, which `Intake` keeps.
            .header_read_timeout(seconds(limits.keep_alive_timeout) + seconds(limits.request_timeout))
            .max_buf_size(limits.max_header_bytes.max(MIN_HEADER_LIMIT_BYTES))
            .serve_connection(TokioIo::new(Box::pin(stream)), service)
            .with_upgrades();
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shared.stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error = &error as &dyn std::error::Error, %address, "a connection failed");
        }
    }

    /// Answers one request, and counts it on the account of its address meanwhile.
    async fn answer(self, mut request: Request) -> Response {
        let Self { place, address, intake, router, shared } = self;
        let extensions = request.extensions_mut();
        extensions.insert(address);
        extensions.insert(place);
        let client = caller::address(&shared, request.headers(), request.extensions());
        let account = shared.addresses.account(Network::of(client));
        if shared.trust_proxy && !health::is_health_check(request.uri()) {
            let Some(place) = account.take_connection() else {
                return refuse(&intake, RequestError::TooManyRequests);
            };
            request.extensions_mut().insert(Arc::new(place));
        }
        if request.version() == Version::HTTP_11
            && request.headers().get_all(header::HOST).iter().count() != 1
        {
            return refuse(&intake, RequestError::NotOneHost);
        }
        request.extensions_mut().insert(Arc::clone(&intake));
        intake.begin_request(account);
        let id = request_id(request.headers());
        let span = tracing::info_span!(
            "request",
            id = id.to_str().unwrap_or_default(),
            address = %client,
            method = %request.method(),
            path = request.uri().path(),
            user = Empty,
            status = Empty,
        );
        if let Some(trace) = TraceContext::of_headers(request.headers()) {
            trace.continue_in(&span);
        }
        let response = respond(router, request, id).instrument(span).await;
        intake.end_request();
        response
    }
}

/// Refuses a request by its head, which has arrived as a whole. The connection goes on.
fn refuse(intake: &Intake, error: RequestError) -> Response {
    intake.settle();
    error.into_response()
}

async fn respond(router: Router, request: Request, id: HeaderValue) -> Response {
    let received = Instant::now();
    let mut response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    Span::current().record("status", response.status().as_u16());
    tracing::debug!(elapsed = ?received.elapsed(), "answered");
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The id by which herald's log names a request: the one that a proxy gave it, or a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_plain = |id: &&HeaderValue| {
        (1..=MAX_REQUEST_ID_BYTES).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    let given = headers.get(REQUEST_ID).filter(is_plain).cloned();
    let drawn = || HeaderValue::from_str(&random::id().simple().to_string());
    given.or_else(|| drawn().ok()).unwrap_or(HeaderValue::from_static("-"))
}

/// Lets the system end a connection whose client acknowledges nothing for so long (RFC 5482). Otherwise the system
/// repeats the heartbeats of a response that stays open for a quarter of an hour. On other systems than Linux, that
/// remains so.
fn set_user_timeout(stream: &TcpStream, timeout: Duration) {
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(timeout));
    #[cfg(not(target_os = "linux"))]
    let _ = (stream, timeout);
}
