//! What operators see: whether herald is ready and why not, when a failure begins and ends, and which request met it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use herald::log::Observer;
use herald_processes::{Herald, HeraldOptions, Scratch, free_port};
use sea_orm::{ConnectionTrait, Database, DbBackend};
use serde_json::{Value, json};

use crate::support::{TestApp, TestDatabase, User, request, until};

const SENT: &str = "subscription($after: Cursor) { messageSent(after: $after) { message { body } } }";

const SEND: &str = "mutation($id: ID!, $body: String!) {
    sendMessage(input: { conversationId: $id, body: $body }) { message { id } } }";

async fn execute(url: &str, statement: &str) {
    let database = Database::connect(url).await.unwrap();
    database.execute_unprepared(statement).await.unwrap();
    database.close().await.unwrap();
}

async fn readiness(app: &TestApp) -> (u16, String) {
    let reply = app.request("GET", "/readyz", &[], b"").await;
    let text = match reply.status {
        200 => reply.body.clone(),
        _ => reply.json()["errors"][0]["message"].as_str().unwrap().to_owned(),
    };
    (reply.status, text)
}

#[tokio::test]
async fn a_schema_that_is_not_this_heralds_is_named() {
    let app = TestApp::start().await;
    assert_eq!(readiness(&app).await, (200, "ready\n".into()));
    for (change, back, word) in [
        (
            "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_later', 0)",
            "DELETE FROM seaql_migrations WHERE version = 'm29990101_000001_later'",
            "is newer than this herald: upgrade this node. It has m29990101_000001_later",
        ),
        (
            "UPDATE seaql_migrations SET version = 'x' || version WHERE version LIKE '%_places'",
            "UPDATE seaql_migrations SET version = substr(version, 2) WHERE version LIKE 'x%'",
            "is newer",
        ),
        (
            "CREATE TABLE kept AS SELECT * FROM seaql_migrations WHERE version LIKE '%_places'",
            "SELECT 1",
            "ready",
        ),
        (
            "DELETE FROM seaql_migrations WHERE version LIKE '%_places'",
            "INSERT INTO seaql_migrations SELECT * FROM kept",
            "is older than this herald: run `herald migrate`, or start this herald again. It lacks m20261130_000004_places",
        ),
        (
            "ALTER TABLE session_ends RENAME TO elsewhere",
            "ALTER TABLE elsewhere RENAME TO session_ends",
            "is missing",
        ),
        (
            "ALTER TABLE events RENAME COLUMN chain TO link",
            "ALTER TABLE events RENAME COLUMN link TO chain",
            "is missing",
        ),
    ] {
        execute(&app.database.url, change).await;
        let (_, text) = readiness(&app).await;
        assert!(text.contains(word), "{change}: {text}");
        execute(&app.database.url, back).await;
        // A part that met the failure reports it until its next try succeeds.
        until(async || readiness(&app).await.0 == 200).await;
    }
}

#[tokio::test]
async fn a_herald_that_cannot_write_is_not_ready_until_it_can() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let (breaks, mends): (&[&str], &[&str]) = match backend(&app) {
        DbBackend::Postgres => (
            &[
                "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION 'could not extend file'; END $$",
                "CREATE TRIGGER full_disk BEFORE UPDATE ON log_head FOR EACH ROW EXECUTE FUNCTION full_disk()",
            ],
            &["DROP TRIGGER full_disk ON log_head"],
        ),
        _ => (
            &["CREATE TRIGGER full_disk BEFORE UPDATE ON log_head BEGIN SELECT RAISE(ABORT, 'full'); END"],
            &["DROP TRIGGER full_disk"],
        ),
    };
    for statement in breaks {
        execute(&app.database.url, statement).await;
    }
    assert_eq!(ada.refused(SEND, json!({ "id": conversation, "body": "lost" })).await, "UNAVAILABLE");
    let (status, text) = readiness(&app).await;
    assert_eq!((status, text.contains("cannot be written")), (503, true), "{text}");
    for statement in mends {
        execute(&app.database.url, statement).await;
    }
    // It becomes ready without a write, because a proxy sends no requests to a node that is not ready.
    assert_eq!(readiness(&app).await.0, 200);
    let mut socket = bob.socket("desk").await;
    socket.follow("m", SENT).await;
    ada.send(&conversation, "stored").await;
    assert_eq!(socket.next("m").await["messageSent"]["message"]["body"], "stored");
}

