//! A row of the log that is damaged: whoever missed its event is told so and can go on, and operators learn of it.

use std::sync::Arc;

use futures_util::future::join_all;
use herald::metrics::METRICS;
use sea_orm::{ConnectionTrait, Database};
use serde_json::{Value, json};

use crate::support::{Receiver, TestApp, Told, User, code, until};

const EVENTS: &str = "subscription($after: Cursor, $id: ID) { events(after: $after, conversationId: $id) {
    ... on MessageSent { message { body } } } }";

async fn execute(app: &TestApp, statement: &str) {
    let database = Database::connect(&app.database.url).await.unwrap();
    database.execute_unprepared(statement).await.unwrap();
    database.close().await.unwrap();
}

async fn ready(app: &TestApp) -> (u16, String) {
    let ready = app.request("GET", "/readyz", &[], b"").await;
    (ready.status, ready.body)
}

#[tokio::test]
async fn whoever_missed_a_damaged_event_is_told_and_goes_on_with_a_new_snapshot() {
    // What was missed is read from the log.
    let app = TestApp::with(|setup| setup.args.limits.recent_bytes = 0).await;
    let (ada, bob, room) = app.pair().await;
    let before = bob.cursor().await;
    ada.send(&room, "damaged").await;
    ada.send(&room, "whole").await;
    let damages = [
        ("UPDATE events SET kind = 99 WHERE position = 2", "UPDATE events SET kind = 4 WHERE position = 2"),
        (
            "UPDATE messages SET position = 1002 WHERE position = 2",
            "UPDATE messages SET position = 2 WHERE position = 1002",
        ),
    ];
    for (damage, mend) in damages {
        execute(&app, damage).await;
        for variables in [json!({ "after": before }), json!({ "after": before, "id": room })] {
            let mut socket = bob.socket("desk").await;
            socket.subscribe("1", EVENTS, variables).await;
            let mut told = socket.receive().await;
            assert_eq!(told["type"], "error", "{told}");
            assert_eq!(code(&json!({ "errors": told["payload"].take() })), "CURSOR_EXPIRED");
        }
        let (status, body) = ready(&app).await;
        assert!(status == 200 && body.contains("damaged"), "{status} {body}");
        assert_eq!(METRICS.log_damaged.get(), 1);
        // The snapshot that the error asks for is after the event, and everything that comes is told.
        let mut socket = bob.socket("desk").await;
        let snapshot = bob.cursor().await;
        socket.follow_after("2", EVENTS, &snapshot).await;
        ada.send(&room, "later").await;
        assert_eq!(socket.next("2").await["events"]["message"]["body"], "later");
        // When somebody has mended the row, what was missed is told after all.
        execute(&app, mend).await;
        until(|| async { ready(&app).await == (200, "ready\n".into()) }).await;
        assert_eq!(METRICS.log_damaged.get(), 0);
        let mut socket = bob.socket("desk").await;
        socket.follow_after("3", EVENTS, &before).await;
        assert_eq!(socket.next("3").await["events"]["message"]["body"], "damaged");
    }
}

// Nobody could tell a receiver what the event was. The log is the same, so it is not told that the log was rewound.
#[tokio::test]
async fn a_webhook_waits_until_a_damaged_event_is_mended() {
    let mut receiver = Receiver::start().await;
    let mut app = TestApp::with(|setup| {
        receiver.adapt(setup);
        setup.args.limits.recent_bytes = 0;
    })
    .await;
    let (ada, _, room) = app.pair().await;
    ada.send(&room, "damaged").await;
    assert_eq!(receiver.next_said().await, "damaged");
    app.stop().await;
    // It is to be told again.
    execute(&app, "UPDATE webhooks SET position = 1, chain = (SELECT chain FROM events WHERE position = 1)")
        .await;
    execute(&app, "UPDATE events SET kind = 99 WHERE position = 2").await;
    app.restart().await;
    until(|| async { ready(&app).await.1.contains("damaged") }).await;
    execute(&app, "UPDATE events SET kind = 4 WHERE position = 2").await;
    let call = receiver.next().await;
    assert_eq!((call.kind(), call.said()), ("message.sent", "damaged"));
}

/// An SQLite file takes any value in any column. Postgres keeps to the types of its columns and to its foreign keys, so
/// such damage cannot be stored there.
fn takes_any_value(app: &TestApp) -> bool {
    app.database.file().is_some()
}

/// Everything that an event shows.
const SHOWN: &str = "subscription($after: Cursor) { events(after: $after) { conversation { title }
    ... on MessageSent { message { body sender { displayName } } }
    ... on StatusChanged { message { body } } } }";

