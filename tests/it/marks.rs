//! Marks: how far messages have come, with whom, since when, and who receives the events.

use serde_json::{Value, json};

use crate::support::{Socket, TestApp, User};

const MARK_DELIVERED: &str = "mutation($id: ID!) {
    markDelivered(input: { messageId: $id }) { message { id status } }
}";
const MARK_READ: &str =
    "mutation($id: ID!) { markRead(input: { messageId: $id }) { message { id status } } }";
const STANDING: &str = "query($id: ID!) {
    message(id: $id) { status recipientCount deliveredCount readCount }
}";
const RECEIPTS: &str = "query($id: ID!) {
    message(id: $id) { receipts { nodes { recipient { handle } status deliveredAt readAt } } }
}";
const PARTICIPANTS: &str = "query($id: ID!) {
    conversation(id: $id) {
        participants { nodes { user { handle } deliveredThrough { id } readThrough { id } } }
    }
}";
const UNREAD: &str = "query($id: ID!) { conversation(id: $id) { unreadCount } }";
const STATUS: &str = "subscription($after: Cursor) {
    statusChanged(after: $after) {
        at status message { id }
        messages { body } two: messages(first: 2) { body } none: messages(first: 0) { body }
    }
}";
const EVENTS: &str = "subscription($after: Cursor) {
    events(after: $after) {
        ... on MessageSent { message { body } }
        ... on StatusChanged { status recipient { handle } message { body } }
    }
}";

/// So many people.
async fn people<const N: usize>(app: &TestApp, names: [&str; N]) -> [User; N] {
    let mut people = Vec::new();
    for name in names {
        people.push(app.user(name).await);
    }
    people.try_into().unwrap()
}

/// How far a message has come: its status, and how many recipients there are, received it, and read it.
async fn standing(viewer: &User, message: &str) -> String {
    let data = viewer.data(STANDING, json!({ "id": message })).await;
    let [status, all, delivered, read] =
        ["status", "recipientCount", "deliveredCount", "readCount"].map(|field| &data["message"][field]);
    format!("{} {all} {delivered} {read}", status.as_str().unwrap())
}

/// The one receipt of a message in a conversation of two: its status, and its times.
async fn receipt(viewer: &User, message: &str) -> [Value; 3] {
    let mut data = viewer.data(RECEIPTS, json!({ "id": message })).await;
    let rows = data["message"]["receipts"]["nodes"].as_array_mut().unwrap();
    assert_eq!(rows.len(), 1, "{rows:?}");
    ["status", "deliveredAt", "readAt"].map(|field| rows[0][field].take())
}

/// How far the marks of `whose` have come, as `viewer` sees them.
async fn marks(viewer: &User, conversation: &str, whose: &User) -> [Value; 2] {
    let mut data = viewer.data(PARTICIPANTS, json!({ "id": conversation })).await;
    let nodes = data["conversation"]["participants"]["nodes"].as_array_mut().unwrap();
    let part = nodes.iter_mut().find(|part| part["user"]["handle"] == whose.handle).unwrap();
    [part["deliveredThrough"]["id"].take(), part["readThrough"]["id"].take()]
}

async fn unread(viewer: &User, conversation: &str) -> u64 {
    let data = viewer.data(UNREAD, json!({ "id": conversation })).await;
    data["conversation"]["unreadCount"].as_u64().unwrap()
}

/// Lets the server's clock pass `time`: two events in one millisecond could not be told apart.
async fn pass(time: &Value, sender: &User, elsewhere: &str) {
    let send = r#"mutation($id: ID!) {
        sendMessage(input: { conversationId: $id, body: "tick" }) { message { sentAt } }
    }"#;
    loop {
        let data = sender.data(send, json!({ "id": elsewhere })).await;
        if data["sendMessage"]["message"]["sentAt"].as_str() > time.as_str() {
            return;
        }
    }
}

/// What a follower of [`EVENTS`] is told before the message `last`, which must come. People go by the names
/// that their handles begin with.
async fn told_before(last: &str, socket: &mut Socket) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        let data = socket.next("e").await;
        let text = |path: &str| data["events"].pointer(path).and_then(Value::as_str);
        let body = text("/message/body").unwrap();
        match (text("/recipient/handle"), text("/status")) {
            (Some(who), Some(status)) => {
                let (name, _) = who.split_once('-').unwrap();
                told.push(format!("{name} {status} {body}"));
            }
            _ if body == last => return told,
            _ => told.push(body.to_owned()),
        }
    }
}

