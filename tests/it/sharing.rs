//! Privacy: what others are told of what somebody receives and reads, and what that person's own devices know all the
//! same.

use herald::accounts::Scope;
use herald::log::{DatabaseOptions, check};
use serde_json::{Value, json};

use crate::command_line::run;
use crate::support::{Socket, TestApp, User};

const PROFILE: &str = "mutation($input: ProfileInput!) {
    updateProfile(input: $input) { user { shareDelivered shareRead } }
}";
const OWN: &str = "mutation($input: OwnParticipationInput!) {
    updateOwnParticipation(input: $input) { conversation { own { shareDelivered shareRead } } }
}";
/// Everything that a viewer can ask of a conversation that tells of marks.
const ALL: &str = "query($id: ID!) { conversation(id: $id) {
    unreadCount firstUnread { id }
    participants(first: 9) { nodes { user { handle } deliveredThrough { body } readThrough { body } } }
    messages(last: 99) { nodes {
        body status recipientCount sharingCount deliveredCount readCount
        receipts(first: 9) { nodes {
            recipient { handle } isShared status deliveredAt readAt undeliverable { reason }
        } }
    } }
} }";
const EVENTS: &str = "subscription($after: Cursor) { events(after: $after) {
    ... on StatusChanged { recipient { handle } status message { body } messages(first: 9) { body } }
    ... on MessageSent { message { body } }
} }";
const LOG: &str = "subscription($after: Cursor) { log(after: $after) {
    ... on StatusChanged { recipient { handle } status message { body } messages(first: 9) { body } }
    ... on MessageSent { message { body } }
} }";

pub(crate) async fn share(user: &User, delivered: bool, read: bool) {
    let input = json!({ "shareDelivered": delivered, "shareRead": read });
    user.data(PROFILE, json!({ "input": input })).await;
}

/// What a viewer sees of a conversation.
pub(crate) async fn seen(viewer: &User, conversation: &str) -> Value {
    viewer.data(ALL, json!({ "id": conversation })).await["conversation"].take()
}

/// Of these participants or receipts, the one of a user.
fn of<'a>(nodes: &'a Value, user: &User) -> &'a Value {
    let is_theirs = |node: &&Value| {
        let person = node.get("user").or(node.get("recipient")).unwrap();
        person["handle"] == user.handle
    };
    nodes.as_array().unwrap().iter().find(is_theirs).unwrap()
}

/// How far others are told that somebody's marks have come: received and read.
pub(crate) fn marks<'a>(seen: &'a Value, user: &User) -> [&'a Value; 2] {
    let part = of(&seen["participants"]["nodes"], user);
    ["deliveredThrough", "readThrough"].map(|mark| part[mark].get("body").unwrap_or(&Value::Null))
}

/// How far the message with a body has come, in short: of how many who share, how many received and read it.
pub(crate) async fn standing(viewer: &User, conversation: &str, body: &str) -> String {
    let seen = seen(viewer, conversation).await;
    let mut nodes = seen["messages"]["nodes"].as_array().unwrap().iter();
    let message = nodes.find(|message| message["body"] == body).unwrap();
    let [sharing, delivered, read] =
        ["sharingCount", "deliveredCount", "readCount"].map(|count| message[count].as_u64().unwrap());
    format!("{} {sharing} {delivered} {read}", message["status"].as_str().unwrap())
}

/// What a follower is told before the message `last`: `READ two of one, two` is one mark.
async fn told_before(last: &str, socket: &mut Socket, field: &str) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        let event = socket.next("e").await[field].take();
        let newest = event["message"]["body"].as_str().unwrap_or_default();
        let Some(status) = event["status"].as_str() else {
            if newest == last {
                return told;
            }
            continue;
        };
        let covered = event["messages"].as_array().unwrap().iter().rev();
        let covered: Vec<_> = covered.map(|message| message["body"].as_str().unwrap()).collect();
        told.push(format!("{status} {newest} of {}", covered.join(", ")));
    }
}

