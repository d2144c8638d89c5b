//! The feed of several nodes through NATS. Each batch is one message with its events, so a node that receives every
//! message does not read events from the log. Core NATS may lose messages. That is enough, because the log loses none.

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

use self::link::{Link, LinkEvent};
use super::{Feed, InProcess, LogNotification, wire};
use crate::messaging::Epoch;
use crate::metrics::METRICS;

/// Notifications that may wait for NATS. Each stands for a batch, so the queue covers seconds. When it is full the
/// notification is dropped, and the other nodes read the log.
const QUEUE_NOTIFICATIONS: usize = 1_024;

/// The size in bytes up to which a message carries its events. A server accepts 1 MiB by default
/// (<https://docs.nats.io/running-a-nats-service/configuration#limits>). For a larger batch, reading the log is as
/// fast.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// How often herald checks the connection. After two pings without an answer it connects again.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Events of the connection that may wait to be handled.
const QUEUE_LINK_EVENTS: usize = 16;

/// Where NATS is, and how herald signs in.
#[derive(Clone)]
pub struct NatsOptions {
    /// URLs with `nats://` or `tls://`, host and port, separated by commas. A URL may have user and password, or a
    /// token.
    pub servers: String,
    /// A file with credentials (JWT and seed), as `nsc` writes it.
    pub credentials: Option<PathBuf>,
    /// A file with a seed alone (`SU…`).
    pub nkey: Option<PathBuf>,
    /// A file with the certificate authorities of the servers (PEM). `None` takes those of the system.
    pub authorities: Option<PathBuf>,
    /// The files with herald's own certificate and its key (PEM).
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The epoch of the log at the start.
    pub epoch: Epoch,
}

impl std::fmt::Debug for NatsOptions {
    /// Leaves the servers out, because a URL may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsOptions").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// Carries notifications to every node that is connected to the same servers and has the same log.
#[derive(Debug)]
pub struct Nats {
    /// Carries notifications to the hub of this node.
    local: InProcess,
    /// Queues notifications for the other nodes.
    remote: mpsc::Sender<LogNotification>,
    /// The epoch whose notifications are received.
    epoch: watch::Sender<Epoch>,
}

impl Nats {
    /// Carries notifications for as long as the feed lives. It also starts when no server answers, and connects later.
    /// Until then the other nodes learn of events when they poll the log.
    ///
    /// # Errors
    /// What is wrong with the options, for the operator.
    pub async fn start(options: &NatsOptions) -> Result<Arc<Self>, String> {
        let (client, link_events) = connect(options).await?;
        let messages =
            client.subscribe(subject_of(options.epoch)).await.map_err(|error| format!("--feed: {error}"))?;
        let (remote, queue) = mpsc::channel(QUEUE_NOTIFICATIONS);
        let (epoch, epochs) = watch::channel(options.epoch);
        let feed = Arc::new(Self { local: InProcess::default(), remote, epoch });
        tokio::spawn(receive(client.clone(), messages, epochs, link_events, Arc::downgrade(&feed)));
        tokio::spawn(send(client, queue));
        Ok(feed)
    }
}

impl Feed for Nats {
    fn publish(&self, notification: LogNotification) {
        if self.remote.try_send(notification.clone()).is_err() {
            tracing::debug!("NATS is behind; the other nodes poll the log");
        }
        self.local.publish(notification);
    }

    fn listen(&self) -> mpsc::Receiver<LogNotification> {
        self.local.listen()
    }

