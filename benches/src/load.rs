//! Load: HTTP on a kept connection, and WebSockets that count what arrives.

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

/// A WebSocket.
pub(crate) struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
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
                buffer.drain(..end + 4);
                return Self { stream, buffer };
            }
        }
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

    /// Receives one text frame; pings are left unanswered, since no measurement lasts that long.
    pub(crate) async fn receive(&mut self) -> Value {
        loop {
            if let Some((header, length)) = self.frame_at(0) {
                let is_text = self.buffer[0] == 0x81;
                let frame: Vec<u8> = self.buffer.drain(..header + length).skip(header).collect();
                if is_text {
                    return serde_json::from_slice(&frame).unwrap();
                }
                continue;
            }
            assert!(self.stream.read_buf(&mut self.buffer).await.unwrap() > 0, "the server closed");
        }
    }

    /// Signs in on herald's socket and follows a subscription.
    pub(crate) async fn herald(port: u16, token: &str, query: &str, variables: Value) -> Self {
        let mut socket = Self::connect(port, "/graphql").await;
        let authorization = format!("Bearer {token}");
        socket
            .send(&json!({ "type": "connection_init", "payload": { "authorization": authorization } }))
            .await;
        assert_eq!(socket.receive().await["type"], "connection_ack");
        let payload = json!({ "query": query, "variables": variables });
        socket.send(&json!({ "id": "1", "type": "subscribe", "payload": payload })).await;
        socket
    }

    /// Counts text frames until the server closes.
    pub(crate) async fn count(mut self, received: Arc<Received>) {
        loop {
            let mut at = 0;
            while let Some((header, length)) = self.frame_at(at) {
                if self.buffer[at] == 0x81 {
                    received.frames.fetch_add(1, Ordering::Relaxed);
                    received.bytes.fetch_add(length as u64, Ordering::Relaxed);
                }
                at += header + length;
            }
            if at > 0 {
                self.buffer.drain(..at);
                received.more.notify_waiters();
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
    }

    /// Hands on the payload of each text frame until the server closes. Pings are left unanswered.
    pub(crate) async fn hand_on(mut self, mut take: impl FnMut(&[u8])) {
        loop {
            let mut at = 0;
            while let Some((header, length)) = self.frame_at(at) {
                if self.buffer[at] == 0x81 {
                    take(&self.buffer[at + header..at + header + length]);
                }
                at += header + length;
            }
            self.buffer.drain(..at);
            if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
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