/// Follows everything from now on, by the user's own connection.
async fn follow(user: &User, connection: &str) -> Socket {
    let mut socket = user.socket(connection).await;
    socket.follow("e", EVENTS).await;
    socket
}

/// Checks that the whole log is sound.
pub(crate) async fn is_sound(app: &TestApp) {
    let url = app.database.url.clone();
    let patience = std::time::Duration::from_secs(5);
    check(&DatabaseOptions { url, readers: 1, patience, observer: None }).await.unwrap();
}

#[tokio::test]
async fn what_is_not_shared_looks_to_others_as_if_it_had_not_happened() {
    let app = TestApp::start().await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let room = ada.start(&[&bob, &carol]).await;
    let archive = app.service("archive", &[Scope::Read]).await;
    share(&bob, false, false).await;
    let message = ada.send(&room, "one").await;
    let mut adas = follow(&ada, "desk").await;
    let mut log = archive.socket("log").await;
    log.follow("e", LOG).await;
    let start = ada.cursor().await;
    let (before, by_carol) = (seen(&ada, &room).await, seen(&carol, &room).await);
    bob.mark_delivered(&message).await;
    bob.mark_read(&message).await;
    assert_eq!(seen(&ada, &room).await, before);
    assert_eq!(seen(&carol, &room).await, by_carol);
    let receipts = &before["messages"]["nodes"][0]["receipts"]["nodes"];
    let shown = |user| (&of(receipts, user)["isShared"], &of(receipts, user)["status"]);
    assert_eq!(shown(&bob), (&json!(false), &json!("SENT")));
    assert_eq!(shown(&carol), (&json!(true), &json!("SENT")));
    carol.mark_read(&message).await;
    assert_eq!(standing(&ada, &room, "one").await, "READ 1 1 1");

    // Live, for a service, and on replay: nothing of bob's.
    ada.send(&room, "end").await;
    let mut replayed = ada.socket("phone").await;
    replayed.follow_after("e", EVENTS, &start).await;
    for (socket, field) in [(&mut adas, "events"), (&mut log, "log"), (&mut replayed, "events")] {
        assert_eq!(told_before("end", socket, field).await, ["READ one of one"]);
    }
    is_sound(&app).await;
}

#[tokio::test]
async fn the_own_devices_go_on_as_ever() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    share(&bob, false, false).await;
    let mut phone = follow(&bob, "phone").await;
    ada.send(&room, "one").await;
    let second = ada.send(&room, "two").await;
    assert_eq!(seen(&bob, &room).await["unreadCount"], 2);
    bob.on("desk").mark_read(&second).await;
    let own = seen(&bob, &room).await;
    assert_eq!((&own["unreadCount"], &own["firstUnread"]), (&json!(0), &Value::Null));
    assert_eq!(marks(&own, &bob), ["two", "two"]);
    let others = seen(&ada, &room).await;
    assert_eq!(marks(&others, &bob), [&Value::Null, &Value::Null]);
    // The receipts are those that are told, also for bob.
    assert_eq!(own["messages"], others["messages"]);
    ada.send(&room, "end").await;
    assert_eq!(told_before("end", &mut phone, "events").await, ["READ two of one, two"]);
    // A mark never moves back, and one that changes nothing is nothing.
    let cursor = bob.cursor().await;
    bob.mark_read(&second).await;
    assert_eq!(bob.cursor().await, cursor);
}

