//! Postgres as operators run it: behind PgBouncer, with other settings, as a standby, over TLS. herald keeps its
//! promises there, or says at the start why it cannot. On SQLite, these tests do nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use herald::config::ServeArgs;
use herald::log::{Database, DatabaseOptions, Observer};
use herald::{App, Parts};
use herald_processes::{PgBouncer, Postgres, Scratch};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, TransactionTrait};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::command_line::run;
use crate::support::{TestApp, TestDatabase, User, certificates, code};

const SEND: &str = "mutation($id: ID!, $body: String!) {
    sendMessage(input: { conversationId: $id, body: $body, idempotencyKey: $body }) { message { id } } }";

const SENT: &str = "subscription($after: Cursor) { messageSent(after: $after) { message { body } } }";

/// A database of its own on the Postgres that tests have, if they have one.
async fn database() -> Option<TestDatabase> {
    std::env::var_os("HERALD_TEST_POSTGRES")?;
    Some(TestDatabase::create().await)
}

/// The port in the URL of a database.
fn port(url: &str) -> &str {
    url.rsplit_once(':').unwrap().1.split_once('/').unwrap().0
}

/// The name in the URL of a database.
fn name(url: &str) -> &str {
    url.rsplit_once('/').unwrap().1
}

/// The same database by another port.
fn through(url: &str, other: u16) -> String {
    url.replace(&format!(":{}/", port(url)), &format!(":{other}/"))
}

/// Why herald does not start on this.
async fn refusal(url: &str) -> String {
    let options =
        DatabaseOptions { url: url.into(), readers: 1, patience: Duration::from_secs(2), observer: None };
    Database::open(&options).await.expect_err("this is to be refused")
}

async fn connect(url: &str) -> DatabaseConnection {
    sea_orm::Database::connect(url).await.unwrap()
}

async fn execute(url: &str, statements: &str) {
    let connection = connect(url).await;
    // Tests change the defaults of this database.
    connection.execute_unprepared("SET default_transaction_read_only = off").await.unwrap();
    connection.execute_unprepared("SET lock_timeout = 0").await.unwrap();
    connection.execute_unprepared(statements).await.unwrap();
    connection.close().await.unwrap();
}

async fn herald_on(url: &str) -> TestApp {
    TestApp::with(|setup| setup.args.database.database = url.into()).await
}

async fn send(user: &User, conversation: &str, body: &str) -> Value {
    user.post(SEND, json!({ "id": conversation, "body": body })).await
}

#[tokio::test]
async fn pooling_by_session_is_as_good_as_none() {
    let Some(database) = database().await else { return };
    let scratch = Scratch::create("herald-it").unwrap();
    let pooler = PgBouncer::start(scratch.path(), port(&database.url).parse().unwrap(), "session", &[]).await;
    let pooler = pooler.unwrap();
    let app = herald_on(&through(&database.url, pooler.port())).await;
    let there = app.another_node_with(|setup| setup.args.limits.poll_interval = 3_600).await;
    let (ada, bob, conversation) = app.pair().await;
    let mut socket = bob.at(there).socket("desk").await;
    socket.follow("m", SENT).await;
    for n in 0..20 {
        ada.send(&conversation, &n.to_string()).await;
        assert_eq!(socket.next("m").await["messageSent"]["message"]["body"], n.to_string());
    }
    assert_eq!(set_in(&database.url, &ada, &conversation, "statement_timeout").await, "5s");
}

#[tokio::test]
async fn pooling_by_transaction_or_statement_is_refused() {
    let Some(database) = database().await else { return };
    let scratch = Scratch::create("herald-it").unwrap();
    for mode in ["transaction", "statement"] {
        for (size, round_robin) in [("20", "0"), ("20", "1"), ("2", "0"), ("2", "1"), ("1", "0")] {
            let settings = [("default_pool_size", size), ("server_round_robin", round_robin)];
            let pooler =
                PgBouncer::start(scratch.path(), port(&database.url).parse().unwrap(), mode, &settings).await;
            let url = through(&database.url, pooler.as_ref().unwrap().port());
            for _ in 0..3 {
                let reason = refusal(&url).await;
                let is_told =
                    reason.starts_with("cannot use this Postgres: ") && reason.contains("session pooling");
                assert!(is_told, "{mode}, {size}, {round_robin}: {reason}");
            }
        }
    }
}

