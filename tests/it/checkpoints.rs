//! Checkpoints: a subscription that asks for them is told that there was nothing, so that its cursor moves on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use herald::clock::Clock;
use herald::messaging::Timestamp;
use sea_orm::{ConnectionTrait, Database, DbBackend};
use serde_json::{Value, json};

use crate::support::{Follower, Setup, TestApp, Transport, User};

const EVENTS: &str = "subscription($after: Cursor, $id: ID, $checkpoints: Boolean = true) {
    events(after: $after, conversationId: $id, checkpoints: $checkpoints) {
        __typename cursor previous at
        ... on Checkpoint { caughtUp }
        ... on MessageSent { message { body } conversation { id } }
    }
}";

/// A herald that says each second that there was nothing.
async fn herald() -> TestApp {
    TestApp::with(|setup| setup.args.limits.checkpoint_interval = 1).await
}

async fn follow(transport: Transport, user: &User, variables: Value) -> Follower {
    Follower::subscribe(transport, user, "desk", EVENTS, variables).await
}

/// The next checkpoint, before which no event may come.
async fn checkpoint(follower: &mut Follower) -> Value {
    let event = follower.next().await["events"].take();
    assert_eq!(event["__typename"], "Checkpoint", "{event}");
    event
}

/// Reads until something of this type comes, past checkpoints. Each names what was told before it, and moves `last` on.
async fn until(follower: &mut Follower, ty: &str, last: &mut Value) -> Value {
    loop {
        let told = follower.next().await["events"].take();
        assert_eq!(told["previous"], *last, "{told}");
        *last = told["cursor"].clone();
        if told["__typename"] == ty {
            return told;
        }
        assert_eq!(told["__typename"], "Checkpoint", "{told}");
    }
}

#[tokio::test]
async fn a_checkpoint_comes_when_replay_has_caught_up_and_while_nothing_happens_over_every_transport() {
    let app = herald().await;
    let (ada, bob, conversation) = app.pair().await;
    for transport in Transport::ALL {
        let mut last = json!(bob.cursor().await);
        ada.send(&conversation, "replayed").await;
        let mut follower = follow(transport, &bob, json!({ "after": last })).await;
        let replayed = until(&mut follower, "MessageSent", &mut last).await;
        assert_eq!(replayed["message"]["body"], "replayed", "{transport:?}");
        assert_eq!(until(&mut follower, "Checkpoint", &mut last).await["caughtUp"], true);
        ada.send(&conversation, "live").await;
        assert_eq!(until(&mut follower, "MessageSent", &mut last).await["message"]["body"], "live");
        for _ in 0..2 {
            assert_eq!(until(&mut follower, "Checkpoint", &mut last).await["caughtUp"], true);
        }
    }
}

// Those that are sent while it replays wait in its queue, since the client does not read.
#[tokio::test]
async fn what_waits_is_told_before_a_checkpoint_says_that_there_is_nothing() {
    let app = TestApp::with(|setup| setup.args.limits.write_timeout = 600).await;
    let (ada, bob, conversation) = app.pair().await;
    let start = json!(bob.cursor().await);
    let long = "🙂".repeat(9_000);
    for _ in 0..250 {
        ada.send(&conversation, &long).await;
    }
    let mut slow = follow(Transport::WebSocket, &bob, json!({ "after": start })).await;
    let mut last = start;
    until(&mut slow, "MessageSent", &mut last).await;
    let mut present = follow(Transport::WebSocket, &bob, json!({ "after": bob.cursor().await })).await;
    ada.send(&conversation, "meanwhile").await;
    while present.next().await["events"]["message"]["body"] != "meanwhile" {}
    for _ in 1..=250 {
        let told = slow.next().await["events"].take();
        assert_eq!(told["__typename"], "MessageSent", "{}", told["at"]);
        last = told["cursor"].clone();
    }
    let caught_up = checkpoint(&mut slow).await;
    assert_eq!((&caught_up["caughtUp"], &caught_up["cursor"]), (&json!(true), &last));
}

#[tokio::test]
async fn the_cursor_of_a_quiet_follower_moves_with_the_log_and_is_good_to_resume() {
    let app = herald().await;
    let (ada, bob, conversation) = app.pair().await;
    let elsewhere = ada.start(&[&app.user("eve").await]).await;
    let start = bob.cursor().await;
    let mut follower = follow(Transport::WebSocket, &bob, json!({ "after": start })).await;
    assert_eq!(checkpoint(&mut follower).await["cursor"], json!(start));
    // He may not see the one, and the other is his own.
    ada.send(&elsewhere, "not for him").await;
    bob.on("desk").send(&conversation, "own").await;
    let end = bob.cursor().await;
    let moved = loop {
        let moved = checkpoint(&mut follower).await;
        if moved["cursor"] == json!(end) {
            break moved;
        }
    };
    drop(follower);
    ada.send(&conversation, "later").await;
    let mut follower = follow(Transport::WebSocket, &bob, json!({ "after": moved["cursor"] })).await;
    let later = follower.next().await["events"].take();
    assert_eq!(later["message"]["body"], "later");
    assert_eq!(later["previous"], moved["cursor"]);
}

#[tokio::test]
async fn nobody_is_told_of_checkpoints_who_does_not_ask() {
    let app = herald().await;
    let (ada, bob, conversation) = app.pair().await;
    let start = bob.cursor().await;
    let variables = json!({ "after": start, "checkpoints": false });
    let mut without = follow(Transport::WebSocket, &bob, variables).await;
    let mut with = follow(Transport::WebSocket, &bob, json!({ "after": start })).await;
    for _ in 0..3 {
        checkpoint(&mut with).await;
    }
    ada.send(&conversation, "the first").await;
    assert_eq!(without.next().await["events"]["message"]["body"], "the first");
}

