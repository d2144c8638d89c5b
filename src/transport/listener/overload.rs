//! Connections for which there is no place. herald reads the head of a few of them, so that it answers health checks
//! even when it refuses everything else.

use std::collections::VecDeque;
use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::network::Network;
use crate::transport::{Shared, health};

/// Connections whose heads herald reads at a time. A further one replaces the oldest whose head is incomplete.
const MAX_READING: usize = 256;

/// Of these, the connections of one address.
const MAX_READING_PER_ADDRESS: usize = 64;

/// The time in which a connection sends its head, and then accepts the answer.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The time in which a connection that another one replaces accepts the answer.
const LINGER: Duration = Duration::from_millis(100);

/// The longest head that herald reads here, and the longest body that it sends.
const MAX_HEAD_BYTES: usize = 4 * 1024;

/// The answer to everything but health checks.
const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n\
    Content-Type: application/json; charset=utf-8\r\nContent-Length: 102\r\n\r\n\
    {\"errors\":[{\"message\":\"Too many connections: try again later.\",\"extensions\":{\"code\":\"UNAVAILABLE\"}}]}\n";

/// A connection whose head herald reads.
#[derive(Debug)]
struct Reading {
    network: Network,
    task: AbortHandle,
    /// Whether the head is complete.
    has_head: Arc<AtomicBool>,
    /// Tells it to wait no longer.
    replaced: CancellationToken,
}

/// The connections whose heads herald reads, oldest first.
#[derive(Debug, Default)]
pub(super) struct Overload(VecDeque<Reading>);

impl Overload {
    /// Answers a health check, and tells every other client that there is no place.
    pub(super) fn handle(
        &mut self,
        stream: TcpStream,
        network: Network,
        shared: &Arc<Shared>,
        connections: &TaskTracker,
    ) {
        self.0.retain(|reading| !reading.task.is_finished());
        self.free_a_place(network);
        let (has_head, replaced) = (Arc::new(AtomicBool::new(false)), CancellationToken::new());
        let serving = serve(stream, Arc::clone(shared), Arc::clone(&has_head), replaced.clone());
        let task = connections.spawn(serving).abort_handle();
        self.0.push_back(Reading { network, task, has_head, replaced });
    }

    fn free_a_place(&mut self, network: Network) {
        let is_silent = |reading: &Reading| !reading.has_head.load(Ordering::Relaxed);
        let is_own = |reading: &Reading| reading.network == network;
        let own = self.0.iter().filter(|reading| is_own(reading)).count();
        let replaced = if own >= MAX_READING_PER_ADDRESS {
            let silent = self.0.iter().position(|reading| is_own(reading) && is_silent(reading));
            silent.or_else(|| self.0.iter().position(is_own))
        } else if self.0.len() >= MAX_READING {
            Some(self.0.iter().position(is_silent).unwrap_or(0))
        } else {
            None
        };
        if let Some(reading) = replaced.and_then(|index| self.0.remove(index)) {
            reading.replaced.cancel();
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    shared: Arc<Shared>,
    has_head: Arc<AtomicBool>,
    replaced: CancellationToken,
) {
    tokio::select! {
        biased;
        () = answer(&mut stream, shared, &has_head) => return,
        () = replaced.cancelled() => {}
    }
    if !has_head.load(Ordering::Relaxed) {
        answer_at_once(&mut stream).await;
    }
}

/// Tells a client that there is no place, without waiting for the rest of its head.
async fn answer_at_once(stream: &mut TcpStream) {
    // A new connection takes an answer as soon as the runtime has looked at it.
    let _ = tokio::time::timeout(LINGER, send(stream, UNAVAILABLE.as_bytes())).await;
}

async fn answer(stream: &mut TcpStream, shared: Arc<Shared>, has_head: &AtomicBool) {
    let head = tokio::time::timeout(TIMEOUT, read_head(stream)).await.unwrap_or_default();
    has_head.store(true, Ordering::Relaxed);
    let answer = match requested_path(&head) {
        Some(b"/healthz") => to_bytes(health::live().await).await,
        Some(b"/readyz") => to_bytes(health::ready(State(shared)).await).await,
        _ => UNAVAILABLE.as_bytes().to_vec(),
    };
    // A client that does not take the answer in time goes without it.
    let _ = tokio::time::timeout(TIMEOUT, send(stream, &answer)).await;
}

/// Sends an answer, and waits until the client has ended the connection, too.
async fn send(stream: &mut TcpStream, answer: &[u8]) -> io::Result<()> {
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    // Unread bytes would make the system reset the connection, and the client lose the answer.
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// Reads up to the end of a request's head, but at most [`MAX_HEAD_BYTES`].
async fn read_head(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::with_capacity(512);
    while head.len() < MAX_HEAD_BYTES && !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read_buf(&mut head).await {
            Ok(1..) => {}
            _ => break,
        }
    }
    head
}

/// The path of a GET request.
fn requested_path(head: &[u8]) -> Option<&[u8]> {
    let target = head.strip_prefix(b"GET ")?.split(|byte| *byte == b' ').next()?;
    target.split(|byte| *byte == b'?').next()
}

/// Writes a short response as HTTP/1.1.
async fn to_bytes(response: Response) -> Vec<u8> {
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, MAX_HEAD_BYTES).await.unwrap_or_default();
    let mut head =
        format!("HTTP/1.1 {}\r\nConnection: close\r\nContent-Length: {}\r\n", parts.status, body.len());
    for (name, value) in &parts.headers {
        if let Ok(value) = value.to_str() {
            // Writing to a string cannot fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
    }
    [head.as_bytes(), b"\r\n", &body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_length_of_the_fixed_answer_is_right() {
        let (head, body) = UNAVAILABLE.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }

    #[test]
    fn the_path_of_a_get_request_is_found_and_no_other() {
        assert_eq!(requested_path(b"GET /readyz?x HTTP/1.1\r\n"), Some(&b"/readyz"[..]));
        assert_eq!(requested_path(b"GET /healthz HTTP/1.1\r\n"), Some(&b"/healthz"[..]));
        assert_eq!(requested_path(b"POST /healthz HTTP/1.1\r\n"), None);
        assert_eq!(requested_path(b""), None);
    }
}