#[tokio::test]
async fn a_message_to_one_is_sent_then_delivered_then_read() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let message = ada.send(&conversation, "hello").await;
    assert_eq!(standing(&ada, &message).await, "SENT 1 0 0");
    let data = bob.data(MARK_DELIVERED, json!({ "id": message })).await;
    assert_eq!(data["markDelivered"]["message"], json!({ "id": message, "status": "DELIVERED" }));
    assert_eq!(standing(&ada, &message).await, "DELIVERED 1 1 0");
    let data = bob.data(MARK_READ, json!({ "id": message })).await;
    assert_eq!(data["markRead"]["message"], json!({ "id": message, "status": "READ" }));
    assert_eq!(standing(&ada, &message).await, "READ 1 1 1");
    // A mark never moves back.
    bob.mark_delivered(&message).await;
    assert_eq!(standing(&bob, &message).await, "READ 1 1 1");
}

#[tokio::test]
async fn in_a_group_the_least_advanced_decides_and_everyone_is_told_of_everyone() {
    let app = TestApp::start().await;
    let [ada, bob, carol, dave] = people(&app, ["ada", "bob", "carol", "dave"]).await;
    let conversation = ada.start(&[&bob, &carol, &dave]).await;
    let mut tablet = carol.socket("tablet").await;
    tablet.follow("e", EVENTS).await;
    let message = ada.send(&conversation, "hello").await;
    bob.mark_read(&message).await;
    carol.mark_delivered(&message).await;
    assert_eq!(standing(&ada, &message).await, "SENT 3 2 1");
    dave.mark_delivered(&message).await;
    assert_eq!(standing(&ada, &message).await, "DELIVERED 3 3 1");
    dave.mark_read(&message).await;
    assert_eq!(standing(&ada, &message).await, "DELIVERED 3 3 2");
    carol.mark_read(&message).await;
    assert_eq!(standing(&dave, &message).await, "READ 3 3 3");

    ada.send(&conversation, "done").await;
    let told = told_before("done", &mut tablet).await;
    assert_eq!(told[..3], ["hello", "bob READ hello", "carol DELIVERED hello"]);
    assert_eq!(told[3..], ["dave DELIVERED hello", "dave READ hello", "carol READ hello"]);
}

#[tokio::test]
async fn joins_and_leaves_never_move_what_was_sent_before() {
    let app = TestApp::start().await;
    let [ada, bob, carol, dave] = people(&app, ["ada", "bob", "carol", "dave"]).await;
    let conversation = ada.start(&[&bob, &carol]).await;
    let old = ada.send(&conversation, "old").await;
    bob.mark_read(&old).await;
    carol.leave(&conversation).await;
    ada.add(&conversation, &[&dave]).await;
    assert_eq!(standing(&ada, &old).await, "SENT 2 1 1", "carol never received it");
    let new = ada.send(&conversation, "new").await;
    dave.mark_read(&new).await;
    assert_eq!(standing(&ada, &old).await, "SENT 2 1 1", "dave is none of its recipients");
    assert_eq!(standing(&ada, &new).await, "SENT 2 1 1");
    bob.mark_read(&new).await;
    bob.leave(&conversation).await;
    assert_eq!(standing(&dave, &new).await, "READ 2 2 2");
}

#[tokio::test]
async fn a_message_that_nobody_was_there_to_receive_is_sent_and_no_more() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let heard = ada.send(&conversation, "anyone?").await;
    bob.mark_read(&heard).await;
    bob.leave(&conversation).await;
    let message = ada.send(&conversation, "no one.").await;
    assert_eq!(standing(&ada, &message).await, "SENT 0 0 0");
    let data = ada.data(RECEIPTS, json!({ "id": message })).await;
    assert_eq!(data["message"]["receipts"]["nodes"], json!([]));
    assert_eq!(standing(&ada, &heard).await, "READ 1 1 1");
    // A user who comes back does not become a recipient of messages from in between.
    ada.add(&conversation, &[&bob]).await;
    assert_eq!(standing(&ada, &message).await, "SENT 0 0 0");
}

