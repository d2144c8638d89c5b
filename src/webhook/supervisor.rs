//! Which webhooks this node calls: those whose lease it can take.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::attempt::{Client, Message, Outcome};
use super::body;
use super::follower::{Ended, Follower};
use super::signature::{Secret, Secrets};
use super::url::WebhookUrl;
use crate::graphql::Engine;
use crate::log::{Database, LeaseOwner, Unavailable, WebhookRow};
use crate::messaging::{Place, Position, Timestamp, WebhookId};
use crate::metrics::METRICS;
use crate::random;
use crate::start_error::StartError;
use crate::vitals::{Part, Vitals};

/// The longest time between two looks of a webhook at what is due. It renews the lease at one of them.
const MAX_LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// How webhooks are called.
#[derive(Debug, Clone)]
pub struct WebhookOptions {
    /// The webhooks of the command line.
    pub urls: Vec<WebhookUrl>,
    /// Their secrets.
    pub secrets: Vec<Secret>,
    /// Whether their calls carry the text of messages.
    pub has_bodies: bool,
    /// Whether webhooks may be on networks that are not public.
    pub allow_private: bool,
    /// The seconds after which a recipient is told of whom a message has not reached.
    pub undelivered_after: Vec<u32>,
    /// The time between two looks at the webhooks, and at what is due.
    pub look_interval: Duration,
}

impl WebhookRow {
    /// A new webhook, which begins at `place`.
    pub fn new(url: &WebhookUrl, secrets: &Secrets, has_bodies: bool, place: Place, now: Timestamp) -> Self {
        Self {
            id: WebhookId(random::id()),
            url: url.as_str().to_owned(),
            secrets: secrets.to_string(),
            has_bodies,
            is_configured: false,
            token_key: random::bytes::<32>().to_vec(),
            place,
            created_at: now,
            disabled: None,
        }
    }
}

/// What all webhooks of a node use.
pub(super) struct Node {
    pub(super) engine: Arc<Engine>,
    pub(super) options: WebhookOptions,
    pub(super) owner: LeaseOwner,
    client: OnceLock<Client>,
}

impl Node {
    /// The client of all webhooks, made when the first one is called.
    ///
    /// # Errors
    /// The certificate authorities of the system cannot be read.
    pub(super) fn client(&self) -> io::Result<Client> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let client = Client::new(self.options.allow_private)?;
        Ok(self.client.get_or_init(|| client).clone())
    }
}

/// How far the webhooks are that this node calls, for the metrics.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    // A `std` mutex, because it is never locked across an await.
    by_webhook: Mutex<HashMap<WebhookId, (Position, usize)>>,
}

impl Numbers {
    /// Notes up to where a webhook was called, and how many of its calls wait.
    pub(super) fn note(&self, webhook: WebhookId, position: Position, waiting: usize) {
        let mut known = self.by_webhook.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(webhook, (position, waiting));
        Self::show(&known);
    }

    fn forget(&self, webhook: WebhookId) {
        let mut known = self.by_webhook.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&webhook);
        Self::show(&known);
    }

    fn show(known: &HashMap<WebhookId, (Position, usize)>) {
        let head = METRICS.log_position.get();
        let lag = known.values().map(|(position, _)| head.saturating_sub(position.0)).max();
        let waiting: usize = known.values().map(|(_, waiting)| waiting).sum();
        METRICS.webhooks.set(i64::try_from(known.len()).unwrap_or(i64::MAX));
        METRICS.webhook_lag.set(lag.unwrap_or(0).max(0));
        METRICS.webhook_calls_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }
}

/// The webhooks of a node.
pub(crate) struct Webhooks {
    node: Arc<Node>,
    numbers: Arc<Numbers>,
    vitals: Arc<Vitals>,
    running: HashMap<WebhookId, CancellationToken>,
    tasks: JoinSet<WebhookId>,
}

impl Webhooks {
    /// Stores the webhooks of the command line, and gets ready to call.
    ///
    /// # Errors
    /// Why herald does not start, for the operator.
    pub(crate) async fn open(
        engine: Arc<Engine>,
        vitals: Arc<Vitals>,
        mut options: WebhookOptions,
    ) -> Result<Self, StartError> {
        for url in &options.urls {
            url.check(options.allow_private)
                .map_err(|reason| StartError::Webhook { flag: "--webhook", reason })?;
        }
        let database = engine.services().database.clone();
        configure(&database, &options).await?;
        options.look_interval = options.look_interval.min(MAX_LOOK_INTERVAL);
        let owner = LeaseOwner(random::id());
        let node = Arc::new(Node { engine, options, owner, client: OnceLock::new() });
        Ok(Self { node, numbers: Arc::default(), vitals, running: HashMap::new(), tasks: JoinSet::new() })
    }