#[tokio::test]
async fn a_pooler_that_is_too_small_is_refused_with_what_to_raise() {
    let Some(database) = database().await else { return };
    let scratch = Scratch::create("herald-it").unwrap();
    let target = port(&database.url).parse().unwrap();
    for size in ["1", "2", "3"] {
        let settings = [("default_pool_size", size)];
        let pooler = PgBouncer::start(scratch.path(), target, "session", &settings).await.unwrap();
        let reason = start_refusal(&through(&database.url, pooler.port())).await;
        assert!(reason.contains("default_pool_size"), "{size}: {reason}");
    }
}

/// Why herald does not start with as few connections as it can have.
async fn start_refusal(url: &str) -> String {
    let mut args = ServeArgs::default();
    args.database.database = url.into();
    (args.database.database_readers, args.database.database_timeout) = (1, 1);
    let opened = App::open(&args, Parts::default()).await;
    let refused = opened.map(drop).expect_err("this is to be refused");
    let mut reasons = refused.to_string();
    let mut source = std::error::Error::source(&refused);
    while let Some(error) = source {
        reasons += &format!(": {error}");
        source = error.source();
    }
    reasons
}

// Two nodes with one reader each.
#[tokio::test]
async fn a_pooler_of_just_enough_connections_is_enough() {
    let Some(database) = database().await else { return };
    let scratch = Scratch::create("herald-it").unwrap();
    let target = port(&database.url).parse().unwrap();
    let settings = [("default_pool_size", "10")];
    let pooler = PgBouncer::start(scratch.path(), target, "session", &settings).await.unwrap();
    let url = through(&database.url, pooler.port());
    let app = TestApp::with(|setup| {
        setup.args.database.database.clone_from(&url);
        setup.args.database.database_readers = 1;
        setup.args.limits.poll_interval = 3_600;
    })
    .await;
    let there = app.another_node().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut socket = bob.at(there).socket("desk").await;
    socket.follow("m", SENT).await;
    for n in 0..20 {
        ada.send(&conversation, &n.to_string()).await;
        assert_eq!(socket.next("m").await["messageSent"]["message"]["body"], n.to_string());
    }
}

/// What a setting is for the writer while it stores a message.
async fn set_in(url: &str, user: &User, conversation: &str, setting: &str) -> String {
    execute(
        url,
        &format!(
            "CREATE TABLE seen (value text);
             CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN INSERT INTO seen VALUES (current_setting('{setting}')); RETURN NULL; END $$;
             CREATE TRIGGER see AFTER INSERT ON messages EXECUTE FUNCTION see()"
        ),
    )
    .await;
    user.send(conversation, "look").await;
    let connection = connect(url).await;
    let question = Statement::from_string(connection.get_database_backend(), "SELECT value FROM seen");
    let seen = connection.query_one_raw(question).await.unwrap().unwrap().try_get("", "value").unwrap();
    connection.execute_unprepared("DROP TABLE seen; DROP FUNCTION see CASCADE").await.unwrap();
    seen
}

#[tokio::test]
async fn defaults_of_the_database_do_not_become_heralds() {
    let Some(database) = database().await else { return };
    for (setting, theirs, heralds) in [
        ("default_transaction_isolation", "serializable", "read committed"),
        ("default_transaction_read_only", "on", "off"),
        ("statement_timeout", "2s", "5s"),
        ("lock_timeout", "1ms", "0"),
        ("idle_in_transaction_session_timeout", "0", "5s"),
        ("idle_session_timeout", "1s", "0"),
        ("tcp_user_timeout", "0", "5000"),
        ("synchronous_commit", "off", "on"),
        ("synchronous_commit", "local", "on"),
        ("synchronous_commit", "remote_write", "on"),
        ("synchronous_commit", "on", "on"),
        ("synchronous_commit", "remote_apply", "remote_apply"),
    ] {
        let alter = format!("ALTER DATABASE {}", name(&database.url));
        execute(&database.url, &format!("{alter} SET {setting} = '{theirs}'")).await;
        let mut app = herald_on(&database.url).await;
        let (ada, _, conversation) = app.pair().await;
        execute(&database.url, &format!("{alter} RESET {setting}")).await;
        let seen = set_in(&database.url, &ada, &conversation, setting).await;
        assert_eq!(seen, heralds, "{setting} = {theirs}");
        app.stop().await;
        execute(&database.url, "TRUNCATE users CASCADE").await;
    }
}