#[tokio::test]
async fn a_mark_covers_every_earlier_message_and_none_after() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut messages = Vec::new();
    for body in ["one", "two", "three", "four"] {
        messages.push(ada.send(&conversation, body).await);
    }
    assert_eq!((unread(&bob, &conversation).await, unread(&ada, &conversation).await), (4, 0));
    bob.mark_delivered(&messages[2]).await;
    bob.mark_read(&messages[1]).await;
    let expected = ["READ 1 1 1", "READ 1 1 1", "DELIVERED 1 1 0", "SENT 1 0 0"];
    for (message, expected) in messages.iter().zip(expected) {
        assert_eq!(standing(&ada, message).await, expected);
    }
    bob.send(&conversation, "my own").await;
    assert_eq!((unread(&bob, &conversation).await, unread(&ada, &conversation).await), (2, 1));
    bob.mark_delivered(&messages[3]).await;
    assert_eq!(unread(&bob, &conversation).await, 2, "received is not read");
    bob.mark_read(&messages[3]).await;
    assert_eq!(unread(&bob, &conversation).await, 0);
}

#[tokio::test]
async fn marking_again_or_something_older_changes_nothing_and_tells_nobody() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut phone = ada.socket("phone").await;
    phone.follow("e", EVENTS).await;
    let older = ada.send(&conversation, "older").await;
    let newer = ada.send(&conversation, "newer").await;
    bob.mark_read(&newer).await;
    let before = (standing(&ada, &older).await, receipt(&ada, &newer).await, ada.cursor().await);
    for message in [&newer, &older] {
        bob.mark_read(message).await;
        bob.mark_delivered(message).await;
    }
    let after = (standing(&ada, &older).await, receipt(&ada, &newer).await, ada.cursor().await);
    assert_eq!(before, after);
    ada.send(&conversation, "done").await;
    assert_eq!(told_before("done", &mut phone).await, ["older", "newer", "bob READ newer"]);
}

#[tokio::test]
async fn a_mark_by_the_wrong_person_is_refused_and_moves_nothing() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let [carol, dave] = people(&app, ["carol", "dave"]).await;
    let theirs = bob.send(&conversation, "from bob").await;
    let message = ada.send(&conversation, "from ada").await;
    ada.add(&conversation, &[&carol]).await;
    let unknown = "msg_0123456789abcdef0123456789abcdef";
    for mark in [MARK_DELIVERED, MARK_READ] {
        for (who, message, refusal) in [
            (&ada, message.as_str(), "SENDER_CANNOT_MARK"),
            (&bob, theirs.as_str(), "SENDER_CANNOT_MARK"),
            // The message is from before she joined, or of another conversation, or it does not exist.
            (&carol, message.as_str(), "NOT_FOUND"),
            (&dave, message.as_str(), "NOT_FOUND"),
            (&ada, unknown, "NOT_FOUND"),
            (&ada, conversation.as_str(), "NOT_FOUND"),
        ] {
            assert_eq!(
                who.refused(mark, json!({ "id": message })).await,
                refusal,
                "{} {message}",
                who.handle
            );
        }
        let foreign = dave.post(mark, json!({ "id": message })).await;
        assert_eq!(foreign, dave.post(mark, json!({ "id": unknown })).await);
    }
    bob.leave(&conversation).await;
    assert_eq!(bob.refused(MARK_READ, json!({ "id": message })).await, "NOT_FOUND");
    assert_eq!(standing(&ada, &message).await, "SENT 1 0 0");
    assert_eq!(standing(&ada, &theirs).await, "SENT 1 0 0");
}

#[tokio::test]
async fn a_receipt_has_the_times_at_which_its_recipient_first_said_so() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let elsewhere = ada.start(&[&bob]).await;
    let mut phone = ada.socket("phone").await;
    phone.follow("s", STATUS).await;
    let mut messages = Vec::new();
    for body in ["one", "two", "three", "four"] {
        messages.push(ada.send(&conversation, body).await);
    }
    let mut times = Vec::new();
    for (mark, message) in [
        (MARK_DELIVERED, &messages[1]),
        (MARK_READ, &messages[2]),
        (MARK_DELIVERED, &messages[3]),
        (MARK_READ, &messages[3]),
    ] {
        bob.data(mark, json!({ "id": message })).await;
        let told = phone.next("s").await;
        assert_eq!(told["statusChanged"]["message"]["id"], *message);
        times.push(told["statusChanged"]["at"].clone());
        pass(times.last().unwrap(), &ada, &elsewhere).await;
    }
    let [two_delivered, three_read, four_delivered, four_read]: [Value; 4] = times.try_into().unwrap();
    let row = |delivered: &Value, read: &Value| [json!("READ"), delivered.clone(), read.clone()];
    assert_eq!(receipt(&ada, &messages[0]).await, row(&two_delivered, &three_read));
    assert_eq!(receipt(&bob, &messages[1]).await, row(&two_delivered, &three_read));
    // A message that was read without a delivered mark was delivered at that time. A mark on a later message changes
    // nothing.
    assert_eq!(receipt(&ada, &messages[2]).await, row(&three_read, &three_read));
    assert_eq!(receipt(&ada, &messages[3]).await, row(&four_delivered, &four_read));

    let fresh = ada.send(&conversation, "five").await;
    assert_eq!(receipt(&ada, &fresh).await, [json!("SENT"), Value::Null, Value::Null]);
    bob.mark_delivered(&fresh).await;
    let at = phone.next("s").await["statusChanged"]["at"].clone();
    assert_eq!(receipt(&ada, &fresh).await, [json!("DELIVERED"), at, Value::Null]);
}