#[tokio::test]
async fn to_share_again_tells_nothing_of_before() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let first = ada.send(&room, "one").await;
    bob.mark_read(&first).await;
    ada.send(&room, "two").await;
    share(&bob, false, false).await;
    let third = ada.send(&room, "three").await;
    bob.mark_read(&third).await;
    // Neither what bob has read nor what bob has yet to read.
    let fourth = ada.send(&room, "four").await;
    let hidden = seen(&ada, &room).await;
    share(&bob, true, true).await;
    assert_eq!(seen(&ada, &room).await, hidden);
    let (mut adas, mut phone) = (follow(&ada, "desk").await, follow(&bob, "phone").await);
    bob.mark_read(&fourth).await;
    assert_eq!(seen(&ada, &room).await, hidden);
    let fifth = ada.send(&room, "five").await;
    assert_eq!(standing(&ada, &room, "five").await, "SENT 1 0 0");
    bob.mark_read(&fifth).await;
    assert_eq!(standing(&ada, &room, "one").await, "READ 1 1 1");
    for body in ["two", "three", "four"] {
        assert_eq!(standing(&ada, &room, body).await, "SENT 0 0 0", "{body}");
    }
    assert_eq!(standing(&ada, &room, "five").await, "READ 1 1 1");
    ada.send(&room, "end").await;
    assert_eq!(told_before("end", &mut adas, "events").await, ["READ five of five"]);
    assert_eq!(told_before("end", &mut phone, "events").await, ["READ four of four", "READ five of five"]);
    is_sound(&app).await;
}

#[tokio::test]
async fn a_mark_over_what_is_shared_and_what_is_not_tells_only_of_the_first() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    share(&bob, false, false).await;
    ada.send(&room, "one").await;
    share(&bob, true, true).await;
    let second = ada.send(&room, "two").await;
    let (mut adas, mut phone) = (follow(&ada, "desk").await, follow(&bob, "phone").await);
    bob.on("laptop").mark_read(&second).await;
    assert_eq!(standing(&ada, &room, "one").await, "SENT 0 0 0");
    assert_eq!(standing(&ada, &room, "two").await, "READ 1 1 1");
    assert_eq!(seen(&bob, &room).await["unreadCount"], 0);
    ada.send(&room, "end").await;
    assert_eq!(told_before("end", &mut adas, "events").await, ["READ two of two"]);
    assert_eq!(
        told_before("end", &mut phone, "events").await,
        ["READ two of two", "READ two of one, two"],
        "bob's own devices are told of all of it"
    );
    is_sound(&app).await;
}

#[tokio::test]
async fn who_shares_only_what_they_receive_tells_of_that_when_they_read() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    share(&bob, true, false).await;
    let mut adas = follow(&ada, "desk").await;
    let mut phone = follow(&bob, "phone").await;
    let first = ada.send(&room, "one").await;
    bob.mark_delivered(&first).await;
    bob.mark_read(&first).await;
    let second = ada.send(&room, "two").await;
    assert_eq!(marks(&seen(&ada, &room).await, &bob), [&json!("one"), &Value::Null]);
    bob.mark_read(&second).await;
    for body in ["one", "two"] {
        assert_eq!(standing(&ada, &room, body).await, "DELIVERED 1 1 0");
    }
    assert_eq!(marks(&seen(&ada, &room).await, &bob), [&json!("two"), &Value::Null]);
    assert_eq!(seen(&bob, &room).await["unreadCount"], 0);
    ada.send(&room, "end").await;
    let delivered = ["DELIVERED one of one", "DELIVERED two of two"];
    assert_eq!(told_before("end", &mut adas, "events").await, delivered);
    let own = ["DELIVERED one of one", "READ one of one", "DELIVERED two of two", "READ two of two"];
    assert_eq!(told_before("end", &mut phone, "events").await, own);
    is_sound(&app).await;
}

