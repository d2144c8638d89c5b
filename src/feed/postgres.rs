//! The feed of several nodes on one Postgres: LISTEN and NOTIFY carry how far the log has grown, and nothing else. What
//! this node wrote itself it has at hand; what others wrote it reads from the log.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnection, PgListener};
use sea_orm::sqlx::{self, Connection};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::{Feed, InProcess, News};
use crate::messaging::{Chain, Epoch, Place, Position};
use crate::metrics::METRICS;
use crate::random;

/// What the nodes call it among themselves. Postgres keeps the channels of its databases apart.
const CHANNEL: &str = "herald_log";

/// The pause before Postgres is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// How long Postgres has to answer. A network that has gone silent breaks no connection for a quarter of an hour.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long nothing is heard before Postgres is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(5);

/// Carries news to every node that is connected to the same database.
#[derive(Debug)]
pub struct Postgres {
    /// To the hub of this node.
    here: InProcess,
    /// To the other nodes: only the newest head is of interest.
    elsewhere: watch::Sender<Option<Place>>,
}

impl Postgres {
    /// Listens, and begins to carry news for as long as the feed lives.
    ///
    /// # Errors
    /// Why Postgres cannot be listened to, in words for the operator. Later it is tried again.
    pub async fn start(url: &str) -> Result<Arc<Self>, String> {
        let listener = listen(url).await.map_err(|error| format!("cannot listen to Postgres: {error}"))?;
        let node = random::id();
        let (elsewhere, heads) = watch::channel(None);
        let feed = Arc::new(Self { here: InProcess::default(), elsewhere });
        tokio::spawn(tell(url.to_owned(), node, heads.clone()));
        tokio::spawn(hear(listener, url.to_owned(), node, Arc::downgrade(&feed), heads));
        Ok(feed)
    }
}

impl Feed for Postgres {
    fn announce(&self, news: News) {
        self.elsewhere.send_replace(Some(news.head));
        self.here.announce(news);
    }

    fn listen(&self) -> mpsc::Receiver<News> {
        self.here.listen()
    }
}

/// Tells the other nodes of every head, or of a later one.
async fn tell(url: String, node: Uuid, mut heads: watch::Receiver<Option<Place>>) {
    let mut connection = None;
    while heads.changed().await.is_ok() {
        let Some(head) = *heads.borrow_and_update() else { continue };
        if let Err(error) = within_patience(notify(&url, &mut connection, write(node, head))).await {
            tracing::warn!(%error, "the other nodes were not told; they will look for themselves");
            connection = None;
        }
    }
}

async fn notify(
    url: &str,
    connection: &mut Option<PgConnection>,
    payload: String,
) -> Result<(), sqlx::Error> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(PgConnection::connect(url).await?),
    };
    sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(payload).execute(connection).await?;
    Ok(())
}

async fn within_patience<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(PATIENCE, answer).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

async fn listen(url: &str) -> Result<PgListener, sqlx::Error> {
    within_patience(async {
        let mut listener = PgListener::connect(url).await?;
        listener.listen(CHANNEL).await?;
        METRICS.feed_connected.set(1);
        Ok(listener)
    })
    .await
}

/// Hears of the heads that other nodes have written, until the feed is gone.
async fn hear(
    mut listener: PgListener,
    url: String,
    node: Uuid,
    feed: Weak<Postgres>,
    mut heads: watch::Receiver<Option<Place>>,
) {
    let hearing = async {
        loop {
            let error = pass_on(listener, node, &feed).await;
            METRICS.feed_connected.set(0);
            tracing::warn!(%error, "the other nodes are not heard; this one looks for itself until they are");
            listener = loop {
                sleep(PAUSE).await;
                if let Ok(listener) = listen(&url).await {
                    break listener;
                }
            };
        }
    };
    let gone = async { while heads.changed().await.is_ok() {} };
    tokio::select! {
        () = hearing => {}
        () = gone => {}
    }
}

/// Passes on what is heard for as long as the connection lasts: why it ended.
async fn pass_on(mut listener: PgListener, node: Uuid, feed: &Weak<Postgres>) -> sqlx::Error {
    loop {
        let notification = match timeout(SILENCE, listener.recv()).await {
            Ok(Ok(notification)) => notification,
            Ok(Err(error)) => return error,
            Err(_) => match within_patience(sqlx::query("SELECT 1").execute(&mut listener)).await {
                Ok(_) => continue,
                Err(error) => return error,
            },
        };
        if let (Some(feed), Some((from, head))) = (feed.upgrade(), read(notification.payload()))
            && from != node
        {
            feed.here.announce(News { head, events: Vec::new() });
        }
    }
}

fn write(node: Uuid, Place { epoch, position, chain }: Place) -> String {
    format!("{node} {} {} {}", epoch.0, position.0, chain.0)
}

/// The node that tells, and what; `None` when it is of another version.
fn read(payload: &str) -> Option<(Uuid, Place)> {
    let mut words = payload.split(' ');
    let node = words.next()?.parse().ok()?;
    let mut number = || words.next()?.parse().ok();
    let head = Place { epoch: Epoch(number()?), position: Position(number()?), chain: Chain(number()?) };
    words.next().is_none().then_some((node, head))
}
