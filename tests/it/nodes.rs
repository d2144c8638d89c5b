//! Several heralds on one Postgres. SQLite is for one: there, these tests have nothing to do.

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, Database};
use serde_json::{Value, json};

use crate::support::{Socket, TestApp};

const EVENTS: &str = "subscription($after: Cursor) { events(after: $after) {
    cursor ... on MessageSent { message { body } } ... on StatusChanged { status } } }";

const SEND: &str = "mutation($id: ID!, $body: String!, $key: String) {
    sendMessage(input: { conversationId: $id, body: $body, idempotencyKey: $key }) { message { id } } }";

/// A herald on Postgres that does not look into the log by itself while a test lasts: what it knows of other nodes, it
/// was told.
async fn on_postgres() -> Option<TestApp> {
    std::env::var_os("HERALD_TEST_POSTGRES")?;
    Some(TestApp::with(|setup| setup.args.limits.poll_interval = 3_600).await)
}

async fn said(socket: &mut Socket) -> Value {
    socket.next("e").await["events"]["message"]["body"].take()
}

#[tokio::test]
async fn what_is_sent_at_one_node_arrives_at_another() {
    let Some(app) = on_postgres().await else { return };
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

#[tokio::test]
async fn what_a_connection_caused_is_left_out_at_every_node() {
    let Some(app) = on_postgres().await else { return };
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

#[tokio::test]
async fn a_message_sent_at_two_nodes_at_once_is_one() {
    let Some(app) = on_postgres().await else { return };
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

#[tokio::test]
async fn a_node_that_was_cut_off_from_the_news_hears_them_again() {
    let Some(app) = on_postgres().await else { return };
    let (ada, bob, conversation) = app.pair().await;
    let there = app.another_node().await;
    let mut socket = bob.at(there).socket("desk").await;
    socket.follow("e", EVENTS).await;
    ada.send(&conversation, "before").await;
    assert_eq!(said(&mut socket).await, "before");
    let database = Database::connect(&app.database.url).await.unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    database.execute_unprepared(cut).await.unwrap();
    database.close().await.unwrap();
    // What was said meanwhile comes with the first that is heard of.
    let mut expected = Vec::new();
    let mut heard = Vec::new();
    for n in 0.. {
        ada.send(&conversation, &n.to_string()).await;
        expected.push(json!(n.to_string()));
        let moment = std::time::Duration::from_millis(200);
        if let Ok(body) = tokio::time::timeout(moment, said(&mut socket)).await {
            heard.push(body);
            break;
        }
    }
    while heard.len() < expected.len() {
        heard.push(said(&mut socket).await);
    }
    assert_eq!(heard, expected);
}
