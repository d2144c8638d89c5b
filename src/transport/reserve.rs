//! Connections for which there is no room: a few are looked at, so that health checks are answered whatever else is
//! refused.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

use super::{Shared, health};
use crate::network::Network;

/// Connections that are looked at, at a time. A further one takes the place of the oldest that has not said anything.
const PLACES: usize = 256;

/// Of these, for each address.
const PLACES_PER_ADDRESS: usize = 64;

/// How long a connection has to say what it wants: much less than when there is room.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes of the longest head that is read.
const LONGEST_HEAD: usize = 4 * 1024;

/// What is said to a connection for which there is no room.
const FULL: &str = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n\
    Content-Type: application/json; charset=utf-8\r\nContent-Length: 102\r\n\r\n\
    {\"errors\":[{\"message\":\"Too many connections: try again later.\",\"extensions\":{\"code\":\"UNAVAILABLE\"}}]}\n";

/// A connection that is looked at.
#[derive(Debug)]
struct Looked {
    network: Network,
    task: AbortHandle,
    /// Whether it has said what it wants.
    has_asked: Arc<AtomicBool>,
}

/// The connections that are looked at, oldest first.
#[derive(Debug, Default)]
pub(super) struct Reserve(VecDeque<Looked>);

impl Reserve {
    /// Answers a health check, and tells everybody else that there is no room.
    pub(super) fn look_at(
        &mut self,
        stream: TcpStream,
        network: Network,
        shared: &Arc<Shared>,
        connections: &TaskTracker,
    ) {
        self.0.retain(|looked| !looked.task.is_finished());
        self.make_room(network);
        let has_asked = Arc::new(AtomicBool::new(false));
        let answering = answer(stream, Arc::clone(shared), Arc::clone(&has_asked));
        let task = connections.spawn(answering).abort_handle();
        self.0.push_back(Looked { network, task, has_asked });
    }

    fn make_room(&mut self, network: Network) {
        let silent = |looked: &Looked| !looked.has_asked.load(Ordering::Relaxed);
        let own = |looked: &Looked| looked.network == network;
        let oldest = if self.0.iter().filter(|looked| own(looked)).count() >= PLACES_PER_ADDRESS {
            self.0.iter().position(|looked| own(looked) && silent(looked)).or(self.0.iter().position(own))
        } else if self.0.len() >= PLACES {
            Some(self.0.iter().position(silent).unwrap_or(0))
        } else {
            None
        };
        if let Some(looked) = oldest.and_then(|oldest| self.0.remove(oldest)) {
            looked.task.abort();
        }
    }
}

async fn answer(mut stream: TcpStream, shared: Arc<Shared>, has_asked: Arc<AtomicBool>) {
    let head = tokio::time::timeout(PATIENCE, head(&mut stream)).await.unwrap_or_default();
    has_asked.store(true, Ordering::Relaxed);
    let answer = match path(&head) {
        Some(b"/healthz") => bytes(health::live().await).await,
        Some(b"/readyz") => bytes(health::ready(State(shared)).await).await,
        _ => FULL.as_bytes().to_vec(),
    };
    let leaving = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        // What is not read when the connection is closed would take the answer away from the client.
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = tokio::time::timeout(PATIENCE, leaving).await;
}

/// What has arrived up to the end of a request's head, or of what is read of it.
async fn head(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::with_capacity(512);
    while head.len() < LONGEST_HEAD && !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read_buf(&mut head).await {
            Ok(1..) => {}
            _ => break,
        }
    }
    head
}

/// What is asked for with GET.
fn path(head: &[u8]) -> Option<&[u8]> {
    let target = head.strip_prefix(b"GET ")?.split(|byte| *byte == b' ').next()?;
    target.split(|byte| *byte == b'?').next()
}

/// A short answer as it goes over the wire.
async fn bytes(response: Response) -> Vec<u8> {
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, LONGEST_HEAD).await.unwrap_or_default();
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
    fn the_answer_without_room_is_as_long_as_it_says() {
        let (head, body) = FULL.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }

    #[test]
    fn only_a_path_that_is_asked_for_is_found() {
        assert_eq!(path(b"GET /readyz?x HTTP/1.1\r\n"), Some(&b"/readyz"[..]));
        assert_eq!(path(b"GET /healthz HTTP/1.1\r\n"), Some(&b"/healthz"[..]));
        assert_eq!(path(b"POST /healthz HTTP/1.1\r\n"), None);
        assert_eq!(path(b""), None);
    }
}
