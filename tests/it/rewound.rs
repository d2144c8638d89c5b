//! A log that goes back in time, because a late standby becomes the primary or a backup is restored. Lost events cannot
//! be delivered any more. A subscriber receives everything that is in the log, or an error that says otherwise.

use std::time::Duration;

use herald::metrics::METRICS;
use sea_orm::{ConnectionTrait, Database, TransactionTrait};
use serde_json::json;
use tokio::time::timeout;

use crate::support::{Socket, TABLES, TestApp, User, code};

const EVENTS: &str = "subscription($after: Cursor) { events(after: $after) { __typename
    cursor ... on MessageSent { message { body } } } }";

const PATIENCE: Duration = Duration::from_secs(20);

async fn execute(app: &TestApp, statements: impl IntoIterator<Item = String>) {
    let database = Database::connect(&app.database.url).await.unwrap();
    let transaction = database.begin().await.unwrap();
    for statement in statements {
        transaction.execute_unprepared(&statement).await.unwrap();
    }
    transaction.commit().await.unwrap();
    database.close().await.unwrap();
}

/// Keeps the database as it is.
pub(crate) async fn keep(app: &TestApp) {
    execute(app, TABLES.map(|table| format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}"))).await;
}

/// Puts the database back to what was kept, as it is seen from a herald that runs.
pub(crate) async fn put_back(app: &TestApp) {
    let emptied = TABLES.iter().rev().map(|table| format!("DELETE FROM {table}"));
    let filled = TABLES.map(|table| format!("INSERT INTO {table} SELECT * FROM kept_{table}"));
    execute(app, emptied.chain(filled)).await;
}

async fn follow(user: &User, after: &str) -> Socket {
    let mut socket = user.socket("desk").await;
    socket.follow_after("e", EVENTS, after).await;
    socket
}

async fn said(socket: &mut Socket) -> String {
    socket.next("e").await["events"]["message"]["body"].as_str().unwrap().to_owned()
}

async fn until_refused(socket: &mut Socket) -> String {
    timeout(PATIENCE, socket.refused("e")).await.expect("the subscription is broken off")
}

#[tokio::test]
async fn whoever_follows_a_log_that_went_back_is_told_to_begin_anew() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    ada.send(&conversation, "kept").await;
    let within = bob.cursor().await;
    keep(&app).await;
    let mut live = follow(&bob, &within).await;
    for n in 0..5 {
        ada.send(&conversation, &format!("lost {n}")).await;
        assert_eq!(said(&mut live).await, format!("lost {n}"));
    }
    let lost = bob.cursor().await;
    let begun = METRICS.epochs_begun.get();
    put_back(&app).await;

    assert_eq!(until_refused(&mut live).await, "CURSOR_EXPIRED");
    assert!(METRICS.epochs_begun.get() > begun);
    // It stays so after the log has reached their position again.
    for sent in 0..8 {
        for cursor in [&within, &lost] {
            assert_eq!(until_refused(&mut follow(&bob, cursor).await).await, "CURSOR_EXPIRED", "{sent}");
        }
        ada.send(&conversation, &format!("new {sent}")).await;
    }
    let mut anew = follow(&bob, &bob.cursor().await).await;
    ada.send(&conversation, "heard").await;
    assert_eq!(said(&mut anew).await, "heard");
}

#[tokio::test]
async fn a_log_that_has_grown_again_before_anybody_looked_is_not_believed() {
    // No poll comes in time. Only the next event shows that the log is another one.
    let app = TestApp::with(|setup| setup.args.limits.poll_interval = 3_600).await;
    let (ada, bob, conversation) = app.pair().await;
    let start = bob.cursor().await;
    keep(&app).await;
    let mut live = follow(&bob, &start).await;
    for n in 0..2 {
        ada.send(&conversation, &format!("lost {n}")).await;
        said(&mut live).await;
    }
    let lost = bob.cursor().await;
    put_back(&app).await;
    for n in 0..3 {
        ada.send(&conversation, &format!("new {n}")).await;
    }
    assert_eq!(until_refused(&mut live).await, "CURSOR_EXPIRED");
    assert_eq!(until_refused(&mut follow(&bob, &lost).await).await, "CURSOR_EXPIRED");
}

