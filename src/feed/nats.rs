//! The feed of several nodes through NATS. Each batch is one message with its events, so a node that receives them all
//! does not read events from the log. Core NATS may lose messages, which is enough: the log loses none.

mod access;
mod link;

use std::future::ready;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, PublishErrorKind, ServerAddr, Subscriber};
use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use self::link::{Link, Sign};
use super::{Feed, InProcess, LogNotification, wire};
use crate::messaging::Epoch;
use crate::metrics::METRICS;

/// Notifications that wait for NATS. Each is a batch, so this covers seconds; what finds no room is not missed, since
/// the others look into the log.
const QUEUE_NOTIFICATIONS: usize = 1_024;

/// The largest message that brings events along, in bytes. A server takes 1 MiB unless told otherwise
/// (<https://docs.nats.io/running-a-nats-service/configuration#limits>); beyond this, reading the log is no slower.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// How often the connection is tried. After two pings without an answer it is made anew.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Signs of what becomes of the connection that wait to be looked at.
const SIGN_QUEUE: usize = 16;

/// Where NATS is, and how to get in.
#[derive(Clone)]
pub struct NatsOptions {
    /// `nats://` or `tls://` with host and port, several separated by commas; user and password, or a token, in the
    /// URL.
    pub servers: String,
    /// A file with credentials (JWT and seed), as `nsc` writes it.
    pub credentials: Option<PathBuf>,
    /// A file with a seed alone (`SU…`).
    pub nkey: Option<PathBuf>,
    /// A file with the certificate authorities of the servers (PEM); those of the system, if left out.
    pub authorities: Option<PathBuf>,
    /// The files with herald's own certificate and its key (PEM).
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The epoch of the log.
    pub epoch: Epoch,
}

impl std::fmt::Debug for NatsOptions {
    /// Without the servers: they may come with a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsOptions").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// Carries news to every node that is connected to the same servers and has the same log.
#[derive(Debug)]
pub struct Nats {
    /// Carries notifications to the hub of this node.
    here: InProcess,
    /// To the other nodes.
    elsewhere: mpsc::Sender<LogNotification>,
    /// Whose news are heard.
    epoch: watch::Sender<Epoch>,
}

impl Nats {
    /// Begins to carry news for as long as the feed lives. Whether a server is there now or comes later makes no
    /// difference: without one, news take as long as the next look into the log.
    ///
    /// # Errors
    /// What is wrong with the options, in words for the operator.
    pub async fn start(options: &NatsOptions) -> Result<Arc<Self>, String> {
        let (client, signs) = connect(options).await?;
        let news =
            client.subscribe(subject_of(options.epoch)).await.map_err(|error| format!("--feed: {error}"))?;
        let (elsewhere, queue) = mpsc::channel(QUEUE_NOTIFICATIONS);
        let (epoch, epochs) = watch::channel(options.epoch);
        let feed = Arc::new(Self { here: InProcess::default(), elsewhere, epoch });
        tokio::spawn(hear(client.clone(), news, epochs, signs, Arc::downgrade(&feed)));
        tokio::spawn(tell(client, queue));
        Ok(feed)
    }
}

impl Feed for Nats {
    fn publish(&self, news: LogNotification) {
        if self.elsewhere.try_send(news.clone()).is_err() {
            tracing::debug!("NATS is behind: the other nodes will look for themselves");
        }
        self.here.publish(news);
    }

    fn listen(&self) -> mpsc::Receiver<LogNotification> {
        self.here.listen()
    }

