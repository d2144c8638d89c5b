//! What is older than an operator keeps it goes by itself.

use std::sync::Arc;
use std::time::Duration;

use herald::clock::{Clock, after};
use herald::log::{DatabaseOptions, check};
use herald::metrics::METRICS;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use crate::command_line::run;
use crate::support::{Hold, Setup, Socket, TestApp, Told, User, code, until};

const DAY: Duration = Duration::from_hours(24);

const EVENTS: &str = "subscription($after: Cursor) { events(after: $after) {
    __typename cursor via
    ... on MessageSent { message { id body } }
    ... on MessageRedacted { redactedBy { handle } message { id body } }
} }";

/// A herald that is set up so many days later.
fn later(days: u32, retain: impl FnOnce(&mut Setup)) -> impl FnOnce(&mut Setup) {
    move |setup| {
        setup.parts.clock = Clock::new(move || after(Clock::default().now(), DAY * days));
        retain(setup);
    }
}

fn log(days: u32) -> impl FnOnce(&mut Setup) {
    move |setup| setup.args.retention.retain_log = Some(days)
}

fn messages(days: u32) -> impl FnOnce(&mut Setup) {
    move |setup| setup.args.retention.retain_messages = Some(days)
}

async fn bodies(user: &User, conversation: &str) -> Vec<String> {
    let query = "query($id: ID!) { conversation(id: $id) { messages(first: 200) { nodes { body } } } }";
    let data = user.data(query, json!({ "id": conversation })).await;
    let nodes = data["conversation"]["messages"]["nodes"].as_array().unwrap().clone();
    nodes.iter().map(|node| node["body"].as_str().unwrap().to_owned()).collect()
}

async fn is_sound(app: &TestApp) {
    let (url, patience) = (app.database.url.clone(), Duration::from_secs(5));
    check(&DatabaseOptions { url, readers: 1, patience, observer: None }).await.unwrap();
}

/// The next event of a subscription, and its cursor.
async fn next(socket: &mut Socket) -> (Value, String) {
    let event = socket.next("e").await["events"].take();
    let cursor = event["cursor"].as_str().unwrap().to_owned();
    (event, cursor)
}

#[tokio::test]
async fn messages_that_are_too_old_are_redacted_and_everybody_is_told() {
    let mut app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let mut old = Vec::new();
    // More than are redacted together.
    for n in 0..130 {
        old.push([&ada, &bob][n % 2].send(&room, &format!("old {n}")).await);
    }
    let redact = "mutation($id: ID!) { redactMessage(input: { messageId: $id }) { cursor } }";
    ada.data(redact, json!({ "id": old[0] })).await;
    // Whoever has left is the sender all the same.
    bob.leave(&room).await;
    let cursor = ada.cursor().await;

    // They are kept to the end of the last day.
    app.restart_with(later(9, messages(10))).await;
    assert_eq!(bodies(&ada.at(app.address), &room).await[1], "old 1");
    // A node took the turn whose clock was years ahead.
    execute(&app, "UPDATE log_head SET aging_until = 9000000000000000").await;
    execute(&app, "UPDATE messages SET idempotency_key = 'said so' WHERE position = 3").await;
    app.restart_with(later(11, messages(10))).await;
    let ada = ada.at(app.address);
    let mut socket = ada.socket("desk").await;
    socket.follow_after("e", EVENTS, &cursor).await;
    for (n, id) in old.iter().enumerate().skip(1) {
        let (event, _) = next(&mut socket).await;
        assert_eq!(event["__typename"], "MessageRedacted", "{event}");
        assert_eq!(event["message"], json!({ "id": id, "body": "" }));
        assert_eq!(event["redactedBy"]["handle"], [&ada, &bob][n % 2].handle);
        assert_eq!(event["via"], "herald:retention");
    }
    assert_eq!(bodies(&ada, &room).await, vec![""; 130]);
    is_sound(&app).await;
    // What a client called a message goes with what it said.
    until(async || keys(&app).await == 0).await;
}

async fn keys(app: &TestApp) -> i64 {
    let database = sea_orm::Database::connect(&app.database.url).await.unwrap();
    let count = "SELECT COUNT(*) AS keys FROM messages WHERE idempotency_key IS NOT NULL";
    let count = Statement::from_string(database.get_database_backend(), count);
    let keys = database.query_one_raw(count).await.unwrap().unwrap().try_get("", "keys").unwrap();
    database.close().await.unwrap();
    keys
}