#[tokio::test]
async fn a_group_has_a_receipt_for_each_recipient() {
    let app = TestApp::start().await;
    let [ada, bob, carol, dave] = people(&app, ["ada", "bob", "carol", "dave"]).await;
    let conversation = ada.start(&[&bob, &carol]).await;
    let message = bob.send(&conversation, "hello").await;
    carol.mark_read(&message).await;
    carol.leave(&conversation).await;
    ada.add(&conversation, &[&dave]).await;
    let data = ada.data(RECEIPTS, json!({ "id": message })).await;
    let rows = data["message"]["receipts"]["nodes"].as_array().unwrap().iter();
    let mut rows: Vec<_> =
        rows.map(|row| (row["recipient"]["handle"].as_str().unwrap(), &row["status"])).collect();
    rows.sort_by_key(|row| row.0);
    assert_eq!(rows, [(ada.handle.as_str(), &json!("SENT")), (carol.handle.as_str(), &json!("READ"))]);
}

#[tokio::test]
async fn participants_show_how_far_they_are_to_those_who_may_see_the_message() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let carol = app.user("carol").await;
    let first = ada.send(&conversation, "first").await;
    assert_eq!(marks(&ada, &conversation, &bob).await, [Value::Null, Value::Null]);
    bob.mark_read(&first).await;
    let second = ada.send(&conversation, "second").await;
    bob.mark_delivered(&second).await;
    ada.add(&conversation, &[&carol]).await;
    assert_eq!(marks(&ada, &conversation, &bob).await, [json!(second), json!(first)]);
    assert_eq!(marks(&carol, &conversation, &bob).await, [Value::Null, Value::Null]);
    assert_eq!(marks(&ada, &conversation, &carol).await, [Value::Null, Value::Null]);

    let third = ada.send(&conversation, "third").await;
    bob.mark_delivered(&third).await;
    assert_eq!(marks(&carol, &conversation, &bob).await, [json!(third), Value::Null]);
    carol.mark_read(&third).await;
    assert_eq!(marks(&bob, &conversation, &carol).await, [json!(third), json!(third)]);
}

