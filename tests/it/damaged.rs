//! A row of the log that is damaged: whoever missed its event is told so and can go on, and operators learn of it.

use herald::metrics::METRICS;
use sea_orm::{ConnectionTrait, Database};
use serde_json::json;

use crate::support::{Receiver, TestApp, code, until};

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
