//! A Postgres that fails, does not answer or is busy: herald answers UNAVAILABLE in bounded time, loses and repeats
//! nothing, and recovers by itself. On SQLite, these tests do nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use herald::log::Observer;
use herald_processes::{Direction, PgBouncer, Postgres, Proxy, Scratch};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, TransactionTrait};
use serde_json::{Value, json};

use crate::plans::statements;
use crate::support::{Socket, TABLES, TestApp, User, code, until};

const SEND: &str = "mutation($id: ID!, $body: String!, $key: String) {
    sendMessage(input: { conversationId: $id, body: $body, idempotencyKey: $key }) { message { id } } }";

const SENT: &str = "subscription($after: Cursor) { messageSent(after: $after) { message { body } } }";

/// A herald that reaches its Postgres through a proxy, and has the patience of a test.
async fn behind_a_proxy() -> Option<(TestApp, Arc<Proxy>)> {
    let port = port_of_postgres()?;
    let proxy = Arc::new(Proxy::start(port).await.unwrap());
    let app = TestApp::with(|setup| {
        let url = &mut setup.args.database.database;
        *url = url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port()));
        setup.args.database.database_timeout = 1;
    });
    Some((app.await, proxy))
}

fn port_of_postgres() -> Option<u16> {
    let server = std::env::var("HERALD_TEST_POSTGRES").ok()?;
    let (_, address) = server.rsplit_once('@')?;
    let (port, _) = address.strip_prefix("127.0.0.1:")?.split_once('/')?;
    port.parse().ok()
}

async fn on_postgres() -> Option<TestApp> {
    std::env::var_os("HERALD_TEST_POSTGRES")?;
    Some(TestApp::with(|setup| setup.args.database.database_timeout = 1).await)
}

async fn send(user: &User, conversation: &str, body: &str) -> Value {
    user.post(SEND, json!({ "id": conversation, "body": body, "key": body })).await
}

/// Sends under one key until it is answered, as a client does.
async fn send_until_answered(user: &User, conversation: &str, body: &str) {
    loop {
        let response = send(user, conversation, body).await;
        if response.get("errors").is_none() {
            return;
        }
        assert_eq!(code(&response), "UNAVAILABLE", "{response}");
    }
}

async fn said(socket: &mut Socket) -> Value {
    socket.next("m").await["messageSent"]["message"]["body"].take()
}

async fn connect(app: &TestApp) -> DatabaseConnection {
    Database::connect(&app.database.url).await.unwrap()
}

#[tokio::test]
async fn a_network_that_is_silent_or_gone_is_unavailable_until_it_is_back() {
    let Some((app, proxy)) = behind_a_proxy().await else { return };
    let (ada, bob, conversation) = app.pair().await;
    let mut socket = bob.socket("desk").await;
    socket.follow("m", SENT).await;
    let mut expected = Vec::new();
    for (n, direction) in [None, Some(Direction::ToServer), Some(Direction::ToClient), Some(Direction::Both)]
        .into_iter()
        .enumerate()
    {
        let mut late = bob.socket("late").await;
        match direction {
            None => proxy.cut(),
            Some(direction) => proxy.hold(direction),
        }
        let body = format!("while {direction:?}");
        let since = late.cursor.clone();
        late.follow_after("m", SENT, &since).await;
        assert_eq!(code(&send(&ada, &conversation, &body).await), "UNAVAILABLE");
        assert_eq!(ada.refused("{ conversations { nodes { id } } }", json!({})).await, "UNAVAILABLE");
        let ready = app.request("GET", "/readyz", &[], b"").await;
        assert_eq!(ready.status, 503);
        proxy.pass();
        send_until_answered(&ada, &conversation, &body).await;
        send_until_answered(&ada, &conversation, &n.to_string()).await;
        // A subscription that could not begin during the failure has begun now.
        assert_eq!(said(&mut late).await, body);
        assert_eq!(said(&mut late).await, n.to_string());
        expected.extend([body, n.to_string()]);
    }
    for body in expected {
        assert_eq!(said(&mut socket).await, body);
    }
}

// A node that stops while it holds the lock of the log's head blocks all other nodes, but not for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_stops_amid_a_transaction_does_not_stop_the_others() {
    let Some(app) = on_postgres().await else { return };
    stop_a_node(app).await;
}

// A pooler lets no start-up parameters through.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_stops_behind_a_pooler_does_not_stop_the_others() {
    let Some(target) = port_of_postgres() else { return };
    let scratch = Scratch::create("herald-it").unwrap();
    let pooler = PgBouncer::start(scratch.path(), target, "session", &[]).await.unwrap();
    let app = TestApp::with(|setup| {
        let url = &mut setup.args.database.database;
        *url = url.replace(&format!(":{target}/"), &format!(":{}/", pooler.port()));
        setup.args.database.database_timeout = 1;
    });
    stop_a_node(app.await).await;
}

