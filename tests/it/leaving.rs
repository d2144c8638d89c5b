//! What a user sees who has left, and a user who came back: marks as of their leaving, and marks on all messages that
//! they may see.

use serde_json::{Value, json};

use crate::support::{Socket, TestApp, User};

const ASK: &str = "subscription($after: Cursor) { events(after: $after) {
    ... on MessageSent { message { ...message } }
    ... on StatusChanged { message { ...message } messages { ...message } }
    ... on ParticipantLeft { user { handle } }
    conversation {
        participants { nodes { user { handle } deliveredThrough { body } readThrough { body } } }
        lastMessage { ...message }
    }
} }
fragment message on Message {
    body status deliveredCount readCount
    receipts { nodes { status deliveredAt readAt recipient { handle } } }
}";

/// What is told from a cursor on, up to and with somebody's leaving.
async fn told(user: &User, after: &str, leaving: usize) -> Vec<Value> {
    let mut socket = user.socket("desk").await;
    socket.follow_after("e", ASK, after).await;
    let (mut told, mut left) = (Vec::new(), 0);
    while left < leaving {
        let data = socket.next("e").await;
        left += usize::from(data["events"]["user"]["handle"] == user.handle);
        told.push(data);
    }
    told
}

#[tokio::test]
async fn whoever_has_left_sees_marks_as_of_their_leaving_wherever_events_lead() {
    let app = TestApp::start().await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let conversation = ada.start(&[&bob, &carol]).await;
    let start = carol.cursor().await;
    let first = ada.send(&conversation, "first").await;
    bob.mark_delivered(&first).await;
    carol.mark_delivered(&first).await;
    let second = carol.send(&conversation, "second").await;
    bob.mark_delivered(&second).await;
    carol.leave(&conversation).await;
    let before = told(&carol, &start, 1).await;
    let shown = |told: &[Value]| told.iter().map(Value::to_string).collect::<String>();
    assert!(shown(&before).contains("DELIVERED"));
    assert!(!shown(&before).contains(r#""READ""#));

    // Later events change nothing of what she sees.
    bob.mark_read(&second).await;
    ada.mark_read(&second).await;
    let third = ada.send(&conversation, "third").await;
    bob.mark_read(&third).await;
    assert_eq!(told(&carol, &start, 1).await, before);
    // A participant sees the present state from the same events.
    let mut socket = ada.socket("desk").await;
    socket.follow_after("e", ASK, &start).await;
    let now = socket.next("e").await;
    assert_eq!(now["events"]["message"]["readCount"], 1, "{now}");
    let bobs = now["events"]["conversation"]["participants"]["nodes"].as_array().unwrap().iter();
    let bobs: Vec<_> = bobs.filter(|part| part["user"]["handle"] == bob.handle).collect();
    assert_eq!(bobs[0]["readThrough"]["body"], "third");

    // She comes back and sees the present state. She leaves again, and then the second leaving counts.
    ada.add(&conversation, &[&carol]).await;
    let back = told(&carol, &start, 1).await;
    assert_eq!(back[0]["events"]["message"]["readCount"], 1);
    carol.leave(&conversation).await;
    let again = told(&carol, &start, 2).await;
    bob.mark_read(&ada.send(&conversation, "fourth").await).await;
    assert_eq!(told(&carol, &start, 2).await, again);
    assert_eq!(again[0]["events"]["message"]["readCount"], 1);
}

#[tokio::test]
async fn a_send_that_is_repeated_after_leaving_is_answered_as_of_then() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let send = "mutation($id: ID!) {
        sendMessage(input: { conversationId: $id, body: \"once\", idempotencyKey: \"k\" }) {
            message { id status readCount receipts { nodes { readAt } } }
        }
    }";
    let first = ada.data(send, json!({ "id": conversation })).await;
    ada.leave(&conversation).await;
    bob.mark_read(first["sendMessage"]["message"]["id"].as_str().unwrap()).await;
    assert_eq!(ada.data(send, json!({ "id": conversation })).await, first);
    bob.add(&conversation, &[&ada]).await;
    let back = ada.data(send, json!({ "id": conversation })).await;
    assert_eq!(back["sendMessage"]["message"]["status"], "READ");
}

/// What a follower of statuses is told: who read, the message that is named, and those that are covered.
async fn marked(socket: &mut Socket) -> (String, Vec<String>) {
    let mut data = socket.next("s").await;
    let told = data["statusChanged"].take();
    let covered = told["messages"].as_array().unwrap().iter().map(|m| m["body"].as_str().unwrap().to_owned());
    (told["message"]["body"].as_str().unwrap().to_owned(), covered.collect())
}

#[tokio::test]
async fn whoever_came_back_is_told_of_marks_on_all_that_they_may_see() {
    const STATUS: &str = "subscription($after: Cursor) {
        statusChanged(after: $after) { message { body } messages { body } }
    }";
    let app = TestApp::start().await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let conversation = ada.start(&[&bob, &carol]).await;
    carol.send(&conversation, "m1").await;
    carol.leave(&conversation).await;
    let gap = ada.send(&conversation, "in the gap").await;
    let later = ada.send(&conversation, "later in the gap").await;
    ada.add(&conversation, &[&carol]).await;
    let back = carol.cursor().await;
    let m2 = ada.send(&conversation, "m2").await;
    let mut live = carol.socket("desk").await;
    live.follow("s", STATUS).await;

    // A mark on a message that she may not see covers an earlier one that she may see.
    bob.mark_read(&gap).await;
    let first = ("m1".to_owned(), vec!["m1".to_owned()]);
    assert_eq!(marked(&mut live).await, first);
    let participants = "query($id: ID!) { conversation(id: $id) {
        participants { nodes { user { handle } readThrough { body } } }
    } }";
    let through = async || {
        let data = carol.data(participants, json!({ "id": conversation })).await;
        let nodes = data["conversation"]["participants"]["nodes"].as_array().unwrap().clone();
        let bobs = nodes.into_iter().find(|part| part["user"]["handle"] == bob.handle).unwrap();
        bobs["readThrough"]["body"].clone()
    };
    assert_eq!(through().await, "m1");
    // She does not receive a mark that covers none of her messages. The next event comes as usual.
    bob.mark_read(&later).await;
    assert_eq!(through().await, "m1");
    bob.mark_read(&m2).await;
    let last = ("m2".to_owned(), vec!["m2".to_owned()]);
    assert_eq!(marked(&mut live).await, last);
    assert_eq!(through().await, "m2");
    // A replay from the log brings the same.
    let mut replayed = carol.socket("phone").await;
    replayed.follow_after("s", STATUS, &back).await;
    assert_eq!(marked(&mut replayed).await, first);
    assert_eq!(marked(&mut replayed).await, last);
}

#[tokio::test]
async fn one_mark_covers_messages_of_all_the_times_that_its_viewer_took_part() {
    const STATUS: &str = "subscription($after: Cursor) {
        statusChanged(after: $after) { message { body } messages { body } }
    }";
    for small in [32, 1] {
        let app = TestApp::with(|setup| setup.args.limits.small_conversation = small).await;
        let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
        let conversation = ada.start(&[&bob, &carol]).await;
        carol.send(&conversation, "m1").await;
        carol.leave(&conversation).await;
        ada.send(&conversation, "missed").await;
        ada.add(&conversation, &[&carol]).await;
        let m2 = ada.send(&conversation, "m2").await;
        let mut socket = carol.socket("desk").await;
        socket.follow("s", STATUS).await;
        bob.mark_read(&m2).await;
        let told = marked(&mut socket).await;
        assert_eq!(told, ("m2".to_owned(), vec!["m2".to_owned(), "m1".to_owned()]), "{small}");
    }
}