#[tokio::test]
async fn a_change_lists_the_messages_it_covers_newest_first() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let carol = app.user("carol").await;
    let (mut phone, mut tablet) = (ada.socket("phone").await, carol.socket("tablet").await);
    phone.follow("s", STATUS).await;
    tablet.follow("s", STATUS).await;
    let lists = async |socket: &mut Socket| {
        let change = socket.next("s").await;
        ["messages", "two", "none"].map(|list| {
            let messages = change["statusChanged"][list].as_array().unwrap().iter();
            messages.map(|message| message["body"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        })
    };
    ada.send(&conversation, "one").await;
    let two = ada.send(&conversation, "two").await;
    ada.add(&conversation, &[&carol]).await;
    bob.mark_delivered(&two).await;
    assert_eq!(lists(&mut phone).await, [vec!["two", "one"], vec!["two", "one"], vec![]]);
    bob.send(&conversation, "bob's own").await;
    ada.send(&conversation, "three").await;
    let four = ada.send(&conversation, "four").await;
    bob.mark_delivered(&four).await;
    assert_eq!(lists(&mut phone).await, [vec!["four", "three"], vec!["four", "three"], vec![]]);
    // Carol joined after "two", so she does not receive that mark.
    assert_eq!(lists(&mut tablet).await, [vec!["four", "three"], vec!["four", "three"], vec![]]);
    bob.mark_read(&four).await;
    let all = vec!["four", "three", "two", "one"];
    assert_eq!(lists(&mut phone).await, [all, vec!["four", "three"], vec![]]);
    assert_eq!(lists(&mut tablet).await, [vec!["four", "three"], vec!["four", "three"], vec![]]);
}

#[tokio::test]
async fn in_a_large_conversation_a_mark_is_told_to_those_it_concerns_live_and_on_replay() {
    let app = TestApp::with(|setup| setup.args.limits.small_conversation = 2).await;
    let [ada, bob, carol, dave] = people(&app, ["ada", "bob", "carol", "dave"]).await;
    let conversation = ada.start(&[&bob, &carol, &dave]).await;
    let since = ada.cursor().await;
    let connections = [(&ada, "phone"), (&bob, "phone"), (&bob, "desk"), (&carol, "phone"), (&dave, "phone")];
    let mut live = Vec::new();
    for (user, connection) in connections {
        let mut socket = user.socket(connection).await;
        socket.follow("e", EVENTS).await;
        live.push(socket);
    }
    ada.send(&conversation, "one").await;
    let two = carol.send(&conversation, "two").await;
    bob.on("phone").mark_delivered(&two).await;
    // Those two were told already. This mark covers one more message, and is told to its sender alone.
    let three = dave.send(&conversation, "three").await;
    bob.on("phone").mark_delivered(&three).await;
    carol.mark_read(&three).await;
    ada.send(&conversation, "done").await;

    let expected = [
        vec!["one", "two", "bob DELIVERED two", "three", "carol READ three"],
        vec!["one", "two", "three"],
        vec!["one", "two", "bob DELIVERED two", "three", "bob DELIVERED three"],
        vec!["one", "two", "bob DELIVERED two", "three", "carol READ three"],
        vec!["one", "two", "three", "bob DELIVERED three", "carol READ three"],
    ];
    for ((user, connection), (mut socket, expected)) in
        connections.into_iter().zip(live.into_iter().zip(expected))
    {
        assert_eq!(told_before("done", &mut socket).await, expected, "{} on {connection}", user.handle);
        let mut again = user.socket(connection).await;
        again.follow_after("e", EVENTS, &since).await;
        assert_eq!(told_before("done", &mut again).await, expected, "{} on replay", user.handle);
    }
}

#[tokio::test]
async fn in_a_large_conversation_a_mark_concerns_nobody_whose_message_it_does_not_cover() {
    let app = TestApp::with(|setup| setup.args.limits.small_conversation = 2).await;
    let [ada, bob, carol, dave] = people(&app, ["ada", "bob", "carol", "dave"]).await;
    let conversation = ada.start(&[&bob, &carol, &dave]).await;
    bob.leave(&conversation).await;
    carol.send(&conversation, "while bob is away").await;
    ada.add(&conversation, &[&bob]).await;
    let (mut phone, mut tablet) = (ada.socket("phone").await, carol.socket("tablet").await);
    phone.follow("e", EVENTS).await;
    tablet.follow("e", EVENTS).await;
    let message = ada.send(&conversation, "welcome back").await;
    bob.mark_read(&message).await;
    dave.send(&conversation, "done").await;
    assert_eq!(told_before("done", &mut phone).await, ["welcome back", "bob READ welcome back"]);
    assert_eq!(told_before("done", &mut tablet).await, ["welcome back"]);
}

#[tokio::test]
async fn in_a_large_conversation_marks_made_at_once_are_each_told_to_those_they_concern() {
    let app = TestApp::with(|setup| setup.args.limits.small_conversation = 2).await;
    let [ada, bob, carol, dave] = people(&app, ["ada", "bob", "carol", "dave"]).await;
    let conversation = ada.start(&[&bob, &carol, &dave]).await;
    let elsewhere = ada.start(&[&dave]).await;
    let mut phone = dave.socket("phone").await;
    phone.follow("e", EVENTS).await;
    for _ in 0..10 {
        let early = dave.send(&conversation, "early").await;
        carol.mark_delivered(&early).await;
        let late = ada.send(&conversation, "late").await;
        // Bob's mark covers both messages, and Carol's only the later one. The send keeps the writer busy meanwhile.
        tokio::join!(ada.send(&elsewhere, "tick"), bob.mark_delivered(&late), carol.mark_delivered(&late));
    }
    ada.send(&conversation, "done").await;
    let mut told = told_before("done", &mut phone).await;
    told.retain(|line| !["early", "late", "tick"].contains(&line.as_str()));
    told.sort();
    assert_eq!(told, [["bob DELIVERED late"; 10], ["carol DELIVERED early"; 10]].concat());
}
