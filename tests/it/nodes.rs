//! Several nodes on one Postgres, with each feed between them. SQLite is for one node; there these tests do nothing.

use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use herald::log::Observer;
use herald_processes::{Nats, Scratch, free_port};
use sea_orm::{ConnectionTrait, Database};
use serde_json::{Value, json};

use crate::support::{Socket, TestApp, TestDatabase, User};

const EVENTS: &str = "subscription($after: Cursor) { events(after: $after) { __typename
    cursor ... on MessageSent { message { body } } ... on StatusChanged { status } } }";

const SEND: &str = "mutation($id: ID!, $body: String!, $key: String) {
    sendMessage(input: { conversationId: $id, body: $body, idempotencyKey: $key }) { message { id } } }";

/// A herald on Postgres that does not look into the log by itself while a test lasts: what it knows of other nodes, it
/// was told. Once for each feed: NATS is where `HERALD_TEST_NATS` says.
async fn on_each_feed() -> Vec<TestApp> {
    if std::env::var_os("HERALD_TEST_POSTGRES").is_none() {
        return Vec::new();
    }
    let nats = std::env::var("HERALD_TEST_NATS").expect("a nats-server: tests/run starts one");
    let mut apps = Vec::new();
    for feed in [None, Some(nats)] {
        let setup = TestApp::with(|setup| {
            setup.args.limits.poll_interval = 3_600;
            setup.args.feed = feed;
        });
        apps.push(setup.await);
    }
    apps
}

async fn said(socket: &mut Socket) -> Value {
    socket.next("e").await["events"]["message"]["body"].take()
}

#[tokio::test]
async fn what_is_sent_at_one_node_arrives_at_another() {
    for app in on_each_feed().await {
        let (ada, bob, conversation) = app.pair().await;
        let there = app.another_node().await;
        let mut socket = bob.at(there).socket("desk").await;
        socket.follow("e", EVENTS).await;
        for n in 0..20 {
            ada.send(&conversation, &n.to_string()).await;
            assert_eq!(said(&mut socket).await, n.to_string());
        }
        let message = bob.at(there).send(&conversation, "back").await;
        assert_eq!(said(&mut socket).await, "back");
        ada.mark_read(&message).await;
        assert_eq!(socket.next("e").await["events"]["status"], "READ");
    }
}

#[tokio::test]
async fn what_a_connection_caused_is_left_out_at_every_node() {
    for app in on_each_feed().await {
        let (ada, bob, conversation) = app.pair().await;
        let there = app.another_node().await;
        let mut socket = bob.at(there).socket("desk").await;
        let start = socket.cursor.clone();
        socket.follow("e", EVENTS).await;
        bob.on("desk").send(&conversation, "own").await;
        ada.send(&conversation, "other").await;
        assert_eq!(said(&mut socket).await, "other");
        let mut again = bob.socket("desk").await;
        again.follow_after("e", EVENTS, &start).await;
        assert_eq!(said(&mut again).await, "other");
    }
}

#[tokio::test]
async fn who_leaves_at_one_node_sees_nothing_more_at_another() {
    for app in on_each_feed().await {
        let (ada, bob, conversation) = app.pair().await;
        let there = app.another_node().await;
        let (mut all, mut one) = (bob.at(there).socket("a").await, bob.at(there).socket("b").await);
        all.follow("e", EVENTS).await;
        let events = "subscription($after: Cursor, $id: ID) {
            events(after: $after, conversationId: $id) { __typename ... on MessageSent { message { body } } } }";
        let after = one.cursor.clone();
        one.subscribe("e", events, json!({ "after": after, "id": conversation })).await;
        ada.send(&conversation, "before").await;
        bob.leave(&conversation).await;
        ada.send(&conversation, "after").await;
        let another = ada.start(&[&bob]).await;
        ada.send(&another, "elsewhere").await;
        for socket in [&mut all, &mut one] {
            assert_eq!(said(socket).await, "before");
            assert_eq!(socket.next("e").await["events"]["__typename"], "ParticipantLeft");
        }
        one.completed("e").await;
        assert_eq!(all.next("e").await["events"]["__typename"], "ConversationStarted");
        assert_eq!(said(&mut all).await, "elsewhere");
    }
}

#[tokio::test]
async fn a_message_sent_at_two_nodes_at_once_is_one() {
    for app in on_each_feed().await {
        let (ada, bob, conversation) = app.pair().await;
        let nodes = [app.address, app.another_node().await, app.another_node().await];
        for n in 0..10 {
            let (body, key) = (format!("message {n}"), format!("key {n}"));
            let variables = json!({ "id": conversation, "body": body, "key": key });
            let senders: Vec<_> = nodes.iter().map(|node| ada.at(*node)).collect();
            let sent = join_all(senders.iter().map(|ada| ada.data(SEND, variables.clone()))).await;
            assert!(sent.iter().all(|data| data == &sent[0]), "{sent:?}");
        }
        let all = "query($id: ID!) { conversation(id: $id) { messages(first: 200) { nodes { body } } } }";
        let found = bob.data(all, json!({ "id": conversation })).await;
        assert_eq!(found["conversation"]["messages"]["nodes"].as_array().unwrap().len(), 10);
    }
}