#[tokio::test]
async fn a_choice_for_a_conversation_comes_before_the_one_for_all() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let other = ada.start(&[&bob]).await;
    let own = |conversation: &str, delivered: Value, read: Value| {
        let input = json!({ "conversationId": conversation, "shareDelivered": delivered, "shareRead": read });
        let bob = bob.clone();
        async move {
            let data = bob.data(OWN, json!({ "input": input })).await;
            let own = &data["updateOwnParticipation"]["conversation"]["own"];
            [own["shareDelivered"].as_bool().unwrap(), own["shareRead"].as_bool().unwrap()]
        }
    };
    assert_eq!(own(&room, Value::Null, json!(false)).await, [true, false]);
    assert_eq!(own(&other, json!(true), json!(true)).await, [true, true]);
    share(&bob, false, false).await;
    // What is received is told by what is read, so hiding the one hides the other.
    assert_eq!(own(&room, Value::Null, json!(true)).await, [false, false]);
    for (conversation, expected) in [(&room, "SENT 0 0 0"), (&other, "READ 1 1 1")] {
        let message = ada.send(conversation, "hello").await;
        bob.mark_read(&message).await;
        assert_eq!(standing(&ada, conversation, "hello").await, expected);
    }
    // Without a choice of its own, it follows the profile again.
    assert_eq!(own(&other, Value::Null, Value::Null).await, [false, false]);
    let message = ada.send(&other, "again").await;
    bob.mark_read(&message).await;
    assert_eq!(standing(&ada, &other, "again").await, "SENT 0 0 0");
    assert_eq!(standing(&ada, &other, "hello").await, "READ 1 1 1");
    // Whoever takes no part has nothing to choose.
    let input = json!({ "conversationId": room, "shareRead": false });
    assert_eq!(app.user("eve").await.refused(OWN, json!({ "input": input })).await, "NOT_FOUND");
    is_sound(&app).await;
}

#[tokio::test]
async fn a_choice_is_shown_to_whoever_made_it_and_nobody_else() {
    let app = TestApp::start().await;
    let (ada, bob, _) = app.pair().await;
    let query = "query($handle: String!) { user(handle: $handle) { shareDelivered shareRead } }";
    let shown = |viewer: &User| {
        let (viewer, handle) = (viewer.clone(), bob.handle.clone());
        async move { viewer.data(query, json!({ "handle": handle })).await["user"].take() }
    };
    assert_eq!(shown(&bob).await, json!({ "shareDelivered": true, "shareRead": true }));
    share(&bob, true, false).await;
    assert_eq!(shown(&bob).await, json!({ "shareDelivered": true, "shareRead": false }));
    assert_eq!(shown(&ada).await, json!({ "shareDelivered": null, "shareRead": null }));
    share(&bob, false, true).await;
    assert_eq!(shown(&bob).await, json!({ "shareDelivered": false, "shareRead": false }));
}

#[tokio::test]
async fn every_node_heeds_a_choice_as_soon_as_it_was_answered() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let there = bob.at(app.elsewhere().await);
    for n in 0..10 {
        // Each node has marked before, and knows what bob shared then.
        let (here, there) = if n % 2 == 0 { (&bob, &there) } else { (&there, &bob) };
        let body = format!("shared {n}");
        there.mark_read(&ada.send(&room, &body).await).await;
        assert_eq!(standing(&ada, &room, &body).await, "READ 1 1 1", "{n}");
        share(here, true, false).await;
        let body = format!("hidden {n}");
        let message = ada.send(&room, &body).await;
        there.mark_read(&message).await;
        assert_eq!(standing(&ada, &room, &body).await, "DELIVERED 1 1 0", "{n}");
        share(here, true, true).await;
    }
}

