//! herald carries messages between people and tells every sender, live, how far each has come.
//!
//! The way in: [`transport`] reads bytes, [`graphql`] makes commands of them, [`messaging`] decides, [`log`] commits
//! and notifies the [`feed`]. The way out: the [`feed`] notifies the [`hub`], which hands each event to the subscribers
//! who may see it; [`graphql`] renders it once for all who see the same; [`transport`] writes the bytes.
//! `ARCHITECTURE.md` has the map and the invariants.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails should say where, and then stop"))]

pub mod accounts;
pub mod clock;
pub mod config;
pub mod error;
pub mod feed;
pub mod graphql;
mod http_client;
pub mod hub;
pub mod log;
pub mod messaging;
pub mod metrics;
pub mod network;
pub mod postgres;
pub mod random;
pub mod rates;
mod start_error;
pub mod trace;
pub mod transport;
pub mod trouble;
pub mod vitals;
pub mod webhook;

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::accounts::{AccountOptions, Accounts, JwtOptions, Lifetimes};
use crate::clock::Clock;
use crate::config::{Access, Concealed, DAY, ServeArgs, Switch, seconds};
use crate::feed::{Feed, InProcess, Nats, NatsOptions, Postgres};
use crate::graphql::{Engine, Services};
use crate::hub::{Hub, HubOptions};
use crate::log::{Database, Observer, Retention, Rules, Unavailable, Writer};
use crate::messaging::Epoch;
use crate::metrics::METRICS;
use crate::rates::Rates;
pub use crate::start_error::StartError;
use crate::transport::Shared;
use crate::vitals::Vitals;
use crate::webhook::{WebhookOptions, Webhooks};

/// The parts that a test may replace or watch.
#[derive(Debug, Default)]
pub struct Parts {
    /// The feed. `None` takes the one that the arguments ask for.
    pub feed: Option<Arc<dyn Feed>>,
    /// Receives every SQL statement.
    pub observer: Option<Observer>,
    /// The clock of this node.
    pub clock: Clock,
}

/// A herald that is ready to serve.
pub struct App {
    shared: Arc<Shared>,
    database: Database,
    writer: JoinHandle<()>,
    webhooks: Webhooks,
    /// Removes what is too old; `None` where everything is kept.
    retention: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}

impl App {
    /// Opens the database, brings its schema up to date and starts the writer and the hub.
    ///
    /// # Errors
    /// Why herald does not start, for the operator.
    pub async fn open(args: &ServeArgs, parts: Parts) -> Result<Self, StartError> {
        let limits = args.limits.clone();
        limits.check()?;
        let trusted = args.trusted_documents.as_deref().map(trusted_documents).transpose()?;
        let database = Database::open(&args.database.options(parts.observer))
            .await
            .map_err(|error| StartError::Database(error.into()))?
            .with_clock(parts.clock);
        if database.settle_participants().await.is_err() {
            // The cause is in the log. Everything else works, and the next start goes on from there.
            tracing::warn!(
                "not every conversation has its owner yet, or shares only what its people chose: run `herald migrate`"
            );
        }
        let epoch = database.head().await.map_err(unavailable("the log's head"))?.epoch;
        let feed = match parts.feed {
            Some(feed) => feed,
            None => feed_for(args, epoch).await?,
        };
        let vitals = Arc::<Vitals>::default();
        let hub_options = HubOptions {
            queue: limits.subscriber_queue,
            poll: seconds(limits.poll_interval),
            recent_bytes: limits.recent_bytes,
        };
        let hub = Hub::start(database.clone(), Arc::clone(&feed), Arc::clone(&vitals), hub_options)
            .await
            .map_err(unavailable("the log's head"))?;
        let rules = Rules {
            small_conversation: limits.small_conversation,
            most_participants: limits.max_participants,
            batch: limits.max_batch,
            queue: limits.write_queue,
        };
        let (writer, writer_task) = Writer::start(database.clone(), feed, Arc::clone(&vitals), rules);
        let accounts = Arc::new(Accounts::open(database.clone(), account_options(args)).await?);
        let refresh_interval = seconds(limits.poll_interval) / 2;
        accounts.watch(refresh_interval, Arc::clone(&vitals)).await.map_err(unavailable("the sessions"))?;
        let rates = (args.rate_limit == Switch::On).then(|| Arc::new(Rates::new(&limits)));
        let keep = args.retention.keep();
        let retention = keep.map(|keep| Retention::start(database.clone(), writer.clone(), keep));
        let services = Services::new(database.clone(), writer, hub, accounts, rates, limits.clone());
        let services = Services { is_reciprocal: args.reciprocal_receipts, ..services };
        let engine = Engine::new(services, args.introspection == Switch::On, args.federation, trusted)
            .map_err(|error| StartError::Document(error.to_string()))?;
        let engine = Arc::new(engine);
        let webhooks =
            Webhooks::open(Arc::clone(&engine), Arc::clone(&vitals), webhook_options(args)?).await?;
        let shared = Arc::new(Shared::new(engine, vitals, args));
        Ok(Self { shared, database, writer: writer_task, webhooks, retention })
    }