#[tokio::test]
async fn a_message_that_cannot_be_redacted_holds_nothing_else() {
    let mut app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let begin = ada.cursor().await;
    ada.send(&room, "stuck").await;
    for n in 0..30 {
        [&ada, &bob][n % 2].send(&room, "old").await;
    }
    let stuck = if app.database.file().is_some() {
        "CREATE TRIGGER stuck BEFORE UPDATE OF body ON messages WHEN NEW.position = 2
             BEGIN SELECT RAISE(ABORT, 'stuck'); END"
    } else {
        "ALTER TABLE messages ADD CONSTRAINT stuck CHECK (position <> 2 OR redacted_at_micros IS NULL)"
    };
    execute(&app, stuck).await;
    let both = |setup: &mut Setup| {
        messages(10)(setup);
        log(10)(setup);
    };
    app.restart_with(later(11, both)).await;
    let ada = ada.at(app.address);
    let mut expected = vec![""; 31];
    expected[0] = "stuck";
    until(async || bodies(&ada, &room).await == expected).await;
    until(async || refusal(&ada, &begin).await.as_deref() == Some("CURSOR_EXPIRED")).await;
}

#[tokio::test]
async fn without_a_limit_messages_are_kept_and_what_is_young_is_kept_with_one() {
    let mut app = TestApp::start().await;
    let (ada, _, room) = app.pair().await;
    ada.send(&room, "old").await;
    app.restart_with(later(20, |_| {})).await;
    assert_eq!(bodies(&ada.at(app.address), &room).await, ["old"]);
    if app.database.file().is_none() {
        // Messages have the time of Postgres.
        return;
    }
    ada.at(app.address).send(&room, "young").await;
    app.restart_with(later(21, messages(2))).await;
    let ada = ada.at(app.address);
    until(async || bodies(&ada, &room).await == ["", "young"]).await;
    // The mark has not passed what is young.
    app.restart_with(later(23, messages(2))).await;
    let ada = ada.at(app.address);
    until(async || bodies(&ada, &room).await == ["", ""]).await;
    is_sound(&app).await;
}

async fn execute(app: &TestApp, statement: &str) {
    let database = sea_orm::Database::connect(&app.database.url).await.unwrap();
    database.execute_unprepared(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    database.close().await.unwrap();
}

/// What somebody sees of a conversation: everything that may follow from old events.
async fn seen(user: &User, conversation: &str) -> Value {
    let query = "query($id: ID!) { conversation(id: $id) {
        title metadata myRole unreadCount
        participants { nodes { user { handle } role joinedAt deliveredThrough { id } readThrough { id } } }
        messages { nodes { body sentAt redactedAt status deliveredCount readCount
            receipts { nodes { recipient { handle } status deliveredAt readAt undeliverable { reason } } } } }
    } }";
    user.data(query, json!({ "id": conversation })).await
}

/// The error with which a subscription from this cursor is refused; `None` if it is not refused.
async fn refusal(user: &User, cursor: &str) -> Option<String> {
    let mut socket = user.socket("tablet").await;
    let follow =
        "subscription($after: Cursor) { events(after: $after, checkpoints: true) { __typename cursor } }";
    socket.follow_after("e", follow, cursor).await;
    let told = socket.receive().await;
    (told["type"] == "error").then(|| code(&json!({ "errors": told["payload"] })).to_owned())
}