#[tokio::test]
async fn whoever_joins_or_comes_back_shares_what_they_chose() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let carol = app.user("carol").await;
    share(&carol, false, true).await;
    ada.add(&room, &[&carol]).await;
    let message = ada.send(&room, "to three").await;
    carol.mark_read(&message).await;
    bob.mark_delivered(&message).await;
    assert_eq!(standing(&ada, &room, "to three").await, "DELIVERED 1 1 0");
    // A conversation that she starts herself, and one that she is back in.
    let started = carol.start(&[&ada]).await;
    let message = ada.send(&started, "to carol").await;
    carol.mark_read(&message).await;
    assert_eq!(standing(&ada, &started, "to carol").await, "SENT 0 0 0");
    carol.leave(&room).await;
    let cursor = ada.cursor().await;
    ada.add(&room, &[&carol]).await;
    let message = ada.send(&room, "back").await;
    carol.mark_read(&message).await;
    assert_eq!(standing(&ada, &room, "back").await, "SENT 1 0 0", "bob alone shares");
    // She is away while she begins to share, and shares when she is back.
    carol.leave(&room).await;
    share(&carol, true, true).await;
    ada.add(&room, &[&carol]).await;
    let message = ada.send(&room, "once more").await;
    carol.mark_read(&message).await;
    assert_eq!(standing(&ada, &room, "once more").await, "SENT 2 1 1");
    assert_eq!(standing(&ada, &room, "back").await, "SENT 1 0 0");
    // Whoever follows from before is told of the one mark.
    let mut socket = ada.socket("desk").await;
    ada.send(&room, "end").await;
    socket.follow_after("e", EVENTS, &cursor).await;
    assert_eq!(told_before("end", &mut socket, "events").await, ["READ once more of once more"]);
    is_sound(&app).await;
}

#[tokio::test]
async fn whoever_left_sees_what_was_told_until_then() {
    let app = TestApp::start().await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let room = ada.start(&[&bob, &carol]).await;
    let start = carol.cursor().await;
    let first = ada.send(&room, "one").await;
    bob.mark_read(&first).await;
    share(&bob, true, false).await;
    let second = ada.send(&room, "two").await;
    bob.mark_read(&second).await;
    carol.mark_read(&second).await;
    carol.leave(&room).await;
    let left =
        "subscription($after: Cursor) { events(after: $after) { ... on ParticipantLeft { conversation {
        participants(first: 9) { nodes { user { handle } deliveredThrough { body } readThrough { body } } }
        messages(last: 9) { nodes {
            status sharingCount readCount receipts(first: 9) { nodes { recipient { handle } status } }
        } }
    } } } }";
    let mut socket = carol.socket("desk").await;
    socket.follow_after("e", left, &start).await;
    let mut conversation = Value::Null;
    while conversation.is_null() {
        conversation = socket.next("e").await["events"]["conversation"].take();
    }
    assert_eq!(marks(&conversation, &bob), ["two", "one"]);
    let messages = &conversation["messages"]["nodes"];
    let told = |n: usize| [&messages[n]["status"], &of(&messages[n]["receipts"]["nodes"], &bob)["status"]];
    assert_eq!((told(0), told(1)), ([&json!("READ"); 2], [&json!("DELIVERED"); 2]));
    assert_eq!((&messages[1]["sharingCount"], &messages[1]["readCount"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn a_delivery_that_is_not_shared_does_not_show_in_what_was_undeliverable() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let push = app.service("push", &[Scope::Send, Scope::Read]).await;
    share(&bob, false, false).await;
    let message = ada.send(&room, "one").await;
    let report = "mutation($input: UndeliverableInput!) { reportUndeliverable(input: $input) { cursor } }";
    let input = json!({ "messageId": message, "userId": bob.id, "reason": "no device" });
    push.data(report, json!({ "input": input })).await;
    let before = seen(&ada, &room).await;
    let receipt = &before["messages"]["nodes"][0]["receipts"]["nodes"][0];
    assert_eq!(receipt["undeliverable"]["reason"], "no device");
    bob.mark_read(&message).await;
    assert_eq!(seen(&ada, &room).await, before);
}

#[tokio::test]
async fn a_report_after_a_delivery_that_is_not_shared_is_what_it_is_before_one() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let push = app.service("push", &[Scope::Send, Scope::Read]).await;
    let told = ada.send(&room, "told").await;
    bob.mark_delivered(&told).await;
    share(&bob, false, false).await;
    let received = ada.send(&room, "received").await;
    bob.mark_read(&received).await;
    let waiting = ada.send(&room, "waiting").await;
    let mut adas = ada.socket("desk").await;
    let events = "subscription($after: Cursor) { events(after: $after) {
        ... on MessageUndeliverable { message { body } reason } } }";
    adas.follow("e", events).await;
    let report = async |message: &str| {
        let report =
            "mutation($input: UndeliverableInput!) { reportUndeliverable(input: $input) { cursor } }";
        let input = json!({ "messageId": message, "userId": bob.id, "reason": "no device" });
        let before = ada.cursor().await;
        let after =
            push.data(report, json!({ "input": input })).await["reportUndeliverable"]["cursor"].take();
        after != before
    };
    assert!(!report(&told).await, "others were told that it was delivered");
    assert!(report(&received).await && report(&waiting).await, "what is not told changes nothing");
    for body in ["received", "waiting"] {
        let expected = json!({ "message": { "body": body }, "reason": "no device" });
        assert_eq!(adas.next("e").await["events"], expected);
    }
    let seen = seen(&ada, &room).await;
    let shown: Vec<_> = seen["messages"]["nodes"].as_array().unwrap().iter().collect();
    let undeliverable = |n: usize| &shown[n]["receipts"]["nodes"][0]["undeliverable"];
    assert_eq!(undeliverable(0), &Value::Null);
    assert_eq!([undeliverable(1), undeliverable(2)], [&json!({ "reason": "no device" }); 2]);
    // Neither does it when bob shares again.
    share(&bob, true, true).await;
    let again = ada.send(&room, "again").await;
    bob.mark_delivered(&again).await;
    assert!(!report(&told).await && !report(&again).await && !report(&received).await);
    is_sound(&app).await;
}

