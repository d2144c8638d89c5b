//! Load: HTTP on a kept connection, and WebSockets that answer pings and count what arrives.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// One HTTP connection that is kept.
pub(crate) struct Http {
    stream: TcpStream,
    head: String,
    buffer: Vec<u8>,
}

impl Http {
    pub(crate) async fn connect(port: u16, path: &str, token: Option<&str>) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let authorization =
            token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{authorization}"
        );
        Self { stream, head, buffer: Vec::new() }
    }

    /// Posts a body and reads the answer's.
    pub(crate) async fn post(&mut self, body: &str) -> &[u8] {
        let request = format!("{}content-length: {}\r\n\r\n{body}", self.head, body.len());
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.buffer.clear();
        loop {
            assert!(self.stream.read_buf(&mut self.buffer).await.unwrap() > 0, "the server closed");
            let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(&self.buffer[..end]).unwrap().to_ascii_lowercase();
            assert!(head.starts_with("http/1.1 200"), "{head}");
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let whole = end + 4 + length.parse::<usize>().unwrap();
            while self.buffer.len() < whole {
                assert!(self.stream.read_buf(&mut self.buffer).await.unwrap() > 0, "the server closed");
            }
            return &self.buffer[end + 4..whole];
        }
    }

    /// Posts an operation and returns its data.
    pub(crate) async fn graphql(&mut self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let mut response: Value = serde_json::from_slice(self.post(&body).await).unwrap();
        assert!(response.get("errors").is_none(), "{query}: {response}");
        response["data"].take()
    }
}

/// Asks with GET for JSON, over a connection of its own.
pub(crate) async fn get(port: u16, path: &str) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // HTTP/1.0, where the answer is in one piece and ends with the connection.
    let request = format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    serde_json::from_slice(&answer[end + 4..]).unwrap()
}

/// How many frames all sockets of a group received.
#[derive(Default)]
pub(crate) struct Received {
    frames: AtomicU64,
    bytes: AtomicU64,
    more: Notify,
}

impl Received {
    /// Waits until so many frames have been received.
    pub(crate) async fn reach(&self, frames: u64) {
        loop {
            let more = self.more.notified();
            if self.frames.load(Ordering::Relaxed) >= frames {
                return;
            }
            more.await;
        }
    }

    pub(crate) fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_per_frame(&self) -> f64 {
        self.bytes.load(Ordering::Relaxed) as f64 / self.frames.load(Ordering::Relaxed).max(1) as f64
    }
}

/// How many bytes a WebSocket can take at once, at least.
const READ_BYTES: usize = 4_096;

/// The first byte of a whole frame of each kind.
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// A WebSocket that answers pings while it is read. It panics when the server closes it with a reason.
pub(crate) struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Where the first frame in the buffer begins that is not taken yet.
    at: usize,
}

impl Socket {
    pub(crate) async fn connect(port: u16, path: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut buffer = Vec::new();
        loop {
            assert!(stream.read_buf(&mut buffer).await.unwrap() > 0, "the server closed");
            if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                assert!(buffer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&buffer));
                return Self { stream, buffer, at: end + 4 };
            }
        }
    }

    /// Connects, signs in, and follows a subscription under the id `1`.
    pub(crate) async fn herald(port: u16, token: &str, query: &str, variables: Value) -> Self {
        let mut socket = Self::connect(port, "/graphql").await;
        socket.follow(token, query, variables).await;
        socket
    }

    /// Signs in, and follows a subscription under the id `1`.
    pub(crate) async fn follow(&mut self, token: &str, query: &str, variables: Value) {
        let authorization = format!("Bearer {token}");
        self.send(&json!({ "type": "connection_init", "payload": { "authorization": authorization } })).await;
        assert_eq!(self.receive().await["type"], "connection_ack");
        self.ask("1", query, variables).await;
    }

    /// Asks for an operation under an id.
    pub(crate) async fn ask(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.send(&json!({ "id": id, "type": "subscribe", "payload": payload })).await;
    }

    /// Sends a text frame, masked with zeros as a client may.
    pub(crate) async fn send(&mut self, message: &Value) {
        let text = message.to_string();
        let mut frame = vec![0x81];
        match u8::try_from(text.len()) {
            Ok(length @ 0..=125) => frame.push(0x80 | length),
            _ => {
                frame.push(0x80 | 0x7e);
                frame.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        self.stream.write_all(&frame).await.unwrap();
    }

    /// Receives one text frame.
    pub(crate) async fn receive(&mut self) -> Value {
        serde_json::from_slice(self.next().await.expect("the server has not closed")).unwrap()
    }

    /// The payload of the next text frame; `None` once the server has closed. Nothing is lost when this is cancelled.
    pub(crate) async fn next(&mut self) -> Option<&[u8]> {
        loop {
            if let Some(payload) = self.take() {
                return Some(&self.buffer[payload]);
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Counts text frames until the server closes.
    pub(crate) async fn count(mut self, received: Arc<Received>) {
        loop {
            while let Some(payload) = self.take() {
                received.frames.fetch_add(1, Ordering::Relaxed);
                received.bytes.fetch_add(payload.len() as u64, Ordering::Relaxed);
            }
            received.more.notify_waiters();
            if !self.more().await {
                return;
            }
        }
    }

    /// Hands on the payload of each text frame until the server closes.
    pub(crate) async fn hand_on(mut self, mut take: impl FnMut(&[u8])) {
        while let Some(payload) = self.next().await {
            take(payload);
        }
    }

    /// Takes the next text frame that has arrived whole: where its payload is. Answers the pings before it.
    fn take(&mut self) -> Option<Range<usize>> {
        while let Some((header, length)) = self.frame_at(self.at) {
            let kind = self.buffer[self.at];
            let payload = self.at + header..self.at + header + length;
            self.at = payload.end;
            match kind {
                TEXT => return Some(payload),
                PING => self.pong(payload),
                CLOSE => panic!("the server closed: {}", String::from_utf8_lossy(&self.buffer[payload])),
                _ => {}
            }
        }
        None
    }

    /// Answers a ping, whose payload is at most 125 bytes long.
    fn pong(&mut self, payload: Range<usize>) {
        let mut frame = vec![PONG, 0x80 | payload.len() as u8, 0, 0, 0, 0];
        frame.extend(&self.buffer[payload]);
        // Not awaited, so that whoever waits for a frame can be cancelled. So few bytes have room.
        assert_eq!(self.stream.try_write(&frame).unwrap(), frame.len());
    }

    /// Waits for more bytes: whether there are any. There are none once the server has closed.
    async fn more(&mut self) -> bool {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.reserve(READ_BYTES);
        self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) > 0
    }

    /// The lengths of the header and the payload of the frame that begins there, once it is whole.
    fn frame_at(&self, at: usize) -> Option<(usize, usize)> {
        let buffer = self.buffer.get(at..)?;
        let (header, length) = match *buffer.get(1)? {
            126 => (4, usize::from(u16::from_be_bytes([*buffer.get(2)?, *buffer.get(3)?]))),
            127 => panic!("a frame is larger than any that is expected"),
            length => (2, usize::from(length)),
        };
        (buffer.len() >= header + length).then_some((header, length))
    }
}
