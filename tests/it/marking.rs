//! Marks of a whole conversation: everything up to now, whoever sent the newest message.

use serde_json::{Value, json};

use crate::support::{TestApp, User, code};

const STATUS: &str = "subscription($after: Cursor) { statusChanged(after: $after) {
    status recipient { handle } message { body } messages { body }
} }";

async fn mark(user: &User, field: &str, input: Value) -> Value {
    let mark = format!(
        "mutation($input: MarkInput!) {{ done: {field}(input: $input) {{
            cursor message {{ body }} conversation {{ id unreadCount }} }} }}"
    );
    user.post(&mark, json!({ "input": input })).await
}

async fn read_all(user: &User, conversation: &str) -> Value {
    mark(user, "markRead", json!({ "conversationId": conversation })).await["data"]["done"].take()
}

#[tokio::test]
async fn a_conversation_is_marked_up_to_now_also_when_the_newest_message_is_ones_own() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let mut socket = ada.socket("desk").await;
    socket.follow_after("s", STATUS, &ada.cursor().await).await;
    ada.send(&room, "one").await;
    ada.send(&room, "two").await;
    bob.send(&room, "mine").await;
    let read = read_all(&bob, &room).await;
    assert_eq!(read["message"]["body"], "two");
    assert_eq!(read["conversation"], json!({ "id": room, "unreadCount": 0 }));
    let told = socket.next("s").await;
    let expected = json!({
        "status": "READ", "recipient": { "handle": bob.handle }, "message": { "body": "two" },
        "messages": [{ "body": "two" }, { "body": "one" }]
    });
    assert_eq!(told["statusChanged"], expected);
    // To repeat it changes nothing. Neither does the weaker mark.
    let cursor = ada.cursor().await;
    assert_eq!(read_all(&bob, &room).await["message"]["body"], "two");
    mark(&bob, "markDelivered", json!({ "conversationId": room })).await;
    assert_eq!(ada.cursor().await, cursor);
    let delivered = mark(&ada, "markDelivered", json!({ "conversationId": room })).await;
    assert_eq!(delivered["data"]["done"]["message"]["body"], "mine");
}

#[tokio::test]
async fn where_there_is_nothing_to_mark_nothing_changes() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let query =
        "mutation($id: ID!) { markRead(input: { conversationId: $id }) { cursor conversation { id } } }";
    let cursor = ada.cursor().await;
    let empty = ada.data(query, json!({ "id": room })).await;
    assert_eq!(empty["markRead"], json!({ "cursor": cursor, "conversation": { "id": room } }));
    // There is no message to show.
    assert_eq!(code(&mark(&ada, "markRead", json!({ "conversationId": room })).await), "NOT_FOUND");
    ada.send(&room, "my own").await;
    let cursor = ada.cursor().await;
    let own = read_all(&ada, &room).await;
    assert_eq!((&own["cursor"], &own["message"]["body"]), (&json!(cursor), &json!("my own")));
    drop(bob);
}

#[tokio::test]
async fn only_what_the_marker_may_see_is_marked() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    ada.send(&room, "seen").await;
    bob.leave(&room).await;
    ada.send(&room, "missed").await;
    ada.add(&room, &[&bob]).await;
    assert_eq!(read_all(&bob, &room).await["message"]["body"], "seen");
    let sent =
        "query($id: ID!) { conversation(id: $id) { messages(last: 2) { nodes { body status readCount } } } }";
    let data = ada.data(sent, json!({ "id": room })).await;
    let expected = json!([
        { "body": "seen", "status": "READ", "readCount": 1 },
        { "body": "missed", "status": "SENT", "readCount": 0 }
    ]);
    assert_eq!(data["conversation"]["messages"]["nodes"], expected);
}

#[tokio::test]
async fn one_of_message_and_conversation_is_named_by_somebody_who_takes_part() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let carol = app.user("carol").await;
    let sent = ada.send(&room, "hello").await;
    let (neither, both) = (json!({}), json!({ "messageId": sent, "conversationId": room }));
    for input in [neither, both] {
        assert_eq!(code(&mark(&bob, "markRead", input).await), "BAD_INPUT");
    }
    for conversation in [&room, "cnv_1"] {
        let input = json!({ "conversationId": conversation });
        assert_eq!(code(&mark(&carol, "markRead", input).await), "NOT_FOUND");
    }
    bob.leave(&room).await;
    assert_eq!(code(&mark(&bob, "markRead", json!({ "conversationId": room })).await), "NOT_FOUND");
}

#[tokio::test]
async fn in_a_large_conversation_the_senders_are_told() {
    let app = TestApp::with(|setup| setup.args.limits.small_conversation = 2).await;
    let (ada, bob, cleo) = (app.user("ada").await, app.user("bob").await, app.user("cleo").await);
    let room = ada.start(&[&bob, &cleo]).await;
    let start = ada.cursor().await;
    ada.send(&room, "from ada").await;
    read_all(&bob, &room).await;
    bob.send(&room, "from bob").await;
    read_all(&cleo, &room).await;
    // Bob's mark is nothing to cleo, who sent nothing. Her own is told to both senders.
    for (user, expected) in [(&ada, vec![&bob, &cleo]), (&bob, vec![&bob, &cleo]), (&cleo, vec![&cleo])] {
        let mut socket = user.socket("desk").await;
        socket.follow_after("s", STATUS, &start).await;
        for marker in expected {
            assert_eq!(socket.next("s").await["statusChanged"]["recipient"]["handle"], marker.handle);
        }
    }
}