#[tokio::test]
async fn an_erased_user_tells_nothing_more() {
    let app = TestApp::start().await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let room = ada.start(&[&bob, &carol]).await;
    let provisioner = app.service("app", &[Scope::Provision]).await;
    let message = ada.send(&room, "one").await;
    carol.mark_read(&message).await;
    assert_eq!(standing(&ada, &room, "one").await, "SENT 2 1 1");
    let erase = "mutation($id: ID!) { eraseUser(input: { userId: $id }) { __typename } }";
    provisioner.data(erase, json!({ "id": bob.id })).await;
    assert_eq!(standing(&ada, &room, "one").await, "READ 1 1 1");
    is_sound(&app).await;
}

#[tokio::test]
async fn an_operator_sees_the_marks_that_are_not_shared_and_that_they_are_not() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    share(&bob, false, false).await;
    let message = ada.send(&room, "one").await;
    bob.mark_read(&message).await;
    let (succeeded, text) = run(&["explain", &message, "--database", &app.database.url], "").await;
    let bob = &bob.handle;
    for part in [
        format!("marked as read by {bob}, who does not share it"),
        format!("{bob} does not share whether they received it"),
        "1 of them do not share it.".to_owned(),
    ] {
        assert!(succeeded && text.contains(&part), "{text}");
    }
}

