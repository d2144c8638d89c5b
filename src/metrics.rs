//! Every metric of this process, with its name and meaning. `docs/operations.md` says what an operator concludes from
//! each. What never lives here: anything that herald itself acts on.

use std::sync::LazyLock;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use self::process::Process;

mod labels;
mod process;

pub use labels::{Call, Outcome, Reason, ReplayedFrom};

/// Upper bounds of the histogram's buckets: from a commit to a fast disk up to one that is about to time out.
const BUCKETS_SECONDS: [f64; 12] = [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The codes of errors that tell of a failing herald or of an attack. Each has a series from the start.
const ERROR_CODES: [&str; 8] = [
    "INTERNAL",
    "UNAVAILABLE",
    "INVALID_CREDENTIALS",
    "UNAUTHENTICATED",
    "RATE_LIMITED",
    "LIMIT_EXCEEDED",
    "CURSOR_EXPIRED",
    "CURSOR_INVALID",
];

/// Counters with one label.
type Labelled = Family<[(&'static str, String); 1], Counter>;

/// The metrics of this process.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// Every metric.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// 1 while `/readyz` answers 200; else 0.
    pub ready: Gauge,
    /// Open TCP connections.
    pub connections: Gauge,
    /// Open WebSockets.
    pub sockets: Gauge,
    /// Open responses of subscriptions over HTTP: server-sent events and multipart.
    pub streams: Gauge,
    /// Active subscriptions, over every transport.
    pub subscriptions: Gauge,
    /// Position of the newest event that this node has applied.
    pub log_position: Gauge,
    /// 1, with the epoch of the log as its label.
    log_epoch: Family<[(&'static str, String); 1], Gauge>,
    /// Statements that failed.
    pub database_failures: Counter,
    panics: Labelled,
    /// 1 while the feed is connected and may carry notifications; else 0. A feed within the process always is.
    pub feed_connected: Gauge,
    /// 1 while an event in the log is damaged that somebody missed; else 0.
    pub log_damaged: Gauge,
    /// Seconds by which the oldest message is late that is too old to be kept, while this node removes such messages.
    pub retention_lag: Gauge,
    /// Epochs of the log that this node has begun.
    pub epochs_begun: Counter,
    /// Bytes of the WAL of an SQLite file; 0 on Postgres.
    pub wal_bytes: Gauge,
    /// Batches that the writer tried to commit.
    pub batches: Counter,
    /// Seconds that each batch's transaction took.
    pub batch_seconds: Histogram,
    commands: Labelled,
    notifications: Labelled,
    log_reads: Labelled,
    replayed: Labelled,
    /// Events handed to the subscribers of this node.
    pub events_routed: Counter,
    /// Answers that subscriptions delivered.
    pub deliveries: Counter,
    /// Events that were rendered, each for one subscriber or for all who see the same.
    pub renders: Counter,
    /// Subscribers that fell behind and went back to replaying.
    pub overflows: Counter,
    closes: Labelled,
    errors: Labelled,
    /// Sessions that were ended, here or at another node.
    pub sessions_ended: Counter,
    /// Webhooks that this node calls.
    pub webhooks: Gauge,
    /// Positions by which the last of them is behind the log.
    pub webhook_lag: Gauge,
    /// Their calls that wait to be tried again, and those behind them.
    pub webhook_calls_waiting: Gauge,
    webhook_calls: Labelled,
}

impl Metrics {
    fn new() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            ready: Gauge::default(),
            connections: Gauge::default(),
            sockets: Gauge::default(),
            streams: Gauge::default(),
            subscriptions: Gauge::default(),
            log_position: Gauge::default(),
            log_epoch: Family::default(),
            database_failures: Counter::default(),
            panics: Labelled::default(),
            feed_connected: Gauge::default(),
            log_damaged: Gauge::default(),
            retention_lag: Gauge::default(),
            epochs_begun: Counter::default(),
            wal_bytes: Gauge::default(),
            batches: Counter::default(),
            batch_seconds: Histogram::new(BUCKETS_SECONDS),
            commands: Labelled::default(),
            notifications: Labelled::default(),
            log_reads: Labelled::default(),
            replayed: Labelled::default(),
            events_routed: Counter::default(),
            deliveries: Counter::default(),
            renders: Counter::default(),
            overflows: Counter::default(),
            closes: Labelled::default(),
            errors: Labelled::default(),
            sessions_ended: Counter::default(),
            webhooks: Gauge::default(),
            webhook_lag: Gauge::default(),
            webhook_calls_waiting: Gauge::default(),
            webhook_calls: Labelled::default(),
        };
        metrics.begin_at_zero();
        metrics.register()
    }

    /// Creates every series with the value 0. An alert cannot see the increase of a series that begins at 1.
    fn begin_at_zero(&self) {
        for (family, label, values) in [
            (&self.commands, "outcome", &["committed", "refused", "failed", "overloaded"][..]),
            (&self.notifications, "carried", &["events", "position"]),
            (&self.log_reads, "reason", &["gap", "silence", "replay"]),
            (&self.replayed, "from", &["memory", "log"]),
            (&self.panics, "part", &["writer", "hub", "sessions", "webhooks"]),
            (&self.webhook_calls, "outcome", &["accepted", "failed", "given_up", "gone"]),
            (&self.errors, "code", &ERROR_CODES),
        ] {
            for value in values {
                drop(family.get_or_create(&[(label, (*value).to_owned())]));
            }
        }
    }

    fn register(mut self) -> Self {
        self.registry.register_collector(Box::new(Process));
        let r = self.registry.sub_registry_with_prefix("herald");
        r.register("build", "The version of herald", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        r.register("ready", "1 while herald is ready, or 0 while /readyz says why not", self.ready.clone());
        r.register("log_epoch", "The epoch of the log, as a label", self.log_epoch.clone());
        r.register(
            "database_failures",
            "Statements that the database did not carry out",
            self.database_failures.clone(),
        );
        r.register(
            "panics",
            "Panics of a part of herald, which then started again, by part",
            self.panics.clone(),
        );
        r.register(
            "feed_connected",
            "1 while the feed is connected and carries notifications, else 0",
            self.feed_connected.clone(),
        );
        r.register("connections", "Open TCP connections", self.connections.clone());
        r.register("sockets", "Open WebSockets", self.sockets.clone());
        r.register("streams", "Open responses of server-sent events and multipart", self.streams.clone());
        r.register("subscriptions", "Active subscriptions", self.subscriptions.clone());
        let help = "Position of the newest event that this node has applied";
        r.register("log_position", help, self.log_position.clone());
        let help = "1 while an event in the log is damaged that somebody missed, else 0";
        r.register("log_damaged", help, self.log_damaged.clone());
        let help = "Seconds by which the oldest message is late that --retain-messages has this node remove";
        r.register("retention_lag_seconds", help, self.retention_lag.clone());
        r.register(
            "epochs_begun",
            "Epochs that this node began because the log went back, was moved or was restored",
            self.epochs_begun.clone(),
        );
        r.register("wal_bytes", "Bytes of the WAL of an SQLite file", self.wal_bytes.clone());
        r.register("batches", "Batches of commands that were tried", self.batches.clone());
        r.register("batch_seconds", "Seconds that a batch's transaction took", self.batch_seconds.clone());
        r.register("commands", "Commands, by outcome", self.commands.clone());
        let help = "Notifications from other nodes, by what they carried";
        r.register("news", help, self.notifications.clone());
        r.register("log_reads", "Reads of events from the log, by reason", self.log_reads.clone());
        r.register("events_replayed", "Events replayed, by where they came from", self.replayed.clone());
        r.register("events_routed", "Events handed to subscribers", self.events_routed.clone());
        r.register("deliveries", "Answers that subscriptions delivered", self.deliveries.clone());
        r.register("renders", "Events that were rendered", self.renders.clone());
        r.register(
            "overflows",
            "Subscribers that fell behind and went back to replaying",
            self.overflows.clone(),
        );
        r.register("closes", "Sockets closed by herald, by close code", self.closes.clone());
        r.register("errors", "GraphQL errors answered, by code", self.errors.clone());
        r.register("sessions_ended", "Sessions ended, here or at another node", self.sessions_ended.clone());
        r.register("webhooks", "Webhooks that this node calls", self.webhooks.clone());
        let help = "Positions of the log that the last of these webhooks is behind";
        r.register("webhook_lag", help, self.webhook_lag.clone());
        let help = "Calls of these webhooks that wait to be tried again";
        r.register("webhook_calls_waiting", help, self.webhook_calls_waiting.clone());
        r.register("webhook_calls", "Calls to webhooks, by outcome", self.webhook_calls.clone());
        self
    }

    /// Counts a command.
    pub fn count_command(&self, outcome: Outcome) {
        self.commands.get_or_create(&[("outcome", outcome.label().into())]).inc();
    }

    /// Counts a notification from another node, which has events or the head alone.
    pub fn count_notification(&self, with_events: bool) {
        let carried = if with_events { "events" } else { "position" };
        self.notifications.get_or_create(&[("carried", carried.into())]).inc();
    }

    /// Counts a statement that read events.
    pub fn count_log_read(&self, reason: Reason) {
        self.log_reads.get_or_create(&[("reason", reason.label().into())]).inc();
    }

    /// Counts events that are replayed.
    pub fn count_replayed(&self, from: ReplayedFrom, events: usize) {
        self.replayed.get_or_create(&[("from", from.label().into())]).inc_by(events as u64);
    }

    /// Counts what became of a call to a webhook.
    pub fn count_webhook_call(&self, outcome: Call) {
        self.webhook_calls.get_or_create(&[("outcome", outcome.label().into())]).inc();
    }

    /// Counts a socket that herald closes.
    pub fn count_close(&self, code: u16) {
        self.closes.get_or_create(&[("code", code.to_string())]).inc();
    }

    /// Counts an error in an answer.
    pub fn count_error(&self, code: &str) {
        self.errors.get_or_create(&[("code", code.into())]).inc();
    }

    /// Counts a panic of a part of herald.
    pub fn count_panic(&self, part: &'static str) {
        self.panics.get_or_create(&[("part", part.into())]).inc();
    }

    /// Shows this epoch as the epoch of the log.
    pub fn enter_epoch(&self, epoch: i64) {
        self.log_epoch.clear();
        self.log_epoch.get_or_create(&[("epoch", format!("{epoch:016x}"))]).set(1);
    }

    /// Every metric, in the text format of Prometheus (OpenMetrics 1.0).
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a `String` cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Holds a gauge one higher for as long as it lives.
#[derive(Debug)]
pub struct Counted(&'static Gauge);

impl Counted {
    /// Adds one to the gauge until this is dropped.
    pub fn new(gauge: &'static Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