    /// Calls the webhooks whose lease is free, until herald stops.
    pub(crate) async fn run(mut self, stopping: CancellationToken) {
        let mut look = interval(self.node.options.look_interval);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => break,
                Some(ended) = self.tasks.join_next() => if let Ok(webhook) = ended {
                    self.running.remove(&webhook);
                },
                _ = look.tick() => if self.look().await.is_err() {
                    self.vitals.fails(Part::Webhooks, "The webhooks cannot be read.");
                } else {
                    self.vitals.works(Part::Webhooks);
                },
            }
        }
        self.running.values().for_each(CancellationToken::cancel);
        while self.tasks.join_next().await.is_some() {}
    }

    /// Begins to call the webhooks that are not called, and stops those that were disabled.
    async fn look(&mut self) -> Result<(), Unavailable> {
        let rows = self.node.engine.services().database.webhooks().await?;
        for row in rows {
            match self.running.get(&row.id) {
                Some(stop) if row.disabled.is_some() => stop.cancel(),
                None if row.disabled.is_none() => self.begin(row),
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    fn begin(&mut self, row: WebhookRow) {
        let stop = CancellationToken::new();
        self.running.insert(row.id, stop.clone());
        let (node, numbers) = (Arc::clone(&self.node), Arc::clone(&self.numbers));
        let vitals = Arc::clone(&self.vitals);
        self.tasks.spawn(async move {
            let following = Box::pin(follow(&node, &numbers, &row, stop));
            if let Some(Some(Ended::Lost)) = vitals.guard(Part::Webhooks, following).await {
                tracing::debug!(webhook = %row.id, "this node stops calling a webhook for now");
            }
            numbers.forget(row.id);
            row.id
        });
    }
}

/// Calls a webhook until there is a reason to stop; `None` if another node calls it.
async fn follow(
    node: &Arc<Node>,
    numbers: &Arc<Numbers>,
    row: &WebhookRow,
    stop: CancellationToken,
) -> Option<Ended> {
    match Follower::begin(node, numbers, row).await {
        Ok(follower) => Some(follower?.run(stop).await),
        Err(ended) => {
            if ended == Ended::Lost {
                // Another node may be able to, and looks meanwhile.
                let _ = timeout(2 * node.options.look_interval, stop.cancelled()).await;
            }
            Some(ended)
        }
    }
}

/// Stores the webhooks of the command line.
async fn configure(database: &Database, options: &WebhookOptions) -> Result<(), StartError> {
    let mut rows = Vec::new();
    if !options.urls.is_empty() {
        let secrets = Secrets::new(options.secrets.clone())
            .map_err(|reason| StartError::Webhook { flag: "--webhook-secret", reason })?;
        let unavailable = |_| StartError::Unavailable { what: "the log's head" };
        let head = database.head().await.map_err(unavailable)?;
        let row = |url| WebhookRow {
            is_configured: true,
            ..WebhookRow::new(url, &secrets, options.has_bodies, head, database.now())
        };
        rows = options.urls.iter().map(row).collect();
    }
    let configured = database.configure_webhooks(&rows).await;
    configured.map_err(|_| StartError::Unavailable { what: "the webhooks" })
}

/// Makes one call to a webhook, about nothing.
///
/// # Errors
/// Why the receiver does not accept it, for the operator.
pub async fn test(row: &WebhookRow, allow_private: bool, now: Timestamp) -> Result<(), String> {
    let client = Client::new(allow_private).map_err(|error| error.to_string())?;
    let (url, secrets): (WebhookUrl, _) = (row.url.parse()?, Secrets::stored(&row.secrets)?);
    let data = serde_json::json!({ "webhook": row.id.to_string() });
    let body = body::write("webhook.test", &body::instant(now), &data);
    let message = Message { id: format!("test-{}", random::id().simple()), body };
    match client.call(&url, &secrets, &message, now).await {
        Outcome::Accepted => Ok(()),
        Outcome::Failed(reason, _) => Err(reason),
        Outcome::Gone => Err("the answer is 410 Gone: herald would disable the webhook".into()),
    }
}
