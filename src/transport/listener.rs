//! Accepting connections: a bounded number, each with a bounded time to say what it wants and to accept what it
//! gets.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower::ServiceExt;

use super::{Shared, router};
use crate::config::seconds;
use crate::metrics::{Counted, METRICS};

/// Pause after a connection could not be accepted, which mostly means that there are no file handles left.
const BREATH: Duration = Duration::from_millis(100);

/// The least that hyper accepts as a limit of a request's head.
const LEAST_HEADER_BYTES: usize = 8 * 1024;

/// What is said to a connection for which there is no room.
const FULL: &str = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n\
    Content-Type: application/json; charset=utf-8\r\nContent-Length: 102\r\n\r\n\
    {\"errors\":[{\"message\":\"Too many connections: try again later.\",\"extensions\":{\"code\":\"UNAVAILABLE\"}}]}\n";

/// The place that a connection takes up. Whoever goes on with the connection, as a WebSocket does, keeps it.
#[derive(Debug)]
pub(super) struct Held {
    _room: OwnedSemaphorePermit,
    _open: TaskTrackerToken,
    _counted: Counted,
}

/// Serves until `shutdown`, then lets what is under way finish within the time for it.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, shutdown: impl Future<Output = ()>) {
    let connections = TaskTracker::new();
    let room = Arc::new(Semaphore::new(shared.limits.max_connections));
    let router = router(Arc::clone(&shared));
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
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            connections.spawn(turn_away(stream));
            continue;
        };
        let held = Arc::new(Held {
            _room: permit,
            _open: connections.token(),
            _counted: Counted::new(&METRICS.connections),
        });
        connections.spawn(serve_connection(stream, address, held, router.clone(), Arc::clone(&shared)));
    }
    drop(listener);
    shared.stopping.cancel();
    connections.close();
    if tokio::time::timeout(seconds(shared.limits.shutdown_timeout), connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "some connections did not end in time");
    }
}

async fn serve_connection(
    stream: TcpStream,
    address: SocketAddr,
    held: Arc<Held>,
    router: Router,
    shared: Arc<Shared>,
) {
    // Small frames are to leave at once.
    let _ = stream.set_nodelay(true);
    give_up_on_the_vanished(&stream, seconds(shared.limits.ping_interval) * 2);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(address);
        request.extensions_mut().insert(Arc::clone(&held));
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {})) }
    });
    let mut stream = TimeoutStream::new(stream);
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

async fn turn_away(mut stream: TcpStream) {
    let answer = async {
        let _ = stream.write_all(FULL.as_bytes()).await;
        let _ = stream.shutdown().await;
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), answer).await;
}

#[cfg(test)]
mod tests {
    use super::FULL;

    #[test]
    fn the_answer_without_room_is_as_long_as_it_says() {
        let (head, body) = FULL.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }
}