#[tokio::test]
async fn two_who_start_at_two_nodes_at_once_find_one_conversation() {
    const START: &str = "mutation($handle: String!) {
        startConversation(input: { participantHandles: [$handle], distinct: true }) { conversation { id } } }";
    for app in on_each_feed().await {
        let ada = app.user("ada").await;
        let nodes = [app.address, app.another_node().await];
        let mut socket = ada.socket("desk").await;
        socket.follow("e", "subscription($after: Cursor) { events(after: $after) { __typename } }").await;
        for _ in 0..10 {
            let bob = app.user("bob").await;
            let (here, there) = (ada.at(nodes[0]), bob.at(nodes[1]));
            let (one, other) = tokio::join!(
                here.data(START, json!({ "handle": bob.handle })),
                there.data(START, json!({ "handle": ada.handle }))
            );
            assert_eq!(one, other);
            assert_eq!(socket.next("e").await["events"]["__typename"], "ConversationStarted");
            let id = one["startConversation"]["conversation"]["id"].as_str().unwrap();
            bob.send(id, "one conversation").await;
            assert_eq!(socket.next("e").await["events"]["__typename"], "MessageSent");
        }
    }
}

// A notification through NATS has everything that a node needs to deliver its events.
#[tokio::test]
async fn a_node_that_hears_everything_through_nats_does_not_read_the_log() {
    let Some(app) = on_each_feed().await.pop() else { return };
    let (ada, bob, conversation) = app.pair().await;
    let statements = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&statements);
    let there = app.another_node_with(|setup| {
        setup.parts.observer =
            Some(Observer(Arc::new(move |sql: &str| seen.lock().unwrap().push(sql.to_owned()))));
    });
    let there = there.await;
    let mut socket = bob.at(there).socket("desk").await;
    socket.follow("e", EVENTS).await;
    let reads = || {
        let statements = statements.lock().unwrap();
        let reads = statements.iter().filter(|sql| sql.contains("\"events\"") || sql.contains("log_head"));
        reads.cloned().collect::<Vec<_>>()
    };
    // A subscription may read the events from before it has joined. An event that no statement read came by the feed.
    loop {
        statements.lock().unwrap().clear();
        ada.send(&conversation, "the first").await;
        assert_eq!(said(&mut socket).await, "the first");
        if reads().is_empty() {
            break;
        }
    }
    for n in 0..20 {
        ada.send(&conversation, &n.to_string()).await;
        assert_eq!(said(&mut socket).await, n.to_string());
    }
    assert_eq!(reads(), Vec::<String>::new());
}

#[tokio::test]
async fn nats_may_come_later_and_go_and_come_back() {
    if std::env::var_os("HERALD_TEST_POSTGRES").is_none() {
        return;
    }
    let scratch = Scratch::create("herald-it").unwrap();
    let mut nats = Nats::start(scratch.path()).await.unwrap();
    nats.kill().await;
    // This is the default: without notifications, a node polls the log every second.
    let app = TestApp::with(|setup| {
        setup.args.feed = Some(format!("nats://127.0.0.1:{}", nats.port()));
    })
    .await;
    let (ada, bob, conversation) = app.pair().await;
    let there = app.another_node().await;
    let mut socket = bob.at(there).socket("desk").await;
    socket.follow("e", EVENTS).await;
    for round in 0..2 {
        ada.send(&conversation, &format!("{round} without")).await;
        assert_eq!(said(&mut socket).await, format!("{round} without"));
        nats.start_again().await.unwrap();
        for n in 0..20 {
            ada.send(&conversation, &format!("{round} {n}")).await;
        }
        for n in 0..20 {
            assert_eq!(said(&mut socket).await, format!("{round} {n}"));
        }
        nats.kill().await;
    }
}

// The passwords have characters that must be encoded in a URL.
#[tokio::test]
async fn nats_may_ask_for_a_password_or_a_token() {
    if std::env::var_os("HERALD_TEST_POSTGRES").is_none() {
        return;
    }
    for (flags, user) in [
        (vec!["--user", "ada", "--pass", "p@ss/word"], "ada:p%40ss%2Fword"),
        (vec!["--auth", "s/t"], "s%2Ft"),
    ] {
        let port = free_port().unwrap();
        let _nats = tokio::process::Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", &port.to_string()])
            .args(flags)
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let app = TestApp::with(|setup| {
            setup.args.limits.poll_interval = 3_600;
            setup.args.feed = Some(format!("nats://{user}@127.0.0.1:{port}"));
        })
        .await;
        let (ada, bob, conversation) = app.pair().await;
        let mut socket = bob.at(app.another_node().await).socket("desk").await;
        socket.follow("e", EVENTS).await;
        // The messages from before both nodes could sign in come with the first notification. They may have been read
        // from the log. The later ones came by the feed.
        let (mut sent, mut heard) = (0, 0);
        while heard < 5 {
            ada.send(&conversation, &sent.to_string()).await;
            sent += 1;
            let moment = std::time::Duration::from_millis(200);
            while heard < sent
                && let Ok(body) = tokio::time::timeout(moment, said(&mut socket)).await
            {
                assert_eq!(body, heard.to_string());
                heard += 1;
            }
            assert!(sent < 100, "nothing is heard");
        }
    }
}