    fn enter(&self, epoch: Epoch) {
        self.epoch.send_replace(epoch);
    }
}

/// What nodes of the same herald have in common, and no other herald on these servers has.
fn subject_of(epoch: Epoch) -> String {
    format!("herald.{:016x}", epoch.0)
}

/// The client, which tries until there is a connection, and what becomes of that.
async fn connect(options: &NatsOptions) -> Result<(Client, mpsc::Receiver<Sign>), String> {
    let servers = options
        .servers
        .split(',')
        .map(|server| server.trim().parse::<ServerAddr>())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("--feed: {error} (expected nats://HOST:PORT, or several with commas)"))?;
    let (signs, seen) = mpsc::channel(SIGN_QUEUE);
    let is_first = AtomicBool::new(true);
    let options = access::connect_options(options, &servers)?
        .name("herald")
        // What this node tells, it knows.
        .no_echo()
        .retry_on_initial_connect()
        .ping_interval(PING_INTERVAL)
        .client_capacity(QUEUE_NOTIFICATIONS)
        .subscription_capacity(QUEUE_NOTIFICATIONS)
        // A server that lets in and throws out again is no reason to hurry.
        .reconnect_delay_callback(move |tries| {
            if is_first.swap(false, Ordering::Relaxed) { Duration::ZERO } else { link::pause(tries) }
        })
        // Leaves the choice to the client: this is where it says why the last tries failed.
        .reconnect_to_server_callback(|servers, _| {
            link::note(&servers);
            ready(None)
        })
        .event_callback(move |event| {
            let signs = signs.clone();
            async move {
                if let Some(sign) = link::read(&event) {
                    // Nobody looks any more when the feed is gone.
                    let _ = signs.send(sign).await;
                }
            }
        });
    let client = options.connect(servers).await.map_err(|error| format!("--feed: {error}"))?;
    Ok((client, seen))
}

/// Tells the other nodes, until the feed is gone.
async fn tell(client: Client, mut queue: mpsc::Receiver<LogNotification>) {
    while let Some(news) = queue.recv().await {
        let subject = subject_of(news.head.epoch);
        let whole = wire::encode(&news, true);
        let bytes = if whole.len() <= MAX_MESSAGE_BYTES { whole } else { wire::encode(&news, false) };
        let Err(mut error) = client.publish(subject.clone(), bytes.into()).await else { continue };
        // This server takes less: how far the log has grown fits into any message.
        if error.kind() == PublishErrorKind::MaxPayloadExceeded {
            match client.publish(subject.clone(), wire::encode(&news, false).into()).await {
                Ok(()) => continue,
                Err(another) => error = another,
            }
        }
        tracing::warn!(%error, "the other nodes were not told; they will look for themselves");
    }
    // Ends the subscription too.
    let _ = client.drain().await;
}

/// Passes on what the other nodes tell, and sees to it that the server lets them be heard, until the feed is gone.
async fn hear(
    client: Client,
    mut news: Subscriber,
    mut epochs: watch::Receiver<Epoch>,
    mut signs: mpsc::Receiver<Sign>,
    feed: Weak<Nats>,
) {
    let mut link = Link::new();
    loop {
        let mut is_elsewhere = false;
        let is_to_ask = tokio::select! {
            message = news.next() => {
                let Some(feed) = feed.upgrade() else { return };
                let Some(message) = message else { break };
                pass_on(&feed, &message.payload);
                continue;
            }
            changed = epochs.changed() => {
                if changed.is_err() {
                    return;
                }
                is_elsewhere = true;
                true
            }
            Some(sign) = signs.recv() => link.heed(sign),
            () = sleep_until(link.next()) => link.wake(is_connected(&client)),
        };
        METRICS.feed_connected.set(i64::from(is_connected(&client) && !link.is_refused()));
        if is_to_ask {
            let subject = subject_of(*epochs.borrow_and_update());
            if is_elsewhere || link.is_refused() {
                // A server that once refused a subscription has forgotten it.
                let Ok(again) = client.subscribe(subject.clone()).await else { break };
                news = again;
            }
            // Says nothing to the others: only the server may object.
            let _ = client.publish(subject, Vec::new().into()).await;
        }
    }
    METRICS.feed_connected.set(0);
    link::note_end();
}

fn is_connected(client: &Client) -> bool {
    client.connection_state() == State::Connected
}

fn pass_on(feed: &Nats, payload: &[u8]) {
    match wire::decode(payload) {
        Some(news) => {
            METRICS.count_news(!news.events.is_empty());
            feed.here.publish(news);
        }
        None if payload.is_empty() => {}
        None => tracing::debug!("news that this version of herald does not understand"),
    }
}
