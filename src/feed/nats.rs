//! The feed of several nodes through NATS: each batch in one message, so that a node that hears them all reads nothing
//! from the log to know who is to be told. Core NATS, which may lose messages, is enough: the log loses none.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, PublishErrorKind, ServerAddr, Subscriber};
use futures_util::StreamExt;
use percent_encoding::percent_decode_str;
use tokio::sync::{mpsc, watch};

use super::{Feed, InProcess, News, wire};
use crate::messaging::Epoch;
use crate::metrics::METRICS;

/// News that wait for NATS. Each is a batch, so this covers seconds; what finds no room is not missed, since the others
/// look into the log.
const ROOM: usize = 1_024;

/// The largest message that brings events along, in bytes. A server takes 1 MiB unless told otherwise
/// (<https://docs.nats.io/running-a-nats-service/configuration#limits>); beyond this, reading the log is no slower.
const LARGEST: usize = 256 * 1024;

/// How often the connection is tried. After two pings without an answer it is made anew.
const PING: Duration = Duration::from_secs(5);

/// Where NATS is.
#[derive(Clone)]
pub struct NatsOptions {
    /// `nats://` or `tls://` with host and port, several separated by commas; user and password, or a token, in the URL.
    pub servers: String,
    /// A file with credentials (JWT and seed), as `nsc` writes it.
    pub credentials: Option<std::path::PathBuf>,
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
    /// To the hub of this node.
    here: InProcess,
    /// To the other nodes.
    elsewhere: mpsc::Sender<News>,
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
        let client = connect(&options.servers, options.credentials.as_deref()).await?;
        let news =
            client.subscribe(subject(options.epoch)).await.map_err(|error| format!("--feed: {error}"))?;
        let (elsewhere, queue) = mpsc::channel(ROOM);
        let (epoch, epochs) = watch::channel(options.epoch);
        let feed = Arc::new(Self { here: InProcess::default(), elsewhere, epoch });
        tokio::spawn(hear(client.clone(), news, epochs, Arc::downgrade(&feed)));
        tokio::spawn(tell(client, queue));
        Ok(feed)
    }
}

impl Feed for Nats {
    fn announce(&self, news: News) {
        if self.elsewhere.try_send(news.clone()).is_err() {
            tracing::debug!("NATS is behind: the other nodes will look for themselves");
        }
        self.here.announce(news);
    }

    fn listen(&self) -> mpsc::Receiver<News> {
        self.here.listen()
    }

    fn enter(&self, epoch: Epoch) {
        self.epoch.send_replace(epoch);
    }
}

/// What nodes of the same herald have in common, and no other herald on these servers has.
fn subject(epoch: Epoch) -> String {
    format!("herald.{:016x}", epoch.0)
}

async fn connect(servers: &str, credentials: Option<&Path>) -> Result<Client, String> {
    let servers = servers
        .split(',')
        .map(|server| server.trim().parse::<ServerAddr>())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("--feed: {error} (expected nats://HOST:PORT, or several with commas)"))?;
    let mut options = ConnectOptions::new()
        .name("herald")
        // What this node tells, it knows.
        .no_echo()
        .retry_on_initial_connect()
        .ping_interval(PING)
        .client_capacity(ROOM)
        .subscription_capacity(ROOM)
        .event_callback(|event| async move {
            match event {
                Event::Connected => METRICS.feed_connected.set(1),
                Event::Disconnected => METRICS.feed_connected.set(0),
                _ => 0,
            };
            tracing::info!(%event, "NATS");
        });
    // The client takes nothing from the URL but the address.
    let named = servers.iter().find_map(|server| Some((server.username()?, server.password())));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    options = match named {
        Some((user, Some(password))) => options.user_and_password(decoded(user), decoded(password)),
        Some((token, None)) => options.token(decoded(token)),
        None => options,
    };
    if let Some(file) = credentials {
        options = options
            .credentials_file(file)
            .await
            .map_err(|error| format!("--feed-credentials {}: {error}", file.display()))?;
    }
    options.connect(servers).await.map_err(|error| format!("--feed: {error}"))
}

/// Tells the other nodes, until the feed is gone.
async fn tell(client: Client, mut queue: mpsc::Receiver<News>) {
    while let Some(news) = queue.recv().await {
        let subject = subject(news.head.epoch);
        let whole = wire::encode(&news, true);
        let bytes = if whole.len() <= LARGEST { whole } else { wire::encode(&news, false) };
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

/// Passes on what the other nodes tell, until the feed is gone.
async fn hear(client: Client, mut news: Subscriber, mut epochs: watch::Receiver<Epoch>, feed: Weak<Nats>) {
    loop {
        let message = tokio::select! {
            message = news.next() => message,
            changed = epochs.changed() => {
                let epoch = *epochs.borrow_and_update();
                match (changed, client.subscribe(subject(epoch)).await) {
                    (Ok(()), Ok(again)) => news = again,
                    _ => return,
                }
                continue;
            }
        };
        let (Some(message), Some(feed)) = (message, feed.upgrade()) else { return };
        match wire::decode(&message.payload) {
            Some(news) => feed.here.announce(news),
            None => tracing::debug!("news that this version of herald does not understand"),
        }
    }
}