// Two damages at once: a person and a conversation.
#[tokio::test]
async fn who_follows_events_that_show_a_damaged_row_is_told_and_others_go_on() {
    let mut app = TestApp::start().await;
    if !takes_any_value(&app) {
        return;
    }
    let (ada, bob, room) = app.pair().await;
    let (cleo, dora, other) = app.pair().await;
    let sound = dora.start(&[&bob]).await;
    let before = bob.cursor().await;
    ada.send(&room, "hers").await;
    // A herald that knows a user does not read the row.
    app.stop().await;
    let user = format!("UPDATE users SET created_at = 'never' WHERE handle = '{}'", ada.handle);
    execute(&app, &user).await;
    app.restart().await;
    let [bob, cleo, dora] = [bob, cleo, dora].map(|user| user.at(app.address));
    // A writer that knows a conversation does not read the row.
    cleo.send(&other, "sound").await;
    let conversation = "UPDATE conversations SET created_at = 'never' WHERE id = \
        (SELECT e.conversation_id FROM events e WHERE e.position = 2)";
    execute(&app, conversation).await;

    // Missed: her message.
    let mut desk = bob.socket("desk").await;
    desk.follow_after("e", SHOWN, &before).await;
    assert_eq!(desk.refused("e").await, "CURSOR_EXPIRED");
    // Who does not look at what is damaged misses nothing.
    desk.follow_after("f", EVENTS, &before).await;
    assert_eq!(desk.next("f").await["events"]["message"]["body"], "hers");
    // Live: the conversation of the others, which ends nothing but what shows it.
    let (mut hers, mut his) = (dora.socket("desk").await, bob.socket("phone").await);
    hers.follow("e", SHOWN).await;
    hers.follow("f", EVENTS).await;
    his.follow("e", SHOWN).await;
    cleo.send(&other, "theirs").await;
    let told = [hers.receive().await, hers.receive().await];
    let [ended, shown] = ["e", "f"].map(|id| told.iter().find(|told| told["id"] == id).unwrap());
    assert_eq!(ended["payload"][0]["extensions"]["code"], "CURSOR_EXPIRED", "{ended}");
    assert_eq!(shown["payload"]["data"]["events"]["message"]["body"], "theirs", "{shown}");
    dora.send(&sound, "ours").await;
    assert_eq!(his.next("e").await["events"]["message"]["sender"]["displayName"], dora.handle);
    // Mended, what was missed is told after all.
    for damage in [&*user, conversation] {
        execute(&app, &damage.replace("'never'", "1")).await;
    }
    desk.follow_after("g", SHOWN, &before).await;
    loop {
        let told = desk.receive().await;
        if told["id"] == "g" {
            assert_eq!(told["payload"]["data"]["events"]["message"]["sender"]["displayName"], ada.handle);
            break;
        }
    }
}

#[tokio::test]
async fn a_query_that_needs_a_damaged_row_is_told_so_and_all_else_is_answered() {
    let mut app = TestApp::start().await;
    if !takes_any_value(&app) {
        return;
    }
    let (ada, bob, room) = app.pair().await;
    let sent = ada.send(&room, "whole").await;
    app.stop().await;
    let damages = [
        format!("UPDATE users SET created_at = 'never' WHERE handle = '{}'", ada.handle),
        "UPDATE conversations SET created_at = 'never'".into(),
    ];
    for damage in &damages {
        execute(&app, damage).await;
    }
    app.restart().await;
    let bob = bob.at(app.address);
    let query = "query($room: ID!, $ada: ID!, $sent: ID!) {
        viewer { displayName } ada: node(id: $ada) { ... on User { displayName } }
        room: conversation(id: $room) { id title }
        message(id: $sent) { body } }";
    let answer = bob.post(query, json!({ "room": room, "ada": ada.id, "sent": sent })).await;
    for error in answer["errors"].as_array().unwrap() {
        assert_eq!(error["extensions"]["code"], "INTERNAL", "{error}");
        assert!(error["message"].as_str().unwrap().contains("damaged"), "{error}");
    }
    let expected = json!({ "viewer": { "displayName": bob.handle }, "ada": null,
        "room": { "id": room, "title": null }, "message": { "body": "whole" } });
    assert_eq!(answer["data"], expected, "{answer}");
}

// A row that another one refers to, and that somebody deleted.
#[tokio::test]
async fn a_message_that_is_missing_is_damage_like_another() {
    let mut app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let sent = ada.send(&room, "gone").await;
    let before = ada.cursor().await;
    bob.mark_read(&sent).await;
    app.stop().await;
    execute(&app, "DELETE FROM messages").await;
    app.restart().await;
    let [ada, bob] = [ada, bob].map(|user| user.at(app.address));
    let mut socket = ada.socket("desk").await;
    socket.follow_after("e", SHOWN, &before).await;
    assert_eq!(socket.refused("e").await, "CURSOR_EXPIRED");
    socket.follow("f", SHOWN).await;
    bob.send(&room, "heard").await;
    assert_eq!(socket.next("f").await["events"]["message"]["body"], "heard");
}