// With `serializable` or `repeatable read`, a writer that waited for the log's head would fail.
#[tokio::test]
async fn nodes_that_write_at_once_are_in_nobodys_way_whatever_level_the_database_prefers() {
    let Some(database) = database().await else { return };
    let level = format!(
        "ALTER DATABASE {} SET default_transaction_isolation = 'repeatable read'",
        name(&database.url)
    );
    execute(&database.url, &level).await;
    let app = herald_on(&database.url).await;
    let there = app.another_node().await;
    let (ada, bob, conversation) = app.pair().await;
    let bob = bob.at(there);
    let sends = (0..60).map(|n| {
        let user = if n % 2 == 0 { &ada } else { &bob };
        let conversation = &conversation;
        async move { send(user, conversation, &n.to_string()).await }
    });
    for answer in futures_util::future::join_all(sends).await {
        assert!(answer.get("errors").is_none(), "{answer}");
    }
}

#[tokio::test]
async fn a_database_without_every_character_is_refused() {
    let Some(database) = database().await else { return };
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = format!("{}_{}", name(&database.url), encoding.to_lowercase());
        let create = format!("CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'");
        execute(&database.url, &create).await;
        let (server, _) = database.url.rsplit_once('/').unwrap();
        let reason = refusal(&format!("{server}/{name}")).await;
        assert!(reason.contains(encoding) && reason.contains("ENCODING 'UTF8'"), "{reason}");
    }
}

/// The URLs of two schemas in one database.
async fn two_schemas(database: &TestDatabase) -> [String; 2] {
    ["red", "blue"].map(|schema| format!("{}?options=-csearch_path%3D{schema}", database.url))
}

