//! Times follow the log: a later event has a later time, whatever the clocks do. This also holds for times as text.

use sea_orm::{ConnectionTrait, Database};
use serde_json::{Value, json};

use crate::support::{TestApp, User};

const HISTORY: &str = "query($id: ID!) { conversation(id: $id) { createdAt messages(first: 50) {
    edges { cursor node { cursor body sentAt receipts(first: 5) { nodes { deliveredAt readAt } } } } } } }";

async fn history(user: &User, conversation: &str) -> Value {
    user.data(HISTORY, json!({ "id": conversation })).await["conversation"].take()
}

fn times(history: &Value) -> Vec<String> {
    let edges = history["messages"]["edges"].as_array().unwrap();
    edges.iter().map(|edge| edge["node"]["sentAt"].as_str().unwrap().to_owned()).collect()
}

/// Has the newest event have happened then, as if the clock had been set back since.
async fn set_back(app: &TestApp, newest: i64) {
    let database = Database::connect(&app.database.url).await.unwrap();
    let statement = format!("UPDATE log_head SET at_micros = {newest}");
    database.execute_unprepared(&statement).await.unwrap();
    database.close().await.unwrap();
}

#[tokio::test]
async fn times_increase_with_the_log_even_if_the_clock_is_set_back() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    ada.send(&conversation, "before").await;
    // 2100-01-01, and a second and a bit.
    set_back(&app, 4_102_444_801_000_007).await;
    let bodies: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let sends = bodies.iter().map(|body| ada.send(&conversation, body));
    let ids = futures_util::future::join_all(sends).await;
    bob.mark_delivered(&ids[3]).await;
    bob.mark_read(&ids[3]).await;

    let history = history(&bob, &conversation).await;
    let times = times(&history);
    assert!(times.iter().all(|time| time.len() == "2100-01-01T00:00:01.000008Z".len()), "{times:?}");
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    assert_eq!(times[1], "2100-01-01T00:00:01.000008Z");
    assert!(history["createdAt"].as_str().unwrap() < times[0].as_str());
    let marked = history["messages"]["edges"].as_array().unwrap().iter().filter_map(|edge| {
        let receipt = &edge["node"]["receipts"]["nodes"][0];
        Some((
            edge["node"]["sentAt"].as_str()?,
            receipt["deliveredAt"].as_str()?,
            receipt["readAt"].as_str()?,
        ))
    });
    let marked: Vec<_> = marked.collect();
    assert!(marked.len() > 3, "{history}");
    assert!(marked.iter().all(|(sent, delivered, read)| sent < delivered && delivered < read), "{marked:?}");
}

#[tokio::test]
async fn a_messages_cursor_is_its_place_in_its_conversation() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    for n in 0..5 {
        ada.send(&conversation, &n.to_string()).await;
    }
    let history = history(&bob, &conversation).await;
    let edges = history["messages"]["edges"].as_array().unwrap();
    assert!(edges.iter().all(|edge| edge["cursor"] == edge["node"]["cursor"]), "{edges:?}");
    let query = "query($id: ID!, $before: String) { conversation(id: $id) {
        messages(last: 2, before: $before) { nodes { body } } } }";
    let variables = json!({ "id": conversation, "before": edges[3]["node"]["cursor"] });
    let page = bob.data(query, variables).await["conversation"]["messages"]["nodes"].take();
    assert_eq!(page, json!([{ "body": "1" }, { "body": "2" }]));
}