// Whether the recent events or the log have what they missed.
#[tokio::test]
async fn who_takes_part_by_a_damaged_row_is_told_and_others_who_come_with_them_go_on() {
    for recent_bytes in [0, 1 << 20] {
        let mut app = TestApp::with(|setup| setup.args.limits.recent_bytes = recent_bytes).await;
        if !takes_any_value(&app) {
            return;
        }
        let (ada, bob, room) = app.pair().await;
        let before = bob.cursor().await;
        ada.send(&room, "missed").await;
        app.stop().await;
        let damage = "UPDATE participants SET joined_at = 'never' WHERE user_id = \
            (SELECT u.id FROM users u WHERE u.handle = ";
        execute(&app, &format!("{damage}'{}')", bob.handle)).await;
        app.restart().await;
        let [ada, bob] = [ada, bob].map(|user| user.at(app.address));
        let follow = |user: User| {
            let before = before.clone();
            async move {
                let mut socket = user.socket("desk").await;
                socket.follow_after("e", EVENTS, &before).await;
                socket.receive().await
            }
        };
        let users = [&ada, &bob, &ada, &bob].map(Clone::clone);
        let told: Vec<Value> = join_all(users.map(follow)).await;
        for (index, told) in told.iter().enumerate() {
            if index % 2 == 0 {
                assert_eq!(told["payload"]["data"]["events"]["message"]["body"], "missed", "{told}");
            } else {
                assert_eq!(told["payload"][0]["extensions"]["code"], "CURSOR_EXPIRED", "{told}");
            }
        }
    }
}

#[tokio::test]
async fn a_herald_starts_although_a_recent_event_is_damaged() {
    let mut app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let before = bob.cursor().await;
    ada.send(&room, "damaged").await;
    ada.send(&room, "whole").await;
    let after = bob.cursor().await;
    app.stop().await;
    execute(&app, "UPDATE events SET kind = 99 WHERE position = 2").await;
    app.restart().await;
    let [ada, bob] = [ada, bob].map(|user| user.at(app.address));
    let mut socket = bob.socket("desk").await;
    socket.follow_after("e", EVENTS, &before).await;
    assert_eq!(socket.refused("e").await, "CURSOR_EXPIRED");
    socket.follow_after("f", EVENTS, &after).await;
    ada.send(&room, "later").await;
    assert_eq!(socket.next("f").await["events"]["message"]["body"], "later");
}

/// Has the event that will be stored at a position be damaged when its transaction ends.
async fn damage_event(app: &TestApp, position: u32) {
    let damage = format!("UPDATE events SET kind = 99 WHERE position = {position}");
    if takes_any_value(app) {
        let trigger = format!("CREATE TRIGGER damage AFTER INSERT ON events BEGIN {damage}; END");
        return execute(app, &trigger).await;
    }
    let function = "CREATE FUNCTION damage() RETURNS trigger LANGUAGE plpgsql AS";
    execute(app, &format!("{function} $$ BEGIN {damage}; RETURN NULL; END $$")).await;
    execute(app, "CREATE TRIGGER damage AFTER INSERT ON events EXECUTE FUNCTION damage()").await;
}

// Another node wrote the event, or the feed lost it.
#[tokio::test]
async fn a_node_goes_on_past_an_event_that_is_damaged_before_it_is_delivered() {
    let feed = Arc::<Told>::default();
    let app = TestApp::with(|setup| {
        setup.args.limits.poll_interval = 1;
        setup.parts.feed = Some(feed.clone());
    })
    .await;
    let (ada, bob, room) = app.pair().await;
    let (cleo, dora, other) = app.pair().await;
    feed.tell(&app).await;
    let (mut his, mut hers) = (bob.socket("desk").await, dora.socket("desk").await);
    his.follow("e", EVENTS).await;
    hers.follow("e", EVENTS).await;
    damage_event(&app, 3).await;
    ada.send(&room, "damaged").await;
    cleo.send(&other, "whole").await;
    assert_eq!(his.refused("e").await, "CURSOR_EXPIRED");
    assert_eq!(hers.next("e").await["events"]["message"]["body"], "whole");
    let (status, body) = ready(&app).await;
    assert!(status == 200 && body.contains("damaged"), "{status} {body}");
    let snapshot = bob.cursor().await;
    his.follow_after("f", EVENTS, &snapshot).await;
    ada.send(&room, "later").await;
    assert_eq!(his.next("f").await["events"]["message"]["body"], "later");
    let on = if takes_any_value(&app) { "" } else { " ON events" };
    execute(&app, &format!("DROP TRIGGER damage{on}")).await;
    execute(&app, "UPDATE events SET kind = 4 WHERE kind = 99").await;
    until(|| async { ready(&app).await == (200, "ready\n".into()) }).await;
}
