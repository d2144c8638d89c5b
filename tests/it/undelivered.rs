//! `message.undelivered`: who is told of, when and how often, and the token with which a push worker marks.

use std::time::Duration;

use herald::accounts::Scope;
use serde_json::{Value, json};

use crate::support::{Called, FAILS, OK, Receiver, Reply, SteppedClock, TestApp, User, until};
use crate::webhook_failures::{calls, stored_calls};

const HALF_A_MINUTE: Duration = Duration::from_secs(31);

/// A herald with these rules, in seconds.
async fn ruled(receiver: &Receiver, rules: &[u32]) -> (TestApp, SteppedClock) {
    let clock = SteppedClock::new();
    let app = TestApp::with(|setup| {
        receiver.adapt(setup);
        clock.adapt(setup);
        setup.args.webhooks.undelivered_after = rules.to_vec();
    })
    .await;
    (app, clock)
}

/// The next call about a recipient who was not reached.
async fn next_undelivered(receiver: &mut Receiver) -> Called {
    loop {
        let call = receiver.next().await;
        if call.kind() == "message.undelivered" {
            return call;
        }
    }
}

async fn delivered(app: &TestApp, token: &str) -> Reply {
    let body = json!({ "token": token }).to_string();
    app.request("POST", "/delivered", &[("content-type", "application/json")], body.as_bytes()).await
}

async fn status(user: &User, message: &str) -> Value {
    user.data("query($id: ID!) { message(id: $id) { status } }", json!({ "id": message })).await["message"]["status"]
        .clone()
}

#[tokio::test]
async fn a_recipient_who_was_not_reached_is_told_of_once_with_their_totals() {
    let mut receiver = Receiver::start().await;
    let (app, clock) = ruled(&receiver, &[30]).await;
    let (ada, bob, conversation) = app.pair().await;
    let first = ada.send(&conversation, "first").await;
    let second = ada.send(&conversation, "second").await;
    clock.advance(HALF_A_MINUTE);
    let call = next_undelivered(&mut receiver).await;
    let data = &call.body["data"];
    assert_eq!(data["recipient"]["id"], json!(bob.id));
    assert_eq!(data["conversation"]["id"], json!(conversation));
    assert_eq!(data["conversation"]["unreadCount"], 2);
    assert_eq!(data["unread"], json!({ "messages": 2, "conversations": 1 }));
    assert_eq!((&data["message"]["id"], &data["message"]["body"]), (&json!(second), &json!("second")));
    assert_eq!((&data["afterSeconds"], &data["muted"]), (&json!(30), &json!(false)));
    let sent_at = "query($id: ID!) { message(id: $id) { sentAt } }";
    assert_eq!(data["since"], ada.data(sent_at, json!({ "id": first })).await["message"]["sentAt"]);
    // What is sent after the call is told of when it is old enough; nothing else is.
    let third = ada.send(&conversation, "third").await;
    clock.advance(HALF_A_MINUTE);
    let call = next_undelivered(&mut receiver).await;
    assert_eq!(call.body["data"]["message"]["id"], json!(third));
    assert_eq!(call.body["data"]["conversation"]["unreadCount"], 3);
    bob.mark_delivered(&third).await;
    ada.send(&conversation, "seen in time").await;
    bob.mark_read(&ada.send(&conversation, "too").await).await;
    let last = ada.send(&conversation, "last").await;
    clock.advance(HALF_A_MINUTE);
    assert_eq!(next_undelivered(&mut receiver).await.body["data"]["message"]["id"], json!(last));
}

#[tokio::test]
async fn each_rule_tells_at_its_own_time() {
    let mut receiver = Receiver::start().await;
    let (app, clock) = ruled(&receiver, &[30, 600]).await;
    let (ada, bob, conversation) = app.pair().await;
    ada.send(&conversation, "hello").await;
    clock.advance(HALF_A_MINUTE);
    let soon = next_undelivered(&mut receiver).await;
    clock.advance(Duration::from_mins(11));
    let late = next_undelivered(&mut receiver).await;
    assert_eq!(
        (&soon.body["data"]["afterSeconds"], &late.body["data"]["afterSeconds"]),
        (&json!(30), &json!(600))
    );
    assert_ne!(soon.id, late.id);
    assert!(late.id.ends_with(bob.id.trim_start_matches("usr_")), "{}", late.id);
}

#[tokio::test]
async fn a_push_worker_marks_with_the_token_and_again_with_the_same_answer() {
    let mut receiver = Receiver::start().await;
    let (app, clock) = ruled(&receiver, &[30]).await;
    let (ada, bob, conversation) = app.pair().await;
    let message = ada.send(&conversation, "hello").await;
    clock.advance(HALF_A_MINUTE);
    let call = next_undelivered(&mut receiver).await;
    let token = call.body["data"]["deliveredToken"].as_str().unwrap().to_owned();
    let later = ada.send(&conversation, "after the call").await;
    let mut socket = ada.socket("desk").await;
    socket
        .follow_after(
            "s",
            "subscription($after: Cursor) { statusChanged(after: $after) { status message { id } } }",
            &ada.cursor().await,
        )
        .await;

    let answer = delivered(&app, &token).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json(), json!({ "conversationId": conversation, "messageId": message }));
    // The sender is told as of every other mark.
    assert_eq!(
        socket.next("s").await["statusChanged"],
        json!({ "status": "DELIVERED", "message": { "id": message } })
    );
    let again = delivered(&app, &token).await;
    assert_eq!((again.status, again.body), (200, answer.body));
    assert_eq!(
        (status(&ada, &message).await, status(&ada, &later).await),
        (json!("DELIVERED"), json!("SENT"))
    );
    // And the webhook, too.
    let told = loop {
        let call = receiver.next().await;
        if call.kind() == "status.changed" {
            break call;
        }
    };
    assert_eq!(told.body["data"]["recipient"]["id"], json!(bob.id));

    clock.advance(Duration::from_hours(24 * 8));
    let expired = delivered(&app, &token).await;
    assert_eq!((expired.status, code(&expired)), (400, "TOKEN_INVALID".into()));
}

