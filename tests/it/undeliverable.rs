//! Reports of services that a message could not be brought to a recipient: who is told, what a receipt shows, and what is
//! refused.

use herald::accounts::Scope;
use serde_json::{Value, json};

use crate::support::{TestApp, User, code};

const FOLLOW: &str = "subscription($after: Cursor) { events(after: $after) {
    __typename via
    ... on MessageUndeliverable { message { body } recipient { handle } reason conversation { id } }
    ... on StatusChanged { status }
} }";

async fn report(service: &User, message: &str, to: &User, reason: &str) -> Value {
    let report = "mutation($input: UndeliverableInput!) {
        reportUndeliverable(input: $input) { message { body status } cursor } }";
    let input = json!({ "messageId": message, "userId": to.id, "reason": reason });
    service.post(report, json!({ "input": input })).await
}

/// What the receipts of a message show as undeliverable, in the order of joining.
async fn shown(user: &User, message: &str) -> Vec<Value> {
    let query = "query($id: ID!) { message(id: $id) { receipts(first: 9) { nodes {
        undeliverable { reason at } status } } } }";
    let mut data = user.data(query, json!({ "id": message })).await;
    let nodes = data["message"]["receipts"]["nodes"].as_array_mut().unwrap();
    nodes.iter_mut().map(|node| node["undeliverable"].take()).collect()
}

#[tokio::test]
async fn the_sender_is_told_and_the_receipt_shows_it_until_it_is_delivered() {
    let mut app = TestApp::start().await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let conversation = ada.start(&[&bob, &carol]).await;
    let message = ada.send(&conversation, "hello").await;
    let push = app.service("push", &[Scope::Send, Scope::Read]).await;
    let (mut adas, mut bobs) = (ada.socket("desk").await, bob.socket("desk").await);
    adas.follow("e", FOLLOW).await;
    bobs.follow("e", FOLLOW).await;

    let reported = report(&push, &message, &bob, "no device").await;
    assert_eq!(reported["data"]["reportUndeliverable"]["message"]["body"], "hello", "{reported}");
    let told = adas.next("e").await["events"].take();
    let expected = json!({
        "__typename": "MessageUndeliverable", "via": "push", "message": { "body": "hello" },
        "recipient": { "handle": bob.handle }, "reason": "no device", "conversation": { "id": conversation },
    });
    assert_eq!(told, expected);
    let receipts = shown(&ada, &message).await;
    assert_eq!((&receipts[0]["reason"], &receipts[1]), (&json!("no device"), &Value::Null));

    // To say the same again is no event. Another reason is one, and takes the place of the first.
    let cursor = ada.cursor().await;
    report(&push, &message, &bob, "no device").await;
    assert_eq!(ada.cursor().await, cursor);
    report(&push, &message, &bob, "app removed").await;
    assert_eq!(adas.next("e").await["events"]["reason"], "app removed");
    app.restart().await;
    let [ada, bob, push] = [ada, bob, push].map(|user| user.at(app.address));
    assert_eq!(shown(&ada, &message).await[0]["reason"], "app removed");
    report(&push, &message, &bob, "app removed").await;
    report(&push, &message, &bob, "lost").await;

    // It is delivered after all. What was said before is of no concern any more.
    bob.mark_delivered(&message).await;
    assert_eq!(shown(&ada, &message).await, [Value::Null, Value::Null]);
    let cursor = ada.cursor().await;
    assert!(report(&push, &message, &bob, "too late").await.get("errors").is_none());
    assert_eq!(ada.cursor().await, cursor);
    // The recipient was told of nothing but their own mark: the sender alone is told.
    bobs = bob.socket("phone").await;
    bobs.follow_after("e", FOLLOW, &bobs_start(&ada, &bob, &conversation).await).await;
    assert_eq!(bobs.next("e").await["events"]["__typename"], "MessageSent");
}

/// A place in the log, after which ada has sent another message.
async fn bobs_start(ada: &User, bob: &User, conversation: &str) -> String {
    let start = bob.cursor().await;
    ada.send(conversation, "again").await;
    start
}

#[tokio::test]
async fn nobody_but_the_sender_is_told_live_and_on_replay() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let message = ada.send(&conversation, "hello").await;
    let push = app.service("push", &[Scope::Send, Scope::Read]).await;
    let mut live = bob.socket("desk").await;
    live.follow("e", FOLLOW).await;
    let start = live.cursor.clone();
    report(&push, &message, &bob, "no device").await;
    bob.mark_delivered(&message).await;
    // On bob's own other connection: the report would have come before.
    let mut replayed = bob.socket("phone").await;
    replayed.follow_after("e", FOLLOW, &start).await;
    for socket in [&mut live, &mut replayed] {
        assert_eq!(socket.next("e").await["events"]["__typename"], "StatusChanged");
    }
}

#[tokio::test]
async fn a_report_about_nobody_or_nothing_is_refused() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let carol = app.user("carol").await;
    let message = ada.send(&conversation, "hello").await;
    let push = app.service("push", &[Scope::Send, Scope::Read]).await;
    for user in [&ada, &carol] {
        let refused = report(&push, &message, user, "gone").await;
        assert_eq!(code(&refused), "NOT_FOUND");
    }
    assert_eq!(code(&report(&push, "msg_0", &bob, "gone").await), "NOT_FOUND");
    for reason in ["", " ", "two\nlines", &"x".repeat(501)] {
        assert_eq!(code(&report(&push, &message, &bob, reason).await), "BAD_INPUT", "{reason:?}");
    }
    // A recipient who has left is still one.
    bob.leave(&conversation).await;
    assert!(report(&push, &message, &bob, "gone").await.get("errors").is_none());
    assert_eq!(shown(&ada, &message).await[0]["reason"], "gone");
}