fn backend(app: &TestApp) -> DbBackend {
    if app.database.file().is_some() { DbBackend::Sqlite } else { DbBackend::Postgres }
}

/// A herald in which whoever runs a statement with these words panics, once it is told to.
async fn faulty(words: &'static str) -> (TestApp, Arc<AtomicBool>) {
    let due = Arc::<AtomicBool>::default();
    let armed = Arc::clone(&due);
    let app = TestApp::with(|setup| {
        setup.parts.observer = Some(Observer(Arc::new(move |sql: &str| {
            assert!(
                !(sql.contains(words) && armed.swap(false, Ordering::SeqCst)),
                "a fault that the test planted"
            );
        })));
    });
    (app.await, due)
}

#[tokio::test]
async fn a_part_that_panics_begins_anew_and_nobody_misses_anything() {
    for words in ["AS present FROM log_head", "sessions_ended"] {
        let (app, due) = faulty(words).await;
        let (ada, bob, conversation) = app.pair().await;
        let mut socket = bob.socket("desk").await;
        socket.follow("m", SENT).await;
        ada.send(&conversation, "before").await;
        assert_eq!(socket.next("m").await["messageSent"]["message"]["body"], "before");
        due.store(true, Ordering::SeqCst);
        until(async || !due.load(Ordering::SeqCst)).await;
        ada.send(&conversation, "after").await;
        assert_eq!(socket.next("m").await["messageSent"]["message"]["body"], "after", "{words}");
        until(async || readiness(&app).await.0 == 200).await;
        let elsewhere = bob.sign_in_again().await;
        let mut watching = elsewhere.socket("phone").await;
        elsewhere.data("mutation { logout { ended } }", json!({})).await;
        assert_eq!(watching.closed().await.code, 4403);
    }
}

#[tokio::test]
async fn a_writer_that_panics_answers_and_goes_on() {
    let (app, due) = faulty("at_micros,").await;
    let (ada, _, conversation) = app.pair().await;
    due.store(true, Ordering::SeqCst);
    assert_eq!(ada.refused(SEND, json!({ "id": conversation, "body": "lost" })).await, "UNAVAILABLE");
    ada.send(&conversation, "stored").await;
    assert_eq!(readiness(&app).await.0, 200);
}

struct Process {
    herald: Herald,
    log: PathBuf,
    metrics: u16,
    _scratch: Scratch,
    database: TestDatabase,
}

impl Process {
    async fn start(flags: &[&str]) -> Self {
        let database = TestDatabase::create().await;
        let scratch = Scratch::create("herald-vitals").unwrap();
        let (log, metrics) = (scratch.path().join("herald.log"), free_port().unwrap());
        let mut all = vec!["--metrics-listen".to_owned(), format!("127.0.0.1:{metrics}")];
        all.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let herald = Herald::start(HeraldOptions {
            binary: env!("CARGO_BIN_EXE_herald").into(),
            port: free_port().unwrap(),
            database: database.url.clone(),
            feed: None,
            flags: all,
            env: Vec::new(),
            log: log.clone(),
        });
        Self { herald: herald.await.unwrap(), log, metrics, _scratch: scratch, database }
    }

    fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.herald.port()).into()
    }

    async fn sample(&self, name: &str) -> Option<f64> {
        let reply = request(([127, 0, 0, 1], self.metrics).into(), "GET", "/metrics", &[], b"").await;
        let line = reply.body.lines().find(|line| line.split(' ').next() == Some(name))?;
        line.rsplit(' ').next()?.parse().ok()
    }
}

fn lines(log: &Path, words: &str) -> usize {
    std::fs::read_to_string(log).unwrap().lines().filter(|line| line.contains(words)).count()
}