fn code(reply: &Reply) -> String {
    crate::support::code(&reply.json()).to_owned()
}

#[tokio::test]
async fn what_is_no_token_marks_nothing() {
    let receiver = Receiver::start().await;
    let (app, _) = ruled(&receiver, &[30]).await;
    let long = format!("hdt_{}", "A".repeat(100_000));
    for token in ["", "hdt_", "hdt_AAAA", "nonsense", &long] {
        let refused = delivered(&app, token).await;
        assert_eq!((refused.status, code(&refused)), (400, "TOKEN_INVALID".into()), "{token}");
    }
    let json_type = [("content-type", "application/json")];
    for body in ["", "[]", "{}", "{\"token\": 1}", "no json"] {
        let refused = app.request("POST", "/delivered", &json_type, body.as_bytes()).await;
        assert_eq!((refused.status, code(&refused)), (400, "BAD_REQUEST".into()), "{body}");
    }
    assert_eq!(app.request("POST", "/delivered", &[], b"{\"token\":\"\"}").await.status, 400);
    let get = app.request("GET", "/delivered", &[], b"").await;
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
}

#[tokio::test]
async fn who_is_muted_is_told_of_as_muted_and_who_left_or_is_disabled_is_not() {
    let mut receiver = Receiver::start().await;
    let (app, clock) = ruled(&receiver, &[30]).await;
    let crm = app.service("crm", &[Scope::Provision]).await;
    let (ada, muted) = (app.user("ada").await, app.user("muted").await);
    let (left, disabled) = (app.user("left").await, app.user("disabled").await);
    let conversation = ada.start(&[&muted, &left, &disabled]).await;
    let mute = "mutation($id: ID!) { updateOwnParticipation(input: {
        conversationId: $id, mutedUntil: \"2100-01-01T00:00:00Z\" }) { cursor } }";
    muted.data(mute, json!({ "id": conversation })).await;
    ada.send(&conversation, "hello").await;
    left.leave(&conversation).await;
    let disable =
        "mutation($id: ID!) { setUserDisabled(input: { userId: $id, disabled: true }) { user { id } } }";
    crm.data(disable, json!({ "id": disabled.id })).await;
    clock.advance(HALF_A_MINUTE);
    let call = next_undelivered(&mut receiver).await;
    assert_eq!(call.body["data"]["recipient"]["id"], json!(muted.id));
    assert_eq!(call.body["data"]["muted"], true);
    assert_eq!(call.body["data"]["conversation"].get("own"), None);
    stored_calls(&app, 0).await;
    assert!(receiver.arrived().is_none());
}

#[tokio::test]
async fn a_call_about_somebody_who_was_reached_meanwhile_is_not_repeated() {
    let mut receiver = Receiver::start().await;
    let (app, clock) = ruled(&receiver, &[30]).await;
    let (ada, bob, conversation) = app.pair().await;
    let message = ada.send(&conversation, "hello").await;
    fail_first(&mut receiver, &app, &clock, HALF_A_MINUTE).await;
    bob.mark_delivered(&message).await;
    clock.advance(Duration::from_secs(10));
    stored_calls(&app, 0).await;
    while let Some(call) = receiver.arrived() {
        assert_eq!(call.kind(), "status.changed");
    }
}

/// Has the first call about a recipient, which comes after so much time, fail, and those after it be accepted.
async fn fail_first(receiver: &mut Receiver, app: &TestApp, clock: &SteppedClock, after: Duration) {
    receiver.behave(|call| if call.kind() == "message.undelivered" { FAILS } else { OK });
    clock.advance(after);
    next_undelivered(receiver).await;
    until(async || calls(app).await.first().is_some_and(|call| call.attempts == 1)).await;
    receiver.behave(|_| OK);
}

#[tokio::test]
async fn a_message_that_came_before_a_call_which_was_not_made_is_told_of_later() {
    let mut receiver = Receiver::start().await;
    let (app, clock) = ruled(&receiver, &[30]).await;
    let (ada, bob, conversation) = app.pair().await;
    let first = ada.send(&conversation, "first").await;
    clock.advance(Duration::from_secs(20));
    let second = ada.send(&conversation, "second").await;
    fail_first(&mut receiver, &app, &clock, Duration::from_secs(11)).await;
    // When it is tried again, the first is delivered, and the second is not old enough (on SQLite).
    bob.mark_delivered(&first).await;
    clock.advance(Duration::from_secs(8));
    stored_calls(&app, 0).await;
    clock.advance(Duration::from_secs(30));
    assert_eq!(next_undelivered(&mut receiver).await.body["data"]["message"]["id"], json!(second));
}

#[tokio::test]
async fn nobody_is_told_of_who_has_not_received_what_was_redacted() {
    let mut receiver = Receiver::start().await;
    let (app, clock) = ruled(&receiver, &[30]).await;
    let (ada, _, conversation) = app.pair().await;
    let message = ada.send(&conversation, "regretted").await;
    fail_first(&mut receiver, &app, &clock, HALF_A_MINUTE).await;
    let redact = "mutation($id: ID!) { redactMessage(input: { messageId: $id }) { cursor } }";
    ada.data(redact, json!({ "id": message })).await;
    clock.advance(Duration::from_secs(10));
    stored_calls(&app, 0).await;
    assert!(receiver.arrived().is_none());
}