#[tokio::test]
async fn a_trimmed_log_refuses_old_cursors_and_everything_else_is_as_it_was() {
    let mut app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let cleo = app.user("cleo").await;
    ada.add(&room, &[&cleo]).await;
    let begin = ada.cursor().await;
    let sent = ada.on("desk").send(&room, "one").await;
    bob.mark_delivered(&sent).await;
    bob.mark_read(&sent).await;
    let gone = bob.send(&room, "redacted").await;
    let redact = "mutation($id: ID!) { redactMessage(input: { messageId: $id }) { cursor } }";
    bob.data(redact, json!({ "id": gone })).await;
    cleo.mark_read(&gone).await;
    cleo.leave(&room).await;
    let update = "mutation($id: ID!) { updateConversation(input: {
        conversationId: $id, title: \"later\", metadata: 1 }) { cursor } }";
    ada.data(update, json!({ "id": room })).await;
    ada.send(&room, "two").await;
    let before = [seen(&ada, &room).await, seen(&bob, &room).await];
    let last = bob.cursor().await;
    let end = {
        // What tells a quiet follower how far the log has come.
        let mut socket = cleo.socket("phone").await;
        let checkpoints = "subscription { events(checkpoints: true) { cursor } }";
        socket.subscribe("c", checkpoints, json!({})).await;
        socket.next("c").await["events"]["cursor"].as_str().unwrap().to_owned()
    };

    // Everything is kept to the end of the last day.
    app.restart_with(later(9, log(10))).await;
    assert_eq!(refusal(&ada.at(app.address), &begin).await, None);
    app.restart_with(later(11, log(10))).await;
    let [ada, bob, cleo] = [ada, bob, cleo].map(|user| user.at(app.address));
    until(async || refusal(&ada, &begin).await.as_deref() == Some("CURSOR_EXPIRED")).await;
    assert_eq!(refusal(&cleo, &begin).await.as_deref(), Some("CURSOR_EXPIRED"));
    assert_eq!([seen(&ada, &room).await, seen(&bob, &room).await], before);
    let (succeeded, text) = run(&["check", "--database", &app.database.url], "").await;
    assert!(succeeded && text.contains(" 3 messages"), "{text}");
    let (succeeded, text) = run(&["explain", &sent, "--database", &app.database.url], "").await;
    assert!(succeeded && text.contains(&format!("sent by {}", ada.handle)), "{text}");
    // The end of the log is a place like any other: whoever has come to it goes on.
    for (user, cursor) in [(&bob, &last), (&cleo, &end)] {
        assert_eq!(refusal(user, cursor).await, None);
    }
    let mut socket = bob.socket("desk").await;
    socket.follow_after("e", EVENTS, &last).await;
    ada.send(&room, "three").await;
    let (event, _) = next(&mut socket).await;
    assert_eq!(event["message"]["body"], "three");
    is_sound(&app).await;
}

// What is wrong in a trimmed log is found all the same, as far as there is something left to tell it.
#[tokio::test]
async fn a_trimmed_log_is_checked() {
    let mut app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await; // 1
    let sent = ada.send(&room, "one").await; // 2
    bob.mark_read(&sent).await; // 3
    ada.send(&room, "two").await; // 4
    bob.leave(&room).await; // 5
    ada.add(&room, &[&bob]).await; // 6
    ada.send(&room, "three").await; // 7
    app.stop().await;
    execute(&app, "DELETE FROM events WHERE position IN (2, 4)").await;
    let (url, patience) = (app.database.url.clone(), Duration::from_secs(5));
    let options = DatabaseOptions { url, readers: 1, patience, observer: None };
    assert!(check(&options).await.unwrap_err().contains("event 3: the one before it is 1"));
    execute(&app, "UPDATE log_head SET trimmed = 5").await;
    check(&options).await.unwrap();
    for (damage, mend, found) in [
        (
            "UPDATE log_head SET trimmed = 3",
            "UPDATE log_head SET trimmed = 5",
            "event 5: the one before it is 3",
        ),
        (
            "UPDATE messages SET redacted_at_micros = 9000000000000000, body = '' WHERE position = 2",
            "UPDATE messages SET redacted_at_micros = NULL WHERE position = 2",
            "message at 2: it is redacted, but no event says so",
        ),
        (
            "UPDATE events SET chain = chain + 1 WHERE position = 6",
            "UPDATE events SET chain = chain - 1 WHERE position = 6",
            "event 6: its chain",
        ),
        (
            "UPDATE participants SET read_through = 1 WHERE joined_position = 6",
            "UPDATE participants SET read_through = 2 WHERE joined_position = 6",
            "read_through is 1, but 2",
        ),
    ] {
        execute(&app, damage).await;
        let told = check(&options).await.unwrap_err();
        assert!(told.contains(found), "{damage}: {told}");
        execute(&app, mend).await;
    }
    check(&options).await.unwrap();
}

