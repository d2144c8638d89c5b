//! Pairs of people, of whom one sends and the other is told, and how long that takes. A message says itself
//! when it was sent: both ends are in this process and have one clock. What never lives here: where they are
//! connected to, and what is made of the times.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use herald::random;
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{interval_at, timeout};

use crate::load::{Http, Socket};
use crate::people::{Pair, SEND, SENT};

/// What comes before the time at which a message was sent, in its text.
const SENT_AT: &str = ", sent at ";

/// Digits of that time, in nanoseconds: enough for a hundred days.
const DIGITS: usize = 16;

/// How long the last messages of a load may take to arrive. What takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// The beginning of time.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

fn now() -> Duration {
    BEGINNING.elapsed()
}

/// How long each message took that has arrived.
#[derive(Default)]
pub(super) struct Arrivals {
    delays: Mutex<Vec<Duration>>,
    more: Notify,
}

impl Arrivals {
    fn note(&self, frame: &[u8]) {
        let now = now();
        let sent = sent_at(frame).unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(frame)));
        self.delays.lock().unwrap().push(now.saturating_sub(sent));
        self.more.notify_waiters();
    }

    /// Waits until so many have arrived: their delays, in order.
    pub(super) async fn take(&self, count: usize) -> Vec<Duration> {
        let all = async {
            loop {
                let more = self.more.notified();
                if self.delays.lock().unwrap().len() >= count {
                    return;
                }
                more.await;
            }
        };
        timeout(PATIENCE, all).await.expect("every message arrives");
        let mut delays = std::mem::take(&mut *self.delays.lock().unwrap());
        delays.sort_unstable();
        delays
    }
}

fn sent_at(frame: &[u8]) -> Option<Duration> {
    let before = frame.windows(SENT_AT.len()).position(|bytes| bytes == SENT_AT.as_bytes())?;
    let digits = frame.get(before + SENT_AT.len()..)?.get(..DIGITS)?;
    let nanos = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

/// Has the recipients follow what they are sent, each at the node after that of their sender, for as long as
/// the set is kept.
pub(super) async fn follow(pairs: &[Pair], nodes: &[u16], arrivals: &Arc<Arrivals>) -> JoinSet<()> {
    // From here on: however late a subscription begins, it has everything.
    let cursor = Http::connect(nodes[0], "/graphql", None).await.graphql("{ cursor }", json!({})).await;
    let variables = json!({ "after": cursor["cursor"] });
    let mut following = JoinSet::new();
    for (n, pair) in pairs.iter().enumerate() {
        let node = nodes[(n + 1) % nodes.len()];
        let socket = Socket::herald(node, &pair.recipient.token, SENT, variables.clone()).await;
        let arrivals = Arc::clone(arrivals);
        following.spawn(socket.hand_on(move |frame| arrivals.note(frame)));
    }
    following
}

/// Somebody about to send, with a connection of their own.
pub(super) struct Sender {
    http: Http,
    conversation: String,
}

impl Sender {
    async fn send(&mut self) {
        let now = now().as_nanos();
        let body = format!("A message of the length that people write{SENT_AT}{now:0DIGITS$}");
        let key = format!("key-{}", random::id().simple());
        let input = json!({ "conversationId": self.conversation, "body": body, "idempotencyKey": key });
        let request = json!({ "query": SEND, "variables": { "input": input } }).to_string();
        let answer = self.http.post(&request).await;
        assert!(answer.starts_with(b"{\"data\":{"), "{}", String::from_utf8_lossy(answer));
    }
}

/// Connects so many senders; where there are more than pairs, some of them are the same person.
pub(super) async fn connect(pairs: &[Pair], nodes: &[u16], senders: usize) -> Vec<Sender> {
    let mut connected = Vec::new();
    for (n, pair) in pairs.iter().enumerate().cycle().take(senders) {
        let http = Http::connect(nodes[n % nodes.len()], "/graphql", Some(&pair.sender.token)).await;
        connected.push(Sender { http, conversation: pair.conversation.clone() });
    }
    connected
}

/// Has them send in turn and evenly, `rate` messages a second together. Returns how many messages that was.
pub(super) async fn send_steadily(senders: Vec<Sender>, rate: u32, time: Duration) -> usize {
    let count = senders.len() as u32;
    let period = Duration::from_secs(1) * count / rate;
    let each = (time.as_nanos() / period.as_nanos()) as usize;
    let begin = tokio::time::Instant::now();
    let sending = senders.into_iter().zip(0_u32..).map(|(mut sender, n)| async move {
        let mut due = interval_at(begin + period * n / count, period);
        for _ in 0..each {
            due.tick().await;
            sender.send().await;
        }
        each
    });
    sum(sending).await
}

/// Has each of them send as soon as the message before is answered. Returns how many messages that was.
pub(super) async fn send_at_full_speed(senders: Vec<Sender>, time: Duration) -> usize {
    let until = Instant::now() + time;
    let sending = senders.into_iter().map(|mut sender| async move {
        let mut sent = 0_usize;
        while Instant::now() < until {
            sender.send().await;
            sent += 1;
        }
        sent
    });
    sum(sending).await
}

/// Runs all of them at the same time: the sum of what they return.
async fn sum(sending: impl Iterator<Item = impl Future<Output = usize> + Send + 'static>) -> usize {
    let sending: JoinSet<usize> = sending.collect();
    sending.join_all().await.into_iter().sum()
}