#[tokio::test]
async fn trouble_with_the_database_is_told_when_it_begins_and_when_it_is_over() {
    let process = Process::start(&[]).await;
    let url = &process.database.url;
    let (ada, bob) =
        (User::register(process.address(), "ada").await, User::register(process.address(), "bob").await);
    let conversation = ada.start(&[&bob]).await;
    execute(url, "ALTER TABLE messages RENAME TO elsewhere").await;
    for _ in 0..50 {
        let refused = ada.refused(SEND, json!({ "id": conversation, "body": "lost" })).await;
        assert_eq!(refused, "UNAVAILABLE");
    }
    until(async || process.sample("herald_ready").await == Some(0.0)).await;
    assert_eq!(lines(&process.log, "the database fails"), 1);
    assert_eq!(lines(&process.log, "the database fails operation="), 1);
    assert!(process.sample("herald_database_failures_total").await.unwrap() >= 50.0);
    execute(url, "ALTER TABLE elsewhere RENAME TO messages").await;
    until(async || lines(&process.log, "the database answers again") == 1).await;
    until(async || process.sample("herald_ready").await == Some(1.0)).await;
    assert_eq!(lines(&process.log, "not ready"), 1);
}

#[tokio::test]
async fn every_series_that_an_alert_is_about_begins_at_0() {
    let process = Process::start(&[]).await;
    for name in [
        "herald_errors_total{code=\"INTERNAL\"}",
        "herald_errors_total{code=\"UNAVAILABLE\"}",
        "herald_commands_total{outcome=\"failed\"}",
        "herald_commands_total{outcome=\"overloaded\"}",
        "herald_panics_total{part=\"hub\"}",
        "herald_epochs_begun_total",
        "herald_database_failures_total",
    ] {
        assert_eq!(process.sample(name).await, Some(0.0), "{name}");
    }
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_max_fds"] {
        assert!(process.sample(name).await.is_some_and(|number| number > 0.0), "{name}");
    }
    let build = format!("herald_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(process.sample(&build).await, Some(1.0));
    until(async || process.sample("herald_ready").await == Some(1.0)).await;
    assert_eq!(process.sample("herald_feed_connected").await, Some(1.0));
}

#[tokio::test]
async fn more_than_the_writer_can_do_is_counted_and_logged_once() {
    let process = Process::start(&["--write-queue", "1", "--max-batch", "1", "--rate-limit", "off"]).await;
    let (ada, bob) =
        (User::register(process.address(), "ada").await, User::register(process.address(), "bob").await);
    let conversation = ada.start(&[&bob]).await;
    let sends = (0..100).map(|n| ada.post(SEND, json!({ "id": conversation, "body": n.to_string() })));
    let answers: Vec<Value> = futures_util::future::join_all(sends).await;
    let refused: f64 = answers.iter().filter(|answer| answer["errors"].is_array()).map(|_| 1.0).sum();
    assert!(refused > 0.0);
    let counted = process.sample("herald_commands_total{outcome=\"overloaded\"}").await;
    assert_eq!(counted, Some(refused));
    until(async || lines(&process.log, "the writer is overloaded") == 1).await;
}

#[tokio::test]
async fn a_sign_in_that_fails_leaves_a_line_with_the_address_and_the_requests_name() {
    let process = Process::start(&[]).await;
    User::register(process.address(), "ada").await;
    let wrong = json!({ "query": "mutation {
        login(input: { handle: \"ada\", password: \"not the password\" }) { token } }" });
    let headers = [("content-type", "application/json"), ("x-request-id", "from-the-proxy-7")];
    let reply = request(process.address(), "POST", "/graphql", &headers, wrong.to_string().as_bytes()).await;
    assert_eq!(reply.json()["errors"][0]["extensions"]["code"], "INVALID_CREDENTIALS");
    assert_eq!(reply.header("x-request-id"), Some("from-the-proxy-7"));
    until(async || lines(&process.log, "a sign-in failed") == 1).await;
    let log = std::fs::read_to_string(&process.log).unwrap();
    let line = log.lines().find(|line| line.contains("a sign-in failed")).expect("a line");
    assert!(line.contains("127.0.0.1") && line.contains("from-the-proxy-7"), "{line}");
    assert!(!log.contains("not the password"), "{log}");
    let drawn = request(process.address(), "GET", "/healthz", &[("x-request-id", "two words")], b"").await;
    assert_ne!(drawn.header("x-request-id"), Some("two words"));
    assert!(drawn.header("x-request-id").is_some_and(|id| !id.is_empty()));
}