#[tokio::test]
async fn a_trimmed_log_with_a_message_at_the_end_of_a_page_is_sound() {
    let mut app = TestApp::start().await;
    let (ada, _, room) = app.pair().await; // 1
    ada.send(&room, "one").await; // 2
    ada.send(&room, "two").await; // 3
    app.stop().await;
    // The check takes so many positions at once where rows are missing.
    for change in [
        "DELETE FROM events WHERE position = 2",
        "UPDATE messages SET position = 10000 WHERE position = 2",
        "UPDATE messages SET position = 10001 WHERE position = 3",
        "UPDATE events SET position = 10001 WHERE position = 3",
        "UPDATE conversations SET latest_position = 10001",
        "UPDATE log_head SET position = 10001, trimmed = 10001",
    ] {
        execute(&app, change).await;
    }
    is_sound(&app).await;
    execute(&app, "UPDATE messages SET position = 1 WHERE position = 10000").await;
    let (succeeded, text) = run(&["check", "--database", &app.database.url], "").await;
    assert!(!succeeded && text.contains("another event has its position"), "{text}");
}

// Such a node has missed events that nobody can read any more. The log is the same all the same.
#[tokio::test]
async fn a_node_that_stood_still_for_too_long_goes_on_from_the_end_of_the_log() {
    let feed = Arc::<Told>::default();
    let app = TestApp::with(|setup| {
        setup.args.limits.poll_interval = 3_600;
        setup.args.limits.checkpoint_interval = 1;
        setup.parts.feed = Some(feed.clone());
    })
    .await;
    let (ada, bob, room) = app.pair().await;
    let begun = feed.tell(&app).await;
    let mut live = bob.socket("desk").await;
    live.follow("e", EVENTS).await;
    ada.send(&room, "heard").await;
    feed.tell(&app).await;
    assert_eq!(next(&mut live).await.0["message"]["body"], "heard");
    for n in 0..3 {
        ada.send(&room, &format!("missed {n}")).await;
    }
    execute(&app, "DELETE FROM events WHERE kind = 4 AND position < (SELECT position FROM log_head)").await;
    execute(&app, "UPDATE log_head SET trimmed = position").await;
    assert_eq!(feed.tell(&app).await.epoch, begun.epoch);
    assert_eq!(live.refused("e").await, "CURSOR_EXPIRED");
    let snapshot = bob.cursor().await;
    let quiet = "subscription($after: Cursor) { events(after: $after, checkpoints: true) { cursor } }";
    live.follow_after("c", quiet, &snapshot).await;
    for _ in 0..2 {
        assert_eq!(
            live.next("c").await["events"]["cursor"],
            snapshot,
            "the node is no longer where it stood"
        );
    }
    live.send(json!({ "type": "complete", "id": "c" })).await;
    live.follow_after("f", EVENTS, &snapshot).await;
    ada.send(&room, "later").await;
    assert_eq!(feed.tell(&app).await.epoch, begun.epoch);
    assert_eq!(live.next("f").await["events"]["message"]["body"], "later");
}

// The subscriber holds an event while the node learns that it missed what came after it: among that, that the message was
// redacted. The events that say so are gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_node_that_stood_still_has_not_shown_yet_is_not_shown_any_more() {
    let feed = Arc::<Told>::default();
    let (mut hold, observer) = Hold::on("FROM conversations c WHERE c.id IN");
    let app = TestApp::with(|setup| {
        setup.args.limits.poll_interval = 3_600;
        setup.parts.feed = Some(feed.clone());
        setup.parts.observer = Some(observer);
    })
    .await;
    let (ada, bob, room) = app.pair().await;
    feed.tell(&app).await;
    let mut live = bob.socket("desk").await;
    let shown = "subscription($after: Cursor) { messageSent(after: $after) { message { body } conversation { title } } }";
    live.follow("m", shown).await;
    let secret = ada.send(&room, "secret").await;
    hold.arm();
    feed.tell(&app).await;
    hold.held().await;
    let redact = "mutation($id: ID!) { redactMessage(input: { messageId: $id }) { cursor } }";
    ada.data(redact, json!({ "id": secret })).await;
    ada.send(&room, "missed").await;
    execute(&app, "DELETE FROM events WHERE position < (SELECT position FROM log_head)").await;
    execute(&app, "UPDATE log_head SET trimmed = position").await;
    let head = feed.tell(&app).await;
    until(|| async { METRICS.log_position.get() == head.position.0 }).await;
    hold.let_go();
    assert_eq!(live.refused("m").await, "CURSOR_EXPIRED");
}