#[tokio::test]
async fn whoever_hides_sees_none_where_receipts_are_reciprocal() {
    let app = TestApp::with(|setup| setup.args.reciprocal_receipts = true).await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let room = ada.start(&[&bob, &carol]).await;
    let message = ada.send(&room, "one").await;
    let start = ada.cursor().await;
    let (mut adas, mut carols) = (follow(&ada, "desk").await, follow(&carol, "desk").await);
    share(&ada, true, false).await;
    bob.mark_delivered(&message).await;
    bob.mark_read(&message).await;
    assert_eq!(standing(&carol, &room, "one").await, "SENT 2 1 1");
    assert_eq!(standing(&ada, &room, "one").await, "SENT 2 1 0");
    let seen_by_ada = seen(&ada, &room).await;
    assert_eq!(marks(&seen_by_ada, &bob), [&json!("one"), &Value::Null]);
    let bobs = of(&seen_by_ada["messages"]["nodes"][0]["receipts"]["nodes"], &bob);
    assert_eq!((&bobs["status"], &bobs["readAt"]), (&json!("DELIVERED"), &Value::Null));
    share(&ada, false, false).await;
    assert_eq!(standing(&ada, &room, "one").await, "SENT 0 0 0");
    let seen_by_ada = seen(&ada, &room).await;
    assert_eq!(marks(&seen_by_ada, &bob), [&Value::Null; 2]);
    let bobs = of(&seen_by_ada["messages"]["nodes"][0]["receipts"]["nodes"], &bob);
    assert_eq!((&bobs["isShared"], &bobs["deliveredAt"]), (&json!(false), &Value::Null));
    carol.mark_read(&message).await;
    let second = bob.send(&room, "two").await;
    ada.mark_read(&second).await;
    ada.send(&room, "end").await;
    // What she makes herself she is told of, on her other devices.
    assert_eq!(told_before("end", &mut adas, "events").await.last().unwrap(), "READ two of two");
    let told = told_before("end", &mut carols, "events").await;
    assert_eq!(told, ["DELIVERED one of one", "READ one of one", "READ one of one"]);
    let mut replayed = ada.socket("phone").await;
    replayed.follow_after("e", EVENTS, &start).await;
    assert_eq!(told_before("end", &mut replayed, "events").await, ["READ two of two"]);
    // To share again is to see again.
    share(&ada, true, true).await;
    assert_eq!(standing(&ada, &room, "one").await, "READ 2 2 2");
}

#[tokio::test]
async fn a_reading_is_told_as_a_receiving_to_who_shares_no_more_where_receipts_are_reciprocal() {
    let app = TestApp::with(|setup| setup.args.reciprocal_receipts = true).await;
    let (ada, bob, room) = app.pair().await;
    share(&ada, true, false).await;
    let (start, mut adas) = (ada.cursor().await, follow(&ada, "desk").await);
    // It is read at once; then received and read; then a part of what is read was received before.
    bob.mark_read(&ada.send(&room, "one").await).await;
    let second = ada.send(&room, "two").await;
    bob.mark_delivered(&second).await;
    bob.mark_read(&second).await;
    bob.mark_delivered(&ada.send(&room, "three").await).await;
    bob.mark_read(&ada.send(&room, "four").await).await;
    assert_eq!(standing(&ada, &room, "four").await, "DELIVERED 1 1 0");
    ada.mark_read(&bob.send(&room, "end").await).await;
    let told = [
        "DELIVERED one of one",
        "DELIVERED two of two",
        "DELIVERED three of three",
        "DELIVERED four of four",
    ];
    assert_eq!(told_before("end", &mut adas, "events").await, told);
    let mut replayed = ada.socket("phone").await;
    replayed.follow_after("e", EVENTS, &start).await;
    assert_eq!(told_before("end", &mut replayed, "events").await, told);
    // Her own marks she is told as they are.
    for status in ["DELIVERED", "READ"] {
        assert_eq!(replayed.next("e").await["events"]["status"], status);
    }
}

#[tokio::test]
async fn a_report_that_is_settled_stays_so_for_who_hides_where_receipts_are_reciprocal() {
    let app = TestApp::with(|setup| setup.args.reciprocal_receipts = true).await;
    let (ada, bob, room) = app.pair().await;
    let push = app.service("push", &[Scope::Send, Scope::Read]).await;
    let message = ada.send(&room, "one").await;
    let report = "mutation($input: UndeliverableInput!) { reportUndeliverable(input: $input) { cursor } }";
    let input = json!({ "messageId": message, "userId": bob.id, "reason": "no device" });
    push.data(report, json!({ "input": input })).await;
    bob.mark_delivered(&message).await;
    share(&ada, false, false).await;
    let seen = seen(&ada, &room).await;
    let receipt = &seen["messages"]["nodes"][0]["receipts"]["nodes"][0];
    assert_eq!((&receipt["isShared"], &receipt["undeliverable"]), (&json!(false), &Value::Null));
}