#[tokio::test]
async fn whoever_joins_where_the_lost_log_had_come_is_not_handed_less() {
    let app = TestApp::with(|setup| setup.args.limits.poll_interval = 3_600).await;
    let (ada, bob, conversation) = app.pair().await;
    let start = bob.cursor().await;
    keep(&app).await;
    let mut live = follow(&bob, &start).await;
    for n in 0..4 {
        ada.send(&conversation, &format!("lost {n}")).await;
        said(&mut live).await;
    }
    put_back(&app).await;
    // A snapshot of the log as it is now, before anybody has noticed.
    let mut fresh = follow(&bob, &bob.cursor().await).await;
    let mut sent = Vec::new();
    for n in 0..8 {
        sent.push(format!("new {n}"));
        ada.send(&conversation, &sent[n]).await;
    }
    // The messages come in order: those that there are, or those that were lost, as the others were told of them. An
    // error says that not all of them will come.
    let lost: Vec<_> = (0..4).map(|n| format!("lost {n}")).collect();
    let mut told = Vec::new();
    while told != sent {
        let message = timeout(PATIENCE, fresh.receive()).await.expect("something comes");
        if message["type"] == "error" {
            assert_eq!(message["payload"][0]["extensions"]["code"], "CURSOR_EXPIRED");
            return;
        }
        told.push(message["payload"]["data"]["events"]["message"]["body"].as_str().unwrap().to_owned());
        assert!(sent.starts_with(&told) || lost.starts_with(&told), "{told:?}");
    }
}

#[tokio::test]
async fn every_node_begins_anew_with_the_one_that_noticed() {
    let app = TestApp::start().await;
    if app.database.file().is_some() {
        return;
    }
    let (ada, bob, conversation) = app.pair().await;
    let there = app.another_node().await;
    keep(&app).await;
    let start = bob.cursor().await;
    let mut here = follow(&bob, &start).await;
    let mut other = follow(&bob.at(there), &start).await;
    ada.send(&conversation, "lost").await;
    assert_eq!([said(&mut here).await, said(&mut other).await], ["lost", "lost"]);
    put_back(&app).await;
    assert_eq!(until_refused(&mut here).await, "CURSOR_EXPIRED");
    assert_eq!(until_refused(&mut other).await, "CURSOR_EXPIRED");
    // Both nodes are in the same epoch again: a message from one arrives at the other.
    let mut other = follow(&bob.at(there), &bob.cursor().await).await;
    ada.send(&conversation, "heard").await;
    assert_eq!(said(&mut other).await, "heard");
}

#[tokio::test]
async fn an_epoch_that_the_operator_begins_is_that_of_every_herald_that_runs() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let before = bob.cursor().await;
    let mut live = follow(&bob, &before).await;
    execute(&app, ["UPDATE log_head SET epoch = epoch + 1".to_owned()]).await;
    assert_eq!(until_refused(&mut live).await, "CURSOR_EXPIRED");
    assert_eq!(until_refused(&mut follow(&bob, &before).await).await, "CURSOR_EXPIRED");
    let mut anew = follow(&bob, &bob.cursor().await).await;
    ada.send(&conversation, "heard").await;
    assert_eq!(said(&mut anew).await, "heard");
}

#[tokio::test]
async fn a_session_that_ends_under_a_number_that_was_lost_is_ended_at_every_node() {
    let app = TestApp::start().await;
    if app.database.file().is_some() {
        return;
    }
    let (ada, bob, _) = app.pair().await;
    let (there, elsewhere) = (app.another_node().await, bob.sign_in_again().await);
    keep(&app).await;
    // The end of the first session is lost, and the next end gets its number.
    let first = bob.sign_in_again().await;
    let mut watching = first.at(there).socket("desk").await;
    first.data("mutation { logout { ended } }", json!({})).await;
    assert_eq!(watching.closed().await.code, 4403);
    assert!(elsewhere.at(there).post("{ viewer { id } }", json!({})).await["data"]["viewer"].is_object());
    let cursor = ada.cursor().await;
    let mut live = follow(&ada.at(there), &cursor).await;
    put_back(&app).await;
    elsewhere.data("mutation { logout { ended } }", json!({})).await;
    // Only the numbers of ended sessions went back. The new epoch shows that the log is another one.
    execute(&app, ["UPDATE log_head SET epoch = epoch + 1".to_owned()]).await;
    assert_eq!(until_refused(&mut live).await, "CURSOR_EXPIRED");
    let refused = async {
        while elsewhere.at(there).post("{ viewer { id } }", json!({})).await["data"]["viewer"].is_object() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refused).await.expect("the token is worth nothing at any node");
}

#[tokio::test]
async fn a_session_that_the_operator_deletes_ends() {
    let app = TestApp::start().await;
    let bob = app.user("bob").await;
    let mut socket = bob.socket("desk").await;
    execute(&app, ["DELETE FROM sessions".to_owned()]).await;
    let closed = timeout(PATIENCE, socket.closed()).await.expect("the socket is closed");
    assert_eq!(closed.code, 4403);
    assert_eq!(code(&bob.post("mutation { logout { ended } }", json!({})).await), "UNAUTHENTICATED");
}