async fn stop_a_node(app: TestApp) {
    let (ada, bob, conversation) = app.pair().await;
    let (locked, mut locks) = tokio::sync::mpsc::unbounded_channel();
    let (go_on, gone_on) = std::sync::mpsc::channel();
    let (armed, gone_on) = (Arc::new(AtomicBool::new(true)), Mutex::new(gone_on));
    let holding = Arc::clone(&armed);
    let there = app.another_node_with(|setup| {
        setup.parts.observer = Some(Observer(Arc::new(move |sql| {
            if sql.contains("FOR UPDATE") && holding.swap(false, Ordering::SeqCst) {
                locked.send(()).unwrap();
                tokio::task::block_in_place(|| gone_on.lock().unwrap().recv().unwrap());
            }
        })));
    });
    let there = there.await;
    let mut socket = bob.socket("desk").await;
    socket.follow("m", SENT).await;
    let (stopped, to) = (ada.at(there), conversation.clone());
    let stopped = tokio::spawn(async move { send(&stopped, &to, "from the one that stops").await });
    locks.recv().await.unwrap();
    send_until_answered(&ada, &conversation, "from another").await;
    assert_eq!(said(&mut socket).await, "from another");
    go_on.send(()).unwrap();
    assert_eq!(code(&stopped.await.unwrap()), "UNAVAILABLE");
    // The node works again, and nothing of its unfinished transaction is stored.
    send_until_answered(&ada.at(there), &conversation, "from the one that stopped").await;
    assert_eq!(said(&mut socket).await, "from the one that stopped");
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_unavailable() {
    let Some(app) = on_postgres().await else { return };
    let (ada, bob, conversation) = app.pair().await;
    let mut socket = bob.socket("desk").await;
    socket.follow("m", SENT).await;
    let database = connect(&app).await;
    let busy = database.begin().await.unwrap();
    busy.execute_unprepared("SELECT 1 FROM log_head FOR UPDATE").await.unwrap();
    // There are many commands. herald must not try them one by one, because each try would take a whole timeout.
    let sends = (0..40).map(|n| {
        let (ada, conversation) = (ada.clone(), conversation.clone());
        async move { code(&send(&ada, &conversation, &format!("late {n}")).await).to_owned() }
    });
    let answers =
        tokio::time::timeout(std::time::Duration::from_secs(15), futures_util::future::join_all(sends));
    assert_eq!(answers.await.expect("an answer in time"), vec!["UNAVAILABLE"; 40]);
    busy.rollback().await.unwrap();
    send_until_answered(&ada, &conversation, "in time").await;
    assert_eq!(said(&mut socket).await, "in time");
}

#[tokio::test]
async fn a_pool_that_is_used_up_is_unavailable() {
    let Some(app) = on_postgres().await else { return };
    let (ada, _, _) = app.pair().await;
    let database = connect(&app).await;
    let busy = database.begin().await.unwrap();
    busy.execute_unprepared("LOCK TABLE participants IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let reads = (0..20).map(|_| ada.refused("{ conversations { nodes { id } } }", json!({})));
    assert_eq!(futures_util::future::join_all(reads).await, vec!["UNAVAILABLE"; 20]);
    busy.rollback().await.unwrap();
    let found = ada.data("{ conversations { nodes { id } } }", json!({})).await;
    assert_eq!(found["conversations"]["nodes"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_postgres_that_crashes_and_starts_again_has_lost_nothing_that_was_answered() {
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
    let (ada, bob, conversation) = app.pair().await;
    let mut socket = bob.socket("desk").await;
    socket.follow("m", SENT).await;
    for round in 0..2 {
        send_until_answered(&ada, &conversation, &format!("{round} before")).await;
        postgres.crash().await.unwrap();
        assert_eq!(code(&send(&ada, &conversation, &format!("{round} during")).await), "UNAVAILABLE");
        postgres.start_again().await.unwrap();
        send_until_answered(&ada, &conversation, &format!("{round} during")).await;
        send_until_answered(&ada, &conversation, &format!("{round} after")).await;
        for part in ["before", "during", "after"] {
            assert_eq!(said(&mut socket).await, format!("{round} {part}"));
        }
    }
}

// Postgres refuses a prepared statement whose result would have another column than before.
#[tokio::test]
async fn a_later_herald_may_add_columns_while_this_one_serves() {
    if std::env::var_os("HERALD_TEST_POSTGRES").is_none() {
        return;
    }
    // Every statement is prepared on the one connection that runs it again.
    let app = TestApp::with(|setup| setup.args.database.database_readers = 1).await;
    statements(&app).await;
    let database = connect(&app).await;
    for table in TABLES {
        let add = format!("ALTER TABLE {table} ADD COLUMN of_a_later_herald text");
        database.execute_unprepared(&add).await.unwrap();
    }
    statements(&app).await;
    database.close().await.unwrap();
}

// Postgres refuses a prepared statement whose result would have another type than before.
#[tokio::test]
async fn a_later_herald_may_change_the_type_of_a_column_while_this_one_serves() {
    if std::env::var_os("HERALD_TEST_POSTGRES").is_none() {
        return;
    }
    let app = TestApp::with(|setup| setup.args.database.database_readers = 1).await;
    let (ada, bob, conversation) = app.pair().await;
    let mut socket = bob.socket("desk").await;
    socket.follow("m", SENT).await;
    let before = bob.cursor().await;
    ada.send(&conversation, "before").await;
    statements(&app).await;
    let database = connect(&app).await;
    for (table, column) in
        [("messages", "body"), ("conversations", "title"), ("users", "display_name"), ("events", "data")]
    {
        let change = format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar(100000)");
        database.execute_unprepared(&change).await.unwrap();
    }
    database.close().await.unwrap();
    let shown = "{ conversations(first: 5) { nodes { title messages(first: 5) { nodes { body } } } } }";
    until(|| async { send(&ada, &conversation, "after").await.get("errors").is_none() }).await;
    until(|| async { bob.post(shown, json!({})).await.get("errors").is_none() }).await;
    let mut replayed = bob.socket("phone").await;
    replayed.follow_after("m", SENT, &before).await;
    for socket in [&mut socket, &mut replayed] {
        assert_eq!(said(socket).await, "before");
        assert_eq!(said(socket).await, "after");
    }
    // Nothing is left that fails.
    statements(&app).await;
}