    /// Serves on `listener` until `shutdown` returns. Then it accepts no more connections, finishes the requests that
    /// have begun, and closes every socket with a code that asks the client to connect again.
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let Self { shared, database, writer, webhooks, retention } = self;
        let patience = seconds(shared.limits.shutdown_timeout);
        tokio::spawn(transport::watch_health(Arc::downgrade(&shared), shared.limits.poll_interval));
        let calling = tokio::spawn(webhooks.run(shared.stopping.clone()));
        transport::serve(listener, shared, shutdown).await;
        if tokio::time::timeout(patience, calling).await.is_err() {
            tracing::warn!("the webhooks did not end in time");
        }
        if let Some(retention) = retention {
            retention.abort();
        }
        // The connections and the retention held the last senders to the writer. Without them it finishes its queue and ends.
        if tokio::time::timeout(patience, writer).await.is_err() {
            tracing::warn!("the writer did not end in time");
        }
        database.close().await;
    }
}

/// The feed that the arguments ask for, or else the one that suits the database.
async fn feed_for(args: &ServeArgs, epoch: Epoch) -> Result<Arc<dyn Feed>, StartError> {
    let database = &args.database.database;
    let is_postgres = postgres::is_postgres(database);
    Ok(match &args.feed {
        Some(_) if !is_postgres => return Err(StartError::FeedNeedsPostgres),
        Some(servers) => {
            let options = NatsOptions {
                servers: servers.clone(),
                credentials: args.feed_credentials.clone(),
                nkey: args.feed_nkey.clone(),
                authorities: args.feed_ca.clone(),
                certificate: args.feed_certificate.clone().zip(args.feed_key.clone()),
                epoch,
            };
            Nats::start(&options).await.map_err(|error| StartError::Feed(error.into()))?
        }
        None if is_postgres => {
            Postgres::start(database).await.map_err(|error| StartError::Feed(error.into()))?
        }
        None => {
            METRICS.feed_connected.set(1);
            Arc::new(InProcess::default())
        }
    })
}

/// How users get in, as the arguments say.
fn account_options(args: &ServeArgs) -> AccountOptions {
    let (limits, identity) = (&args.limits, &args.identity);
    let jwt = identity.jwt_jwks.clone().zip(identity.jwt_issuer.clone()).map(|(keys, issuer)| JwtOptions {
        keys,
        issuer,
        audiences: identity.jwt_audience.clone(),
        handle_claim: identity.jwt_handle_claim.clone(),
        name_claim: identity.jwt_name_claim.clone(),
    });
    AccountOptions {
        lifetimes: Lifetimes { idle: DAY * limits.session_idle_days, absolute: DAY * limits.session_days },
        max_hashing: limits.max_hashing,
        has_passwords: identity.password_login == Switch::On,
        is_open: identity.registration == Access::Open,
        jwt,
    }
}

/// How webhooks are called, as the arguments say.
fn webhook_options(args: &ServeArgs) -> Result<WebhookOptions, StartError> {
    let webhooks = &args.webhooks;
    Ok(WebhookOptions {
        urls: read_all("--webhook", &webhooks.webhook)?,
        secrets: read_all("--webhook-secret", &webhooks.webhook_secret)?,
        has_bodies: !webhooks.webhook_without_bodies,
        allow_private: webhooks.webhook_allow_private,
        undelivered_after: webhooks.undelivered_after.clone(),
        look_interval: seconds(args.limits.poll_interval),
    })
}

fn read_all<T: FromStr<Err = String>>(
    flag: &'static str,
    values: &[Concealed],
) -> Result<Vec<T>, StartError> {
    let failed = |reason| StartError::Webhook { flag, reason };
    values.iter().map(|value| value.read().map_err(failed)).collect()
}

/// Reads the file of `--trusted-documents`: documents by their SHA-256.
fn trusted_documents(path: &Path) -> Result<HashMap<String, String>, StartError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| StartError::ReadTrustedDocuments { path: path.to_owned(), source })?;
    serde_json::from_str(&text)
        .map_err(|source| StartError::ParseTrustedDocuments { path: path.to_owned(), source })
}

/// The error when herald cannot read `what` from the database at the start.
fn unavailable(what: &'static str) -> impl Fn(Unavailable) -> StartError {
    move |_: Unavailable| StartError::Unavailable { what }
}
