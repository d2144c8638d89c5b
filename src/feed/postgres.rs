//! The feed of several nodes on one Postgres. LISTEN and NOTIFY carry the head of the log and no events. A node has its
//! own events at hand, and reads those of other nodes from the log.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPoolOptions};
use sqlx::{ConnectOptions, Row};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use uuid::Uuid;

use super::{Feed, InProcess, LogNotification};
use crate::messaging::{Chain, Epoch, Place, Position};
use crate::metrics::METRICS;
use crate::{postgres, random};

/// The name of the log's channel. Postgres separates the channels of its databases. Within one database, the number of
/// the log's table separates the logs of several schemas. A restore makes the table anew, with another number, so the
/// name is always asked for. It is null while there is no table.
const CHANNEL_SQL: &str = "SELECT 'herald_log_' || to_regclass('log_head')::oid::text";

const NOTIFY_SQL: &str = "SELECT pg_notify('herald_log_' || to_regclass('log_head')::oid::text, $1)";

/// The pause before herald connects again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long herald waits for an answer of Postgres. Without this, a connection over a network that has gone silent
/// hangs for a quarter of an hour.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The time between two checks that the connection still works, and that it listens on the channel of the log.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Carries notifications to every node that is connected to the same database.
#[derive(Debug)]
pub struct Postgres {
    /// Carries notifications to the hub of this node.
    local: InProcess,
    /// The head to tell the other nodes of. Only the newest one matters.
    heads: watch::Sender<Option<Place>>,
}

impl Postgres {
    /// Listens, and carries notifications for as long as the feed lives. It connects again whenever it loses Postgres.
    ///
    /// # Errors
    /// Why it cannot listen now, for the operator.
    pub async fn start(url: &str) -> Result<Arc<Self>, String> {
        let options = postgres::parse(url)?;
        let cannot =
            |error: sqlx::Error| format!("cannot listen to Postgres: {}", postgres::describe_another(&error));
        let listener = listen(&options).await.map_err(cannot)?;
        // Opened at once, so that a pooler which is too small shows at the start.
        let notifier = in_time(connect(&options)).await.map_err(cannot)?;
        let node = random::id();
        let (sender, heads) = watch::channel(None);
        let feed = Arc::new(Self { local: InProcess::default(), heads: sender });
        tokio::spawn(notify_nodes(options.clone(), notifier, node, heads.clone()));
        tokio::spawn(receive(listener, options, node, Arc::downgrade(&feed), heads));
        Ok(feed)
    }
}

impl Feed for Postgres {
    fn publish(&self, notification: LogNotification) {
        self.heads.send_replace(Some(notification.head));
        self.local.publish(notification);
    }

    fn listen(&self) -> mpsc::Receiver<LogNotification> {
        self.local.listen()
    }
}

/// Notifies the other nodes of each head, or of a later one, until the feed is gone.
async fn notify_nodes(
    options: PgConnectOptions,
    notifier: PgConnection,
    node: Uuid,
    mut heads: watch::Receiver<Option<Place>>,
) {
    let mut connection = Some(notifier);
    while heads.changed().await.is_ok() {
        let Some(head) = *heads.borrow_and_update() else { continue };
        let sent = notify(&options, &mut connection, write(node, head));
        if let Err(error) = in_time(sent).await {
            let error = postgres::describe(&error);
            tracing::warn!(error, "the other nodes were not notified; they poll the log");
            connection = None;
        }
    }
}

async fn notify(
    options: &PgConnectOptions,
    connection: &mut Option<PgConnection>,
    payload: String,
) -> Result<(), sqlx::Error> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(connect(options).await?),
    };
    sqlx::query(NOTIFY_SQL).bind(payload).execute(connection).await?;
    Ok(())
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut opened = options.connect().await?;
    postgres::settle(&mut opened, ANSWER_TIMEOUT).await?;
    Ok(opened)
}

async fn in_time<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(ANSWER_TIMEOUT, answer).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// A connection that listens on the channel of the log.
struct Listener {
    connection: PgListener,
    channel: String,
}

impl Listener {
    /// Listens on the channel that the log has now. This also shows whether the connection still works.
    async fn check(&mut self) -> Result<(), sqlx::Error> {
        let channel = channel(&mut self.connection).await?;
        if channel != self.channel {
            self.connection.listen(&channel).await?;
            let former = std::mem::replace(&mut self.channel, channel);
            self.connection.unlisten(&former).await?;
        }
        Ok(())
    }
}

async fn channel(connection: &mut PgListener) -> Result<String, sqlx::Error> {
    sqlx::raw_sql(CHANNEL_SQL).fetch_one(connection).await?.try_get(0)
}

async fn listen(options: &PgConnectOptions) -> Result<Listener, sqlx::Error> {
    in_time(async {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ANSWER_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(|connection: &mut PgConnection, _| {
                Box::pin(postgres::settle(connection, ANSWER_TIMEOUT))
            })
            .connect_with(options.clone())
            .await?;
        let mut connection = PgListener::connect_with(&pool).await?;
        let channel = channel(&mut connection).await?;
        connection.listen(&channel).await?;
        METRICS.feed_connected.set(1);
        Ok(Listener { connection, channel })
    })
    .await
}

/// Receives the heads that other nodes have written, until the feed is gone.
async fn receive(
    mut listener: Listener,
    options: PgConnectOptions,
    node: Uuid,
    feed: Weak<Postgres>,
    mut heads: watch::Receiver<Option<Place>>,
) {
    let receiving = async {
        loop {
            let error = pass_on(listener, node, &feed).await;
            METRICS.feed_connected.set(0);
            let error = postgres::describe(&error);
            tracing::warn!(
                error,
                "no notifications arrive from other nodes; this one polls the log until they do"
            );
            listener = loop {
                sleep(RETRY_PAUSE).await;
                if let Ok(listener) = listen(&options).await {
                    break listener;
                }
            };
        }
    };
    let gone = async { while heads.changed().await.is_ok() {} };
    tokio::select! {
        () = receiving => {}
        () = gone => {}
    }
}

/// Passes notifications on for as long as the connection lasts. Returns why it ended.
async fn pass_on(mut listener: Listener, node: Uuid, feed: &Weak<Postgres>) -> sqlx::Error {
    let mut next_check = Instant::now() + CHECK_INTERVAL;
    loop {
        let notification = match timeout_at(next_check, listener.connection.recv()).await {
            Ok(Ok(notification)) => notification,
            Ok(Err(error)) => return error,
            Err(_) => match in_time(listener.check()).await {
                Ok(()) => {
                    next_check = Instant::now() + CHECK_INTERVAL;
                    continue;
                }
                Err(error) => return error,
            },
        };
        if let (Some(feed), Some((from, head))) = (feed.upgrade(), read(notification.payload()))
            && from != node
        {
            METRICS.count_notification(false);
            feed.local.publish(LogNotification { head, events: Vec::new(), traces: Vec::new() });
        }
    }
}

fn write(node: Uuid, Place { epoch, position, chain }: Place) -> String {
    format!("{node} {} {} {}", epoch.0, position.0, chain.0)
}

/// The node that sent the payload, and the head in it. `None` when another version of herald wrote it.
fn read(payload: &str) -> Option<(Uuid, Place)> {
    let mut words = payload.split(' ');
    let node = words.next()?.parse().ok()?;
    let mut number = || words.next()?.parse().ok();
    let head = Place { epoch: Epoch(number()?), position: Position(number()?), chain: Chain(number()?) };
    words.next().is_none().then_some((node, head))
}