    fn enter(&self, epoch: Epoch) {
        self.epoch.send_replace(epoch);
    }
}

/// The subject of the nodes of one herald. Another herald on the same servers has another epoch, and so another
/// subject.
fn subject_of(epoch: Epoch) -> String {
    format!("herald.{:016x}", epoch.0)
}

/// A client that tries to connect until it succeeds, and the events of its connection.
async fn connect(options: &NatsOptions) -> Result<(Client, mpsc::Receiver<LinkEvent>), String> {
    let servers = options
        .servers
        .split(',')
        .map(|server| server.trim().parse::<ServerAddr>())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| {
            format!(
                "--feed: {error} (expected nats://HOST:PORT, or several of these with commas between them)"
            )
        })?;
    let (sender, link_events) = mpsc::channel(QUEUE_LINK_EVENTS);
    let is_first = AtomicBool::new(true);
    let options = access::connect_options(options, &servers)?
        .name("herald")
        // A node knows its own notifications.
        .no_echo()
        .retry_on_initial_connect()
        .ping_interval(PING_INTERVAL)
        .client_capacity(QUEUE_NOTIFICATIONS)
        .subscription_capacity(QUEUE_NOTIFICATIONS)
        // A server may accept connections and close them at once, so every try but the first one waits.
        .reconnect_delay_callback(move |tries| {
            if is_first.swap(false, Ordering::Relaxed) { Duration::ZERO } else { link::pause(tries) }
        })
        // `None` leaves the choice of the server to the client. herald only notes here why the last tries failed.
        .reconnect_to_server_callback(|servers, _| {
            link::note(&servers);
            ready(None)
        })
        .event_callback(move |event| {
            let sender = sender.clone();
            async move {
                if let Some(event) = link::read(&event) {
                    // This fails only when the feed is gone.
                    let _ = sender.send(event).await;
                }
            }
        });
    let client = options.connect(servers).await.map_err(|error| format!("--feed: {error}"))?;
    Ok((client, link_events))
}

/// Sends notifications to the other nodes, until the feed is gone.
async fn send(client: Client, mut queue: mpsc::Receiver<LogNotification>) {
    while let Some(notification) = queue.recv().await {
        let subject = subject_of(notification.head.epoch);
        let with_events = wire::encode(&notification, true);
        let bytes = if with_events.len() <= MAX_MESSAGE_BYTES {
            with_events
        } else {
            wire::encode(&notification, false)
        };
        let Err(mut error) = client.publish(subject.clone(), bytes.into()).await else { continue };
        // This server has a lower limit. The head alone fits into any message.
        if error.kind() == PublishErrorKind::MaxPayloadExceeded {
            match client.publish(subject.clone(), wire::encode(&notification, false).into()).await {
                Ok(()) => continue,
                Err(second_error) => error = second_error,
            }
        }
        tracing::warn!(%error, "the other nodes were not notified; they poll the log");
    }
    // This ends the subscription too.
    let _ = client.drain().await;
}

/// Passes on what other nodes send, until the feed is gone. When the server refuses the subscription, it subscribes
/// again.
async fn receive(
    client: Client,
    mut messages: Subscriber,
    mut epochs: watch::Receiver<Epoch>,
    mut link_events: mpsc::Receiver<LinkEvent>,
    feed: Weak<Nats>,
) {
    let mut link = Link::new();
    loop {
        let mut has_moved = false;
        let must_probe = tokio::select! {
            message = messages.next() => {
                let Some(feed) = feed.upgrade() else { return };
                let Some(message) = message else { break };
                pass_on(&feed, &message.payload);
                continue;
            }
            changed = epochs.changed() => {
                if changed.is_err() {
                    return;
                }
                has_moved = true;
                true
            }
            Some(event) = link_events.recv() => link.handle(event),
            () = sleep_until(link.next_check()) => link.check(is_connected(&client)),
        };
        METRICS.feed_connected.set(i64::from(is_connected(&client) && !link.is_refused()));
        if must_probe {
            let subject = subject_of(*epochs.borrow_and_update());
            if has_moved || link.is_refused() {
                // A server drops a subscription that it refuses.
                let Ok(subscriber) = client.subscribe(subject.clone()).await else { break };
                messages = subscriber;
            }
            // Other nodes ignore an empty message. The server refuses it when this user may not publish.
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
        Some(notification) => {
            METRICS.count_notification(!notification.events.is_empty());
            feed.local.publish(notification);
        }
        None if payload.is_empty() => {}
        None => tracing::debug!("this version of herald cannot read a notification of another node"),
    }
}
