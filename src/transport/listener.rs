//! Accepting connections: a bounded number, of each address too, each with a bounded time to say what it wants and to
//! accept what it gets.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower::ServiceExt;
use tracing::Instrument;

use super::addresses::Place;
use super::intake::{Intake, Metered};
use super::reserve::Reserve;
use super::{Shared, caller, health, respond, router};
use crate::config::seconds;
use crate::metrics::{Counted, METRICS};
use crate::network::Network;
use crate::random;

/// Pause after a connection could not be accepted, which mostly means that there are no file handles left.
const BREATH: Duration = Duration::from_millis(100);

/// Names a request, in what is asked and in what is answered.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Bytes of the name that a proxy may give a request.
const LONGEST_REQUEST_ID: usize = 128;

/// The least that hyper accepts as a limit of a request's head.
const LEAST_HEADER_BYTES: usize = 8 * 1024;

/// The place that a connection takes up. Whoever goes on with the connection, as a WebSocket does, keeps it.
#[derive(Debug)]
pub(super) struct Held {
    _room: OwnedSemaphorePermit,
    /// Among those of its address, unless that is a proxy's.
    _place: Option<Place>,
    _open: TaskTrackerToken,
    _counted: Counted,
}

/// Serves until `shutdown`, then lets what is under way finish within the time for it.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, shutdown: impl Future<Output = ()>) {
    let connections = TaskTracker::new();
    let room = Arc::new(Semaphore::new(shared.limits.max_connections));
    let router = router(Arc::clone(&shared));
    let mut reserve = Reserve::default();
    tokio::pin!(shutdown);
    loop {
        let (stream, address) = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            },
        };
        let network = Network::of(address.ip());
        let account = shared.addresses.account(network);
        // A proxy's connections are everybody's: behind one, requests are counted when their heads say whose they are.
        let place = if shared.trust_proxy { Ok(None) } else { account.connection().map(Some).ok_or(()) };
        let (Ok(place), Ok(permit)) = (place, Arc::clone(&room).try_acquire_owned()) else {
            reserve.look_at(stream, network, &shared, &connections);
            continue;
        };
        let held = Arc::new(Held {
            _room: permit,
            _place: place,
            _open: connections.token(),
            _counted: Counted::new(&METRICS.connections),
        });
        let arriving = Arriving { held, address, intake: Arc::new(Intake::new(account)) };
        connections.spawn(serve_connection(stream, arriving, router.clone(), Arc::clone(&shared)));
    }
    drop(listener);
    shared.stopping.cancel();
    connections.close();
    if tokio::time::timeout(seconds(shared.limits.shutdown_timeout), connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "some connections did not end in time");
    }
}

/// What comes with every request of a connection.
#[derive(Clone)]
struct Arriving {
    held: Arc<Held>,
    address: SocketAddr,
    intake: Arc<Intake>,
}

/// Answers one request.
async fn answer(mut request: Request, arriving: Arriving, router: Router, shared: Arc<Shared>) -> Response {
    let Arriving { held, address, intake } = arriving;
    request.extensions_mut().insert(address);
    request.extensions_mut().insert(held);
    let caller = caller::address(&shared, request.headers(), request.extensions());
    let account = shared.addresses.account(Network::of(caller));
    if shared.trust_proxy && !health::is_asked(request.uri()) {
        let Some(place) = account.connection() else {
            return respond::too_many("This address has too many requests and sockets under way.");
        };
        request.extensions_mut().insert(Arc::new(place));
    }
    request.extensions_mut().insert(Arc::clone(&intake));
    intake.begin_request(account);
    let id = request_id(request.headers());
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default(), address = %caller);
    let begun = Instant::now();
    let answering = async {
        let path = request.uri().path().to_owned();
        let mut response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
        tracing::debug!(path, status = response.status().as_u16(), elapsed = ?begun.elapsed(), "answered");
        response.headers_mut().insert(REQUEST_ID, id);
        response
    };
    let response = answering.instrument(span).await;
    intake.end_request();
    response
}

/// The name by which the log knows a request: the one that a proxy gave it, or a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_plain = |id: &&HeaderValue| {
        (1..=LONGEST_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    let given = headers.get(REQUEST_ID).filter(is_plain).cloned();
    let drawn = || HeaderValue::from_str(&random::id().simple().to_string());
    given.or_else(|| drawn().ok()).unwrap_or(HeaderValue::from_static("-"))
}

async fn serve_connection(stream: TcpStream, arriving: Arriving, router: Router, shared: Arc<Shared>) {
    let address = arriving.address;
    // Small frames are to leave at once.
    let _ = stream.set_nodelay(true);
    give_up_on_the_vanished(&stream, seconds(shared.limits.ping_interval) * 2);
    let mut stream = TimeoutStream::new(Metered::new(stream, Arc::clone(&arriving.intake)));
    let answering = Arc::clone(&shared);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let answer = answer(request.map(Body::new), arriving.clone(), router.clone(), Arc::clone(&answering));
        answer.map(Ok::<_, Infallible>)
    });
    stream.set_write_timeout(Some(seconds(shared.limits.write_timeout)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(seconds(shared.limits.request_timeout))
        .max_buf_size(shared.limits.max_header_bytes.max(LEAST_HEADER_BYTES))
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
        tracing::debug!(%error, %address, "a connection ended");
    }
}

/// Has the system end a connection whose other side acknowledged nothing for so long (RFC 5482): without it, the
/// signs of life on a response that stays open would be repeated for a quarter of an hour to someone who is gone.
/// Where the system cannot, that is how it is.
fn give_up_on_the_vanished(stream: &TcpStream, patience: Duration) {
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(patience));
    #[cfg(not(target_os = "linux"))]
    let _ = (stream, patience);
}