// Each node reads this from the database, not from the feed, at most a second later.
#[tokio::test]
async fn a_session_that_ends_at_one_node_has_ended_at_every_node() {
    if std::env::var_os("HERALD_TEST_POSTGRES").is_none() {
        return;
    }
    let app = TestApp::start().await;
    let (ada, bob, _) = app.pair().await;
    let other = bob.sign_in_again().await;
    let nodes = [app.another_node().await, app.another_node().await];
    let mut sockets = Vec::new();
    for node in nodes {
        // A request with the token alone works there, too.
        bob.at(node).data("{ viewer { id } }", json!({})).await;
        sockets.push(bob.at(node).socket("desk").await);
    }
    let mut untouched = other.at(nodes[0]).socket("phone").await;
    bob.data("mutation { logout { ended } }", json!({})).await;
    let ended = std::time::Instant::now();
    for (node, socket) in nodes.into_iter().zip(&mut sockets) {
        assert_eq!(socket.closed().await.code, 4403);
        assert_eq!(
            bob.at(node).refused("{ conversations { nodes { id } } }", json!({})).await,
            "UNAUTHENTICATED"
        );
    }
    // The limit is generous, because the machine may be busy. It shows that it does not take minutes.
    assert!(ended.elapsed().as_secs() < 10, "{:?}", ended.elapsed());
    untouched.follow("e", EVENTS).await;
    ada.start(&[&other]).await;
    assert_eq!(untouched.next("e").await["events"]["__typename"], "ConversationStarted");
}

#[tokio::test]
async fn nodes_that_start_at_once_on_an_empty_database_agree_on_who_makes_it() {
    if std::env::var_os("HERALD_TEST_POSTGRES").is_none() {
        return;
    }
    let database = TestDatabase::create().await;
    let nodes = (0..4).map(|_| {
        let mut args = herald::config::ServeArgs::default();
        args.database.database.clone_from(&database.url);
        async move {
            let opened = herald::App::open(&args, herald::Parts::default()).await;
            opened.map(drop).map_err(|error| error.to_string())
        }
    });
    assert_eq!(join_all(nodes).await, vec![Ok(()); 4]);
}

#[tokio::test]
async fn a_node_that_lost_the_feed_receives_notifications_again() {
    let Some(app) = on_each_feed().await.into_iter().next() else { return };
    let (ada, bob, conversation) = app.pair().await;
    let there = app.another_node().await;
    let mut socket = bob.at(there).socket("desk").await;
    socket.follow("e", EVENTS).await;
    ada.send(&conversation, "before").await;
    assert_eq!(said(&mut socket).await, "before");
    let database = Database::connect(&app.database.url).await.unwrap();
    database.execute_unprepared(CUT_LISTENERS).await.unwrap();
    database.close().await.unwrap();
    send_until_heard(&ada, &conversation, &mut socket).await;
}

const CUT_LISTENERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'LISTEN%'";

/// Sends until the other node hears of it. The messages from in between come with the first notification.
async fn send_until_heard(sender: &User, conversation: &str, socket: &mut Socket) {
    let mut expected = Vec::new();
    let mut heard = Vec::new();
    for n in 0..100 {
        sender.send(conversation, &n.to_string()).await;
        expected.push(json!(n.to_string()));
        let moment = std::time::Duration::from_millis(200);
        if let Ok(body) = tokio::time::timeout(moment, said(socket)).await {
            heard.push(body);
            break;
        }
    }
    while heard.len() < expected.len() {
        heard.push(said(socket).await);
    }
    assert_eq!(heard, expected);
}

// As `pg_restore --clean` makes it. The name of the channel comes from the table.
#[tokio::test]
async fn nodes_hear_each_other_when_the_table_of_the_log_is_made_anew() {
    let Some(app) = on_each_feed().await.into_iter().next() else { return };
    let (ada, bob, conversation) = app.pair().await;
    let there = app.another_node().await;
    let mut socket = bob.at(there).socket("desk").await;
    socket.follow("e", EVENTS).await;
    let database = Database::connect(&app.database.url).await.unwrap();
    let make_anew = "CREATE TABLE made_anew (LIKE log_head INCLUDING ALL);
        INSERT INTO made_anew SELECT * FROM log_head; DROP TABLE log_head;
        ALTER TABLE made_anew RENAME TO log_head";
    database.execute_unprepared(make_anew).await.unwrap();
    database.execute_unprepared(CUT_LISTENERS).await.unwrap();
    send_until_heard(&ada, &conversation, &mut socket).await;
    // Connections that last move to the new channel by themselves.
    database.execute_unprepared(make_anew).await.unwrap();
    send_until_heard(&ada, &conversation, &mut socket).await;
    database.close().await.unwrap();
}