#[tokio::test]
async fn checkpoints_end_with_the_subscription() {
    let app = herald().await;
    let (_, bob, conversation) = app.pair().await;
    let mut socket = bob.socket("desk").await;
    let variables = json!({ "after": socket.cursor, "id": conversation });
    socket.subscribe("1", EVENTS, variables).await;
    assert_eq!(socket.next("1").await["events"]["__typename"], "Checkpoint");
    bob.leave(&conversation).await;
    assert_eq!(socket.next("1").await["events"]["__typename"], "ParticipantLeft");
    socket.completed("1").await;
    // Nothing of it may come between a ping and its answer, however long that takes.
    socket.subscribe("2", EVENTS, json!({})).await;
    for _ in 0..3 {
        assert_eq!(socket.next("2").await["events"]["__typename"], "Checkpoint");
    }
}

// Events may be missing, so nobody is told that they have everything.
#[tokio::test]
async fn nobody_is_told_that_they_have_everything_while_the_log_cannot_be_read() {
    let app = herald().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut last = json!(bob.cursor().await);
    let mut follower = follow(Transport::WebSocket, &bob, json!({ "after": last })).await;
    assert_eq!(until(&mut follower, "Checkpoint", &mut last).await["caughtUp"], true);
    let database = Database::connect(&app.database.url).await.unwrap();
    database.execute_unprepared("ALTER TABLE log_head RENAME TO away").await.unwrap();
    while until(&mut follower, "Checkpoint", &mut last).await["caughtUp"] == true {}
    database.execute_unprepared("ALTER TABLE away RENAME TO log_head").await.unwrap();
    database.close().await.unwrap();
    while until(&mut follower, "Checkpoint", &mut last).await["caughtUp"] == false {}
    ada.send(&conversation, "it goes on").await;
    assert_eq!(until(&mut follower, "MessageSent", &mut last).await["message"]["body"], "it goes on");
}

// Nobody can know what there is when the row of the log's head is damaged. Operators and followers are told.
#[tokio::test]
async fn a_damaged_head_of_the_log_is_told_to_who_can_do_something_about_it() {
    let app = herald().await;
    let (_, bob, _) = app.pair().await;
    let mut last = json!(bob.cursor().await);
    let mut follower = follow(Transport::WebSocket, &bob, json!({ "after": last })).await;
    until(&mut follower, "Checkpoint", &mut last).await;
    let database = Database::connect(&app.database.url).await.unwrap();
    // A value of another type: Postgres keeps to the type of its column.
    let (damage, mend) = match database.get_database_backend() {
        DbBackend::Postgres => (
            "ALTER TABLE log_head ALTER COLUMN chain TYPE text",
            "ALTER TABLE log_head ALTER COLUMN chain TYPE bigint USING chain::bigint",
        ),
        _ => (
            "UPDATE log_head SET chain = 'unreadable'",
            "UPDATE log_head SET chain = (SELECT e.chain FROM events e ORDER BY e.position DESC LIMIT 1)",
        ),
    };
    database.execute_unprepared(damage).await.unwrap();
    while until(&mut follower, "Checkpoint", &mut last).await["caughtUp"] == true {}
    let ready = app.request("GET", "/readyz", &[], b"").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("The log cannot be read."), "{}", ready.body);
    database.execute_unprepared(mend).await.unwrap();
    database.close().await.unwrap();
    while until(&mut follower, "Checkpoint", &mut last).await["caughtUp"] == false {}
}

// No conversation can be given, and no null where the schema says that there is none. Whoever asks is told at once.
#[tokio::test]
async fn whoever_asks_for_the_conversation_of_a_checkpoint_is_refused() {
    const EVERY: &str = "subscription($checkpoints: Boolean) {
        events(checkpoints: $checkpoints) { cursor where: conversation { id } } }";
    const OF_IT: &str = "subscription($checkpoints: Boolean) {
        events(checkpoints: $checkpoints) { ... on Checkpoint { conversation { id } } } }";
    let app = herald().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut socket = bob.socket("desk").await;
    for query in [EVERY, OF_IT] {
        socket.subscribe("1", query, json!({ "checkpoints": true })).await;
        let refused = socket.receive().await;
        assert_eq!(refused["type"], "error", "{refused}");
        assert_eq!(refused["payload"][0]["extensions"]["code"], "BAD_INPUT");
        let message = refused["payload"][0]["message"].as_str().unwrap();
        assert!(message.contains("... on MessageSent"), "{message}");
    }
    // Without checkpoints it is as it always was.
    let mut follower = Follower::subscribe(Transport::EventStream, &bob, "desk", EVERY, json!({})).await;
    ada.send(&conversation, "one").await;
    assert_eq!(follower.next().await["events"]["where"]["id"], json!(conversation));
}

#[tokio::test]
async fn the_time_of_a_checkpoint_is_that_of_the_clock() {
    let micros = Arc::new(AtomicI64::new(1_000_000));
    let clock = Arc::clone(&micros);
    let app = TestApp::with(|setup: &mut Setup| {
        setup.args.limits.checkpoint_interval = 1;
        setup.parts.clock = Clock::new(move || Timestamp(clock.load(Ordering::Relaxed)));
    })
    .await;
    let bob = app.user("bob").await;
    micros.store(86_400_000_001, Ordering::Relaxed);
    let mut follower = follow(Transport::WebSocket, &bob, json!({})).await;
    assert_eq!(checkpoint(&mut follower).await["at"], "1970-01-02T00:00:00.000001Z");
}
