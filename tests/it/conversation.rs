//! The main job: a message is sent, delivered and read, and its sender learns each step live.

use serde_json::json;

use crate::support::TestApp;

const STATUS: &str = "subscription($after: Cursor) {
    statusChanged(after: $after) { status recipient { handle } message { id status } }
}";

const SENT: &str = "subscription($after: Cursor) {
    messageSent(after: $after) { message { id body sender { handle } } }
}";

#[tokio::test]
async fn the_sender_sees_a_message_being_received_and_read() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;

    let mut phone = ada.socket("phone").await;
    phone.follow("s", STATUS).await;
    let mut desk = bob.socket("desk").await;
    desk.follow("m", SENT).await;

    let message = ada.send(&conversation, "hello").await;
    let arrived = desk.next("m").await;
    assert_eq!(
        arrived["messageSent"]["message"],
        json!({ "id": message, "body": "hello", "sender": { "handle": ada.handle } })
    );

    bob.mark_delivered(&message).await;
    let change = phone.next("s").await;
    assert_eq!(
        change["statusChanged"],
        json!({
            "status": "DELIVERED",
            "recipient": { "handle": bob.handle },
            "message": { "id": message, "status": "DELIVERED" }
        })
    );
    bob.mark_read(&message).await;
    assert_eq!(phone.next("s").await["statusChanged"]["status"], "READ");
}

#[tokio::test]
async fn the_connection_that_caused_a_change_is_not_told_and_the_others_are() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut phone = ada.socket("phone").await;
    let mut laptop = ada.socket("laptop").await;
    let mut stranger = bob.socket("phone").await;
    for socket in [&mut phone, &mut laptop, &mut stranger] {
        socket.follow("m", SENT).await;
    }
    ada.on("phone").send(&conversation, "from my phone").await;
    ada.on("laptop").send(&conversation, "from my laptop").await;

    let body = |data: serde_json::Value| data["messageSent"]["message"]["body"].as_str().unwrap().to_owned();
    assert_eq!(body(phone.next("m").await), "from my laptop");
    assert_eq!(body(laptop.next("m").await), "from my phone");
    // A connection of another user with the same id is another origin.
    assert_eq!(body(stranger.next("m").await), "from my phone");
    assert_eq!(body(stranger.next("m").await), "from my laptop");
}
