//! A response that stays open, and that the test reads part by part.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Reply, User};

/// How long a test waits for what must come, before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It says itself that it is whole.
    Complete,
    /// The connection was closed in the middle of it.
    BrokenOff,
}

/// A server-sent event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: String,
}

/// A response whose body arrives in chunks, for as long as there is something to say.
pub(crate) struct Open {
    stream: BufReader<TcpStream>,
    pub(crate) head: Reply,
    /// What has arrived of the body and was not looked at.
    body: String,
    end: Option<End>,
}

impl Open {
    /// Sends a request as `user`, and reads the head of the answer.
    pub(crate) async fn request(
        user: &User,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Self {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", user.address);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !user.token.is_empty() {
            request.push_str(&format!("authorization: Bearer {}\r\n", user.token));
        }
        if let Some(connection) = &user.connection {
            request.push_str(&format!("x-connection-id: {connection}\r\n"));
        }
        if let Some(acts_as) = &user.acts_as {
            request.push_str(&format!("x-act-as: {acts_as}\r\n"));
        }
        request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        let mut stream = BufReader::new(TcpStream::connect(user.address).await.unwrap());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = timeout(PATIENCE, stream.read_line(&mut head)).await.expect("a head in time").unwrap();
            assert!(read > 0, "no whole head: {head:?}");
        }
        Self { stream, head: Reply::parse(head.as_bytes()), body: String::new(), end: None }
    }

    /// What arrives up to and including `delimiter`; `None` when the response ends before.
    pub(crate) async fn through(&mut self, delimiter: &str) -> Option<String> {
        loop {
            if let Some(at) = self.body.find(delimiter) {
                let rest = self.body.split_off(at + delimiter.len());
                return Some(std::mem::replace(&mut self.body, rest));
            }
            if self.end.is_some() {
                return None;
            }
            self.read_chunk().await;
        }
    }

    /// The next server-sent event; what only opens the stream or keeps it alive is passed over.
    pub(crate) async fn event(&mut self) -> Event {
        loop {
            let block = self.block().await.expect("an event");
            let mut event = Event::default();
            let mut is_event = false;
            for line in block.lines() {
                match line.split_once(": ").unwrap_or((line.trim_end_matches(':'), "")) {
                    ("event", name) => (event.name, is_event) = (name.to_owned(), true),
                    ("id", id) => event.id = id.to_owned(),
                    ("data", data) => event.data = data.to_owned(),
                    _ => {}
                }
            }
            if is_event {
                return event;
            }
        }
    }

    /// The next lines up to an empty one; `None` when there are no more.
    pub(crate) async fn block(&mut self) -> Option<String> {
        self.through("\n\n").await
    }

    /// The data of the next event, which must be an answer without errors, and its id.
    pub(crate) async fn next(&mut self) -> (Value, String) {
        let event = self.event().await;
        assert_eq!(event.name, "next", "{event:?}");
        let mut payload: Value = serde_json::from_str(&event.data).unwrap();
        assert!(payload.get("errors").is_none(), "{payload}");
        (payload["data"].take(), event.id)
    }

    /// The code of the next event, which must be an answer with nothing but errors.
    pub(crate) async fn refused(&mut self) -> String {
        let event = self.event().await;
        assert_eq!(event.name, "next", "{event:?}");
        let payload: Value = serde_json::from_str(&event.data).unwrap();
        assert_eq!(payload.get("data"), None, "{payload}");
        super::code(&payload).to_owned()
    }

    /// How the response ends, and what is left of it before.
    pub(crate) async fn ended(mut self) -> (String, End) {
        loop {
            if let Some(end) = self.end {
                return (self.body, end);
            }
            self.read_chunk().await;
        }
    }

    /// Reads one chunk of the chunked encoding (RFC 9112, section 7.1), or a body whose length is announced.
    async fn read_chunk(&mut self) {
        if let Some(length) = self.head.header("content-length") {
            let mut bytes = vec![0; length.parse().unwrap()];
            timeout(PATIENCE, self.stream.read_exact(&mut bytes)).await.expect("a body in time").unwrap();
            self.body = String::from_utf8(bytes).unwrap();
            self.end = Some(End::Complete);
            return;
        }
        let mut size = String::new();
        let read = timeout(PATIENCE, self.stream.read_line(&mut size)).await.expect("a chunk in time");
        let Ok(Ok(length)) = read.map(|_| usize::from_str_radix(size.trim_end(), 16)) else {
            self.end = Some(End::BrokenOff);
            return;
        };
        let mut bytes = vec![0; length + 2];
        if self.stream.read_exact(&mut bytes).await.is_err() {
            self.end = Some(End::BrokenOff);
        } else if length == 0 {
            self.end = Some(End::Complete);
        } else {
            self.body.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        }
    }
}
