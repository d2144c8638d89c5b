//! A server that webhooks call, and which answers as the test wants.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use herald::clock::Clock;
use herald::messaging::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::app::Setup;
use super::http::Reply;

/// The secrets of the tests: 32 times the same byte.
pub(crate) const SECRETS: [[u8; 32]; 2] = [[7; 32], [8; 32]];

/// How long a test waits for a call, before it fails.
const PATIENCE: Duration = Duration::from_secs(25);

/// A secret in its text form.
pub(crate) fn secret(secret: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(secret))
}

/// HMAC-SHA256 (RFC 2104), written down once more so that a mistake in herald's is not repeated here.
fn hmac(key: &[u8; 32], text: &[u8]) -> Vec<u8> {
    let padded = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().to_vec()
}

/// A call that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    pub(crate) id: String,
    pub(crate) timestamp: String,
    pub(crate) signature: String,
    pub(crate) content_type: String,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Called {
    fn read(request: &[u8]) -> Self {
        // A request has the form of an answer but for its first line.
        let request = Reply::parse(request);
        let header =
            |name: &str| request.header(name).unwrap_or_else(|| panic!("{name} in {request:?}")).to_owned();
        Self {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
            content_type: header("content-type"),
            body: request.json(),
            text: request.body,
        }
    }

    /// The type of the call.
    pub(crate) fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap()
    }

    /// The text of the message that it is about.
    pub(crate) fn said(&self) -> &str {
        self.body["data"]["message"]["body"].as_str().unwrap()
    }

    /// The signature that the specification asks for.
    pub(crate) fn signature_by(&self, secret: &[u8; 32]) -> String {
        let signed = format!("{}.{}.{}", self.id, self.timestamp, self.text);
        format!("v1,{}", STANDARD.encode(hmac(secret, signed.as_bytes())))
    }
}

/// What the receiver does with a call.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// It answers with this status line and these headers.
    Status(&'static str),
    /// It never answers.
    Hang,
    /// It accepts when the test says so.
    When(Arc<Notify>),
    /// It answers with 10 MB.
    Long,
}

/// Accepts.
pub(crate) const OK: Answer = Answer::Status("204 No Content");

/// Fails.
pub(crate) const FAILS: Answer = Answer::Status("500 Internal Server Error");

type Behaviour = Box<dyn FnMut(&Called) -> Answer + Send>;

/// A server that webhooks call. It stops when dropped.
pub(crate) struct Receiver {
    pub(crate) url: String,
    calls: mpsc::UnboundedReceiver<Called>,
    behaviour: Arc<Mutex<Behaviour>>,
    serving: JoinHandle<()>,
}

impl Receiver {
    /// A server that accepts every call.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/hook?key=of-the-test", listener.local_addr().unwrap());
        let (told, calls) = mpsc::unbounded_channel();
        let behaviour: Arc<Mutex<Behaviour>> = Arc::new(Mutex::new(Box::new(|_| OK)));
        let behaves = Arc::clone(&behaviour);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, told.clone(), Arc::clone(&behaves)));
            }
        });
        Self { url, calls, behaviour, serving }
    }

    /// From now on it does with calls what `behaviour` says.
    pub(crate) fn behave(&self, behaviour: impl FnMut(&Called) -> Answer + Send + 'static) {
        *self.behaviour.lock().unwrap() = Box::new(behaviour);
    }

    /// A herald that calls it.
    pub(crate) fn adapt(&self, setup: &mut Setup) {
        setup.args.webhooks.webhook = vec![self.url.parse().unwrap()];
        setup.args.webhooks.webhook_secret = vec![secret(&SECRETS[0]).parse().unwrap()];
        setup.args.webhooks.webhook_allow_private = true;
    }

    /// The next call.
    pub(crate) async fn next(&mut self) -> Called {
        timeout(PATIENCE, self.calls.recv()).await.expect("a call in time").unwrap()
    }

    /// The next call about a message that was sent: its text.
    pub(crate) async fn next_said(&mut self) -> String {
        loop {
            let call = self.next().await;
            if call.kind() == "message.sent" {
                return call.said().to_owned();
            }
        }
    }

    /// A call that has arrived already.
    pub(crate) fn arrived(&mut self) -> Option<Called> {
        self.calls.try_recv().ok()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Serves one connection, on which one call after another may come.
async fn serve(mut stream: TcpStream, told: mpsc::UnboundedSender<Called>, behaviour: Arc<Mutex<Behaviour>>) {
    let mut read = Vec::new();
    loop {
        let Some(call) = next_call(&mut stream, &mut read).await else { return };
        let answer = (behaviour.lock().unwrap())(&call);
        // The test may be over.
        let _ = told.send(call);
        let answer = match answer {
            Answer::Status(status) => format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n"),
            Answer::Hang => return std::future::pending().await,
            Answer::When(told) => {
                told.notified().await;
                "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n".to_owned()
            }
            Answer::Long => {
                let bytes = 10 * 1024 * 1024;
                format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n{}", "x".repeat(bytes))
            }
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn next_call(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Called> {
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = Reply::parse(&read[..end + 4]);
            let whole = end + 4 + head.header("content-length")?.parse::<usize>().ok()?;
            if read.len() >= whole {
                let request: Vec<u8> = read.drain(..whole).collect();
                return Some(Called::read(&request));
            }
        }
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
}

/// A clock that begins at the present, stands still, and is moved on by a test.
#[derive(Clone)]
pub(crate) struct SteppedClock(Arc<AtomicI64>);

impl SteppedClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(Self::real())))
    }

    /// A herald that goes by it. On Postgres, events have the time of Postgres all the same.
    pub(crate) fn adapt(&self, setup: &mut Setup) {
        let micros = Arc::clone(&self.0);
        setup.parts.clock = Clock::new(move || Timestamp(micros.load(Ordering::Relaxed)));
    }

    /// Moves it on, to so much after what it shows and after the present.
    pub(crate) fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).unwrap();
        self.0.store(self.now().max(Self::real()) + by, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn real() -> i64 {
        Clock::default().now().0
    }
}
