//! The feed of several nodes on one Postgres: LISTEN and NOTIFY carry how far the log has grown, and nothing else. What
//! this node wrote itself it has at hand; what others wrote it reads from the log.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPoolOptions};
use sqlx::{ConnectOptions, Row};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::{Feed, InProcess, LogNotification};
use crate::messaging::{Chain, Epoch, Place, Position};
use crate::metrics::METRICS;
use crate::{postgres, random};

/// What the nodes call it among themselves. Postgres keeps the channels of its databases apart, and in one database the
/// number of the log's own table keeps apart the logs that are in several schemas.
const CHANNEL_SQL: &str = "SELECT 'herald_log_' || 'log_head'::regclass::oid::text";

/// The pause before Postgres is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long Postgres has to answer. A network that has gone silent breaks no connection for a quarter of an hour.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long nothing is heard before Postgres is asked whether it is still there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

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
        let options = postgres::parse(url)?;
        let listening = listen(&options).await;
        let (listener, channel) = listening
            .map_err(|error| format!("cannot listen to Postgres: {}", postgres::describe(&error)))?;
        let node = random::id();
        let (elsewhere, heads) = watch::channel(None);
        let feed = Arc::new(Self { here: InProcess::default(), elsewhere });
        tokio::spawn(tell(options.clone(), channel, node, heads.clone()));
        tokio::spawn(hear(listener, options, node, Arc::downgrade(&feed), heads));
        Ok(feed)
    }
}

impl Feed for Postgres {
    fn publish(&self, news: LogNotification) {
        self.elsewhere.send_replace(Some(news.head));
        self.here.publish(news);
    }

    fn listen(&self) -> mpsc::Receiver<LogNotification> {
        self.here.listen()
    }
}

/// Tells the other nodes of every head, or of a later one.
async fn tell(
    options: PgConnectOptions,
    channel: String,
    node: Uuid,
    mut heads: watch::Receiver<Option<Place>>,
) {
    let mut connection = None;
    while heads.changed().await.is_ok() {
        let Some(head) = *heads.borrow_and_update() else { continue };
        let telling = notify(&options, &mut connection, &channel, write(node, head));
        if let Err(error) = within_patience(telling).await {
            let error = postgres::describe(&error);
            tracing::warn!(error, "the other nodes were not told; they will look for themselves");
            connection = None;
        }
    }
}

async fn notify(
    options: &PgConnectOptions,
    connection: &mut Option<PgConnection>,
    channel: &str,
    payload: String,
) -> Result<(), sqlx::Error> {
    let connection = match connection {
        Some(connection) => connection,
        None => {
            let mut made = options.connect().await?;
            postgres::settle(&mut made, CONNECT_TIMEOUT).await?;
            connection.insert(made)
        }
    };
    sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(payload).execute(connection).await?;
    Ok(())
}

async fn within_patience<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(CONNECT_TIMEOUT, answer).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Listens on the channel of the log, which is named beside.
async fn listen(options: &PgConnectOptions) -> Result<(PgListener, String), sqlx::Error> {
    within_patience(async {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(|connection: &mut PgConnection, _| {
                Box::pin(postgres::settle(connection, CONNECT_TIMEOUT))
            })
            .connect_with(options.clone())
            .await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        let channel: String = sqlx::raw_sql(CHANNEL_SQL).fetch_one(&mut listener).await?.try_get(0)?;
        listener.listen(&channel).await?;
        METRICS.feed_connected.set(1);
        Ok((listener, channel))
    })
    .await
}

/// Hears of the heads that other nodes have written, until the feed is gone.
async fn hear(
    mut listener: PgListener,
    options: PgConnectOptions,
    node: Uuid,
    feed: Weak<Postgres>,
    mut heads: watch::Receiver<Option<Place>>,
) {
    let hearing = async {
        loop {
            let error = pass_on(listener, node, &feed).await;
            METRICS.feed_connected.set(0);
            let error = postgres::describe(&error);
            tracing::warn!(error, "the other nodes are not heard; this one looks for itself until they are");
            listener = loop {
                sleep(RETRY_PAUSE).await;
                if let Ok((listener, _)) = listen(&options).await {
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
        let notification = match timeout(KEEPALIVE_INTERVAL, listener.recv()).await {
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
            METRICS.count_news(false);
            feed.here.publish(LogNotification { head, events: Vec::new() });
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