#[tokio::test]
async fn two_logs_in_one_database_hear_nothing_of_each_other() {
    let Some(database) = database().await else { return };
    execute(&database.url, "CREATE SCHEMA red; CREATE SCHEMA blue").await;
    let [red, blue] = two_schemas(&database).await;
    let reads = Arc::new(AtomicUsize::new(0));
    let red = herald_on(&red).await;
    let counted = Arc::clone(&reads);
    let blue = TestApp::with(|setup| {
        setup.args.database.database = blue;
        setup.args.limits.poll_interval = 3_600;
        setup.parts.observer = Some(Observer(Arc::new(move |sql| {
            if sql.contains("FROM \"events\"") {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        })));
    })
    .await;
    let (ada, _, theirs) = red.pair().await;
    let (grace, linus, ours) = blue.pair().await;
    let there = blue.another_node_with(|setup| setup.parts.observer = None).await;
    let mut socket = linus.socket("desk").await;
    socket.follow("m", SENT).await;
    let before = reads.load(Ordering::SeqCst);
    for n in 0..10 {
        ada.send(&theirs, &n.to_string()).await;
    }
    // Postgres notifies a listener in the order of commits.
    grace.at(there).send(&ours, "ours").await;
    assert_eq!(socket.next("m").await["messageSent"]["message"]["body"], "ours");
    assert_eq!(reads.load(Ordering::SeqCst) - before, 1, "it reads the log only for its own events");
}

#[tokio::test]
async fn whoever_changes_the_schema_is_waited_for_in_that_schema_and_not_for_ever() {
    let Some(database) = database().await else { return };
    execute(&database.url, "CREATE SCHEMA red; CREATE SCHEMA blue").await;
    let [red, blue] = two_schemas(&database).await;
    let other = connect(&database.url).await;
    let holding = other.begin().await.unwrap();
    holding.execute_unprepared("SELECT pg_advisory_xact_lock(1751478881, hashtext('red'))").await.unwrap();
    let options = |url: &str| DatabaseOptions {
        url: url.into(),
        readers: 1,
        patience: Duration::from_millis(400),
        observer: None,
    };
    Database::open(&options(&blue)).await.unwrap().close().await;
    let error = Database::open(&options(&red)).await.unwrap_err();
    assert!(error.contains("another herald (process ") && error.contains("pg_terminate_backend"), "{error}");
    // herald waits as long as the other one holds the lock.
    let waiting = options(&red);
    let waiting = tokio::spawn(async move { Database::open(&waiting).await });
    holding.commit().await.unwrap();
    waiting.await.unwrap().unwrap().close().await;
    // A database whose schema is current needs no lock.
    let holding = other.begin().await.unwrap();
    holding.execute_unprepared("SELECT pg_advisory_xact_lock(1751478881, hashtext('red'))").await.unwrap();
    Database::open(&options(&red)).await.unwrap().close().await;
}

#[tokio::test]
async fn a_standby_is_refused_and_a_primary_that_becomes_one_is_unavailable_until_there_is_one() {
    if std::env::var_os("HERALD_TEST_POSTGRES").is_none() {
        return;
    }
    let scratch = Scratch::create("herald-it").unwrap();
    let postgres = Postgres::start(scratch.path(), &[]).await.unwrap();
    let app = TestApp::with(|setup| {
        setup.args.database.database = postgres.url();
        setup.args.database.database_timeout = 1;
    })
    .await;
    let (ada, _, conversation) = app.pair().await;
    postgres.start_as_standby().await.unwrap();
    assert_eq!(code(&send(&ada, &conversation, "to a standby").await), "UNAVAILABLE");
    let reason = refusal(&postgres.url()).await;
    assert!(reason.contains("is a standby") && reason.contains("Name the primary"), "{reason}");
    postgres.promote().await.unwrap();
    loop {
        let answer = send(&ada, &conversation, "to a primary").await;
        if answer.get("errors").is_none() {
            break;
        }
        assert_eq!(code(&answer), "UNAVAILABLE", "{answer}");
    }
}

#[tokio::test]
async fn a_start_that_fails_says_why_and_nothing_of_the_url() {
    let Some(database) = database().await else { return };
    let port = port(&database.url);
    let missing = herald_processes::free_port().unwrap();
    for (url, word) in [
        (format!("postgres://postgres:hunter2@127.0.0.1:{missing}/herald"), "connection refused"),
        (format!("postgres://postgres:hunter2@127.0.0.1:{port}/hunter2"), "no such database"),
        (format!("postgres://hunter2:hunter2@127.0.0.1:{port}/postgres"), "does not let this user in"),
        (format!("postgres://hunter2:hunter2@hunter2.invalid:{port}/postgres"), "host has no address"),
        (format!("postgres://postgres:hunter2@127.0.0.1:{port}/postgres?sslmode=require"), "TLS failed"),
        (format!("postgres:///postgres?host=/hunter2&password=hunter2&port={port}"), "no such file"),
        ("postgres://postgres:hunter2#x@127.0.0.1/herald".into(), "%23"),
        ("postgres://postgres:hunter2/x@127.0.0.1/herald".into(), "%23"),
        ("postgres://postgres:hunter2?x@127.0.0.1/herald".into(), "%23"),
        ("postgres://postgres:hunter2%@127.0.0.1/herald".into(), "%23"),
        ("postgres://postgres:hunter2@a,b/herald".into(), "several hosts"),
        (
            "postgres://postgres:hunter2@a:1,b:2/herald?target_session_attrs=read-write".into(),
            "several hosts",
        ),
        ("host=127.0.0.1 user=postgres password=hunter2".into(), "is not read"),
        ("POSTGRES://postgres:hunter2@127.0.0.1/herald".into(), "expected sqlite://"),
        ("hunter2".into(), "expected sqlite://"),
    ] {
        for command in ["serve", "migrate"] {
            let (succeeded, text) = run(&[command, "--database", &url, "--database-timeout", "2"], "").await;
            assert!(!succeeded && text.contains(word), "{command} {url}: {text}");
            assert!(!text.contains("unter2"), "{command} {url}: {text}");
        }
    }
}

// The pool itself only reports that no connection was free in time. herald finds the cause.
#[tokio::test]
async fn a_postgres_that_goes_away_is_told_with_the_cause() {
    if std::env::var_os("HERALD_TEST_POSTGRES").is_none() {
        return;
    }
    let scratch = Scratch::create("herald-it").unwrap();
    let postgres = Postgres::start(scratch.path(), &[]).await.unwrap();
    let mut herald = tokio::process::Command::new(env!("CARGO_BIN_EXE_herald"))
        .args(["serve", "--listen", "127.0.0.1:0", "--database-timeout", "1", "--database", &postgres.url()])
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(herald.stderr.take().unwrap()).lines();
    while !lines.next_line().await.unwrap().expect("herald starts").contains("health") {}
    postgres.crash().await.unwrap();
    // herald polls the log, and so it notices the failure.
    while !lines.next_line().await.unwrap().expect("herald goes on").contains("(connection refused)") {}
}

#[tokio::test]
async fn a_server_with_tls_passwords_and_settings_that_risk_data_is_taken_for_what_it_is() {
    if std::env::var_os("HERALD_TEST_POSTGRES").is_none() {
        return;
    }
    let scratch = Scratch::create("herald-it").unwrap();
    let authority = certificates::authority(scratch.path());
    let [certificate, key] = certificates::certificate(scratch.path(), "server");
    let hba = scratch.path().join("pg_hba.conf");
    std::fs::write(&hba, "host all ada all scram-sha-256\nhost all all all trust\n").unwrap();
    herald_processes::give_to_postgres(&key).unwrap();
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let settings = [
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("ssl", "on"),
        ("ssl_cert_file", certificate),
        ("ssl_key_file", key),
        ("hba_file", hba.to_str().unwrap()),
    ];
    let postgres = Postgres::start(scratch.path(), &settings).await.unwrap();
    execute(&postgres.url(), "CREATE ROLE ada SUPERUSER LOGIN PASSWORD 'right'").await;
    let (port, authority) = (postgres.port(), authority.to_str().unwrap());
    let migrate = async |url: &str, roots: Option<&str>| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_herald"));
        command.args(["migrate", "--database", url]).env_remove("SSL_CERT_FILE");
        if let Some(roots) = roots {
            command.env("SSL_CERT_FILE", roots);
        }
        let output = command.output().await.unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let named = format!("sslrootcert={authority}");
    for (host, parameters, roots, word) in [
        ("localhost", format!("sslmode=verify-full&{named}"), None, "is current"),
        ("localhost", "sslmode=verify-full".into(), Some(authority), "is current"),
        ("localhost", "sslmode=verify-full&sslrootcert=system".into(), Some(authority), "is current"),
        ("127.0.0.1", format!("sslmode=verify-ca&{named}"), None, "is current"),
        ("127.0.0.1", "sslmode=require".into(), None, "is current"),
        ("localhost", "sslmode=verify-full".into(), None, "Name the certificate authority"),
        ("localhost", format!("sslmode=require&sslrootcert={certificate}"), None, "TLS failed"),
        ("127.0.0.1", format!("sslmode=verify-full&{named}"), None, "sslmode=verify-ca"),
        ("localhost", "sslmode=verify-full&sslrootcert=/nowhere.pem".into(), None, "no such file"),
    ] {
        let url = format!("postgres://postgres@{host}:{port}/postgres?{parameters}");
        let said = migrate(&url, roots).await;
        assert!(said.contains(word), "{host} {parameters} {roots:?}: {said}");
        assert!(word == "is current" || !said.contains("localhost"), "{said}");
    }
    let said = migrate(&format!("postgres://ada:hunter2@localhost:{port}/postgres"), None).await;
    assert!(said.contains("the password is wrong") && !said.contains("hunter2"), "{said}");
    // herald cannot listen at this address, so it ends after it has opened the database.
    let url = format!("{}?sslmode=disable", postgres.url());
    let (_, said) = run(&["serve", "--listen", "192.0.2.1:1", "--database", &url], "").await;
    assert!(said.contains("fsync = off") && said.contains("full_page_writes = off"), "{said}");
}
