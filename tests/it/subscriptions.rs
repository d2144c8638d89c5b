//! Subscriptions: from a cursor, through replay to live, in order, without a gap or a repeat.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use herald::feed::{Feed, LogNotification};
use herald::log::Observer;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::TestApp;

const SENT: &str = "subscription($after: Cursor, $id: ID) {
    messageSent(after: $after, conversationId: $id) { cursor message { body } }
}";

const EVENTS: &str = "subscription($after: Cursor) {
    events(after: $after) {
        __typename cursor
        conversation { id }
        ... on MessageSent { message { body } }
        ... on ConversationStarted { startedBy { handle } }
        ... on ParticipantsJoined { users { handle } addedBy { handle } }
        ... on ParticipantLeft { user { handle } }
        ... on StatusChanged { status messages { body } }
    }
}";

fn body(data: &Value) -> &str {
    data["messageSent"]["message"]["body"].as_str().unwrap()
}

fn kind(data: &Value) -> &str {
    data["events"]["__typename"].as_str().unwrap()
}

#[tokio::test]
async fn a_subscription_without_a_cursor_begins_now() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    ada.send(&conversation, "before").await;
    let mut socket = bob.socket("desk").await;
    // Nothing shows when a subscription without a cursor has begun. So messages are sent until one arrives, and that
    // must not be the one from before.
    socket.subscribe("m", SENT, json!({})).await;
    let mut sent = 0;
    let first = loop {
        ada.send(&conversation, &format!("message {sent}")).await;
        sent += 1;
        let arrived = tokio::time::timeout(std::time::Duration::from_millis(100), socket.receive()).await;
        if let Ok(message) = arrived {
            break message["payload"]["data"]["messageSent"]["message"]["body"].as_str().unwrap().to_owned();
        }
    };
    assert!(first.starts_with("message "), "{first}");
}

#[tokio::test]
async fn a_client_that_was_cut_off_resumes_with_everything_once_and_in_order() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut socket = bob.socket("desk").await;
    socket.follow("m", SENT).await;
    let mut received = Vec::new();
    let mut cursor = socket.cursor.clone();
    for n in 0..60 {
        ada.send(&conversation, &n.to_string()).await;
        if n % 20 == 10 {
            // The socket closes while events are on their way. Those that were not read are not lost.
            drop(socket);
            socket = bob.socket("desk").await;
            socket.follow_after("m", SENT, &cursor).await;
        }
        if n % 3 == 0 {
            let data = socket.next("m").await;
            received.push(body(&data).to_owned());
            cursor = data["messageSent"]["cursor"].as_str().unwrap().to_owned();
        }
    }
    while received.len() < 60 {
        received.push(body(&socket.next("m").await).to_owned());
    }
    let expected: Vec<_> = (0..60).map(|n| n.to_string()).collect();
    assert_eq!(received, expected);
}

#[tokio::test]
async fn a_cursor_is_good_across_a_restart() {
    let mut app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let cursor = bob.cursor().await;
    ada.send(&conversation, "before").await;
    app.restart().await;
    let bob = crate::support::User { address: app.address, ..bob };
    let ada = crate::support::User { address: app.address, ..ada };
    let mut socket = bob.socket("desk").await;
    socket.follow_after("m", SENT, &cursor).await;
    ada.send(&conversation, "after").await;
    assert_eq!(body(&socket.next("m").await), "before");
    assert_eq!(body(&socket.next("m").await), "after");
}

#[tokio::test]
async fn nothing_falls_between_a_snapshot_and_the_subscription() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    // A user sends messages all the time while the snapshots are taken.
    let sending = {
        let (ada, conversation) = (ada.clone(), conversation.clone());
        tokio::spawn(async move {
            for n in 0..80 {
                ada.send(&conversation, &n.to_string()).await;
            }
        })
    };
    for _ in 0..5 {
        let snapshot = bob
            .data(
                "query($id: ID!) { cursor conversation(id: $id) { messages(last: 1) { nodes { body } } } }",
                json!({ "id": conversation }),
            )
            .await;
        let last = snapshot["conversation"]["messages"]["nodes"][0]["body"].as_str();
        let seen: i64 = last.map_or(-1, |body| body.parse().unwrap());
        let mut socket = bob.socket("desk").await;
        socket.follow_after("m", SENT, snapshot["cursor"].as_str().unwrap()).await;
        if seen == 79 {
            break;
        }
        let first: i64 = body(&socket.next("m").await).parse().unwrap();
        assert!(first <= seen + 1, "{first} follows {seen}: something fell between");
    }
    sending.await.unwrap();
}

#[tokio::test]
async fn events_tell_everything_in_one_order() {
    let app = TestApp::start().await;
    let (ada, bob, eve) = (app.user("ada").await, app.user("bob").await, app.user("eve").await);
    let mut socket = bob.socket("desk").await;
    socket.follow("e", EVENTS).await;
    let conversation = ada.start(&[&bob]).await;
    let first = ada.send(&conversation, "one").await;
    let second = ada.send(&conversation, "two").await;
    ada.add(&conversation, &[&eve]).await;
    bob.mark_delivered(&first).await;
    bob.mark_read(&second).await;
    eve.leave(&conversation).await;

    let started = socket.next("e").await;
    assert_eq!(kind(&started), "ConversationStarted");
    assert_eq!(started["events"]["startedBy"]["handle"], json!(ada.handle));
    assert_eq!(started["events"]["conversation"]["id"], json!(conversation));
    assert_eq!(socket.next("e").await["events"]["message"]["body"], "one");
    assert_eq!(socket.next("e").await["events"]["message"]["body"], "two");
    let joined = socket.next("e").await;
    assert_eq!(joined["events"]["users"], json!([{ "handle": eve.handle }]));
    assert_eq!(joined["events"]["addedBy"]["handle"], json!(ada.handle));
    let delivered = socket.next("e").await;
    assert_eq!(delivered["events"]["status"], "DELIVERED");
    assert_eq!(delivered["events"]["messages"], json!([{ "body": "one" }]));
    let read = socket.next("e").await;
    assert_eq!(read["events"]["status"], "READ");
    assert_eq!(read["events"]["messages"], json!([{ "body": "two" }, { "body": "one" }]));
    assert_eq!(socket.next("e").await["events"]["user"]["handle"], json!(eve.handle));
}

#[tokio::test]
async fn a_subscription_to_one_conversation_tells_of_no_other() {
    let app = TestApp::start().await;
    let (ada, bob, wanted) = app.pair().await;
    let other = ada.start(&[&bob]).await;
    let mut socket = bob.socket("desk").await;
    socket.subscribe("m", SENT, json!({ "after": socket.cursor, "id": wanted })).await;
    ada.send(&other, "elsewhere").await;
    ada.send(&wanted, "here").await;
    assert_eq!(body(&socket.next("m").await), "here");
}

#[tokio::test]
async fn who_joins_later_sees_nothing_of_before_live_or_on_resume() {
    let app = TestApp::start().await;
    let (ada, _bob, conversation) = app.pair().await;
    let eve = app.user("eve").await;
    let cursor = eve.cursor().await;
    let mut live = eve.socket("live").await;
    live.follow("m", SENT).await;
    ada.send(&conversation, "before").await;
    ada.add(&conversation, &[&eve]).await;
    ada.send(&conversation, "after").await;
    assert_eq!(body(&live.next("m").await), "after");
    let mut late = eve.socket("late").await;
    late.follow_after("m", SENT, &cursor).await;
    assert_eq!(body(&late.next("m").await), "after");
}

#[tokio::test]
async fn leaving_ends_the_subscription_to_that_conversation_and_is_the_last_that_is_seen_of_it() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let other = ada.start(&[&bob]).await;
    let cursor = bob.cursor().await;
    let mut socket = bob.socket("desk").await;
    socket.follow("all", EVENTS).await;
    socket.subscribe("one", SENT, json!({ "after": cursor, "id": conversation })).await;
    ada.send(&conversation, "last").await;
    // When both have brought this message, both have begun.
    for _ in 0..2 {
        assert_eq!(socket.receive().await["type"], "next");
    }
    bob.leave(&conversation).await;
    // The end of one and the last event of the other come in any order.
    let mut ended = false;
    let mut left = false;
    while !(ended && left) {
        let message = socket.receive().await;
        match (message["id"].as_str().unwrap(), message["type"].as_str().unwrap()) {
            ("one", "complete") => ended = true,
            ("all", "next") => {
                assert_eq!(message["payload"]["data"]["events"]["__typename"], "ParticipantLeft");
                left = true;
            }
            _ => panic!("{message}"),
        }
    }
    ada.send(&conversation, "unseen").await;
    ada.send(&other, "seen").await;
    assert_eq!(socket.next("all").await["events"]["message"]["body"], "seen");

    // A resumed subscription also ends with the leaving.
    let mut again = bob.socket("again").await;
    again.follow_after("all", EVENTS, &cursor).await;
    assert_eq!(kind(&again.next("all").await), "MessageSent");
    assert_eq!(kind(&again.next("all").await), "ParticipantLeft");
    assert_eq!(again.next("all").await["events"]["message"]["body"], "seen");
    let mut one = bob.socket("one").await;
    one.subscribe("one", SENT, json!({ "after": cursor, "id": conversation })).await;
    assert_eq!(body(&one.next("one").await), "last");
    one.completed("one").await;
    // A subscription from the end, or without a cursor, gets the error at once.
    for after in [Some(bob.cursor().await), None] {
        one.subscribe("now", SENT, json!({ "after": after, "id": conversation })).await;
        assert_eq!(one.refused("now").await, "NOT_FOUND");
    }
}

#[tokio::test]
async fn a_cursor_that_cannot_be_honoured_is_refused_at_once() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let elsewhere = TestApp::start().await;
    let (cleo, _, other) = elsewhere.pair().await;
    for n in 0..5 {
        cleo.send(&other, &n.to_string()).await;
    }
    let foreign = cleo.cursor().await;
    let good = bob.cursor().await;
    let other_letter = if &good[9..10] == "A" { "B" } else { "A" };
    let mangled = format!("{}{other_letter}{}", &good[..9], &good[10..]);
    let mut socket = bob.socket("desk").await;
    for (cursor, code) in [
        ("nonsense", "CURSOR_INVALID"),
        ("", "CURSOR_INVALID"),
        (mangled.as_str(), "CURSOR_INVALID"),
        (foreign.as_str(), "CURSOR_EXPIRED"),
    ] {
        socket.follow_after("m", SENT, cursor).await;
        assert_eq!(socket.refused("m").await, code, "{cursor:?}");
    }
    // The socket still works.
    socket.follow_after("m", SENT, &good).await;
    ada.send(&conversation, "still here").await;
    assert_eq!(body(&socket.next("m").await), "still here");
}

#[tokio::test]
async fn a_connection_that_lost_its_answers_can_ask_for_its_own_events() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let start = ada.cursor().await;
    let desk = ada.on("desk");
    desk.send(&conversation, "own, and the answer is lost").await;
    let own = "subscription($after: Cursor, $own: Boolean) {
        messageSent(after: $after, includeOwn: $own) { message { body } } }";
    let mut socket = ada.socket("desk").await;
    socket.subscribe("without", own, json!({ "after": start })).await;
    socket.subscribe("with", own, json!({ "after": start, "own": true })).await;
    assert_eq!(body(&socket.next("with").await), "own, and the answer is lost");
    desk.send(&conversation, "own, live").await;
    assert_eq!(body(&socket.next("with").await), "own, live");
    // The two subscriptions differ only in `$own`. Both receive what another user sent.
    bob.send(&conversation, "another's").await;
    let mut told = [socket.receive().await, socket.receive().await];
    told.sort_by_key(|message| message["id"].as_str().unwrap().to_owned());
    for (message, id) in told.iter().zip(["with", "without"]) {
        assert_eq!(message["id"], id);
        assert_eq!(message["payload"]["data"]["messageSent"]["message"]["body"], "another's");
    }
}

#[tokio::test]
async fn a_cursor_from_a_future_that_was_lost_is_refused() {
    // The database file is put back to an earlier state without a word to herald.
    let mut app = TestApp::start().await;
    let Some(file) = app.database.file() else { return };
    let (ada, bob, conversation) = app.pair().await;
    app.stop().await;
    let backup = std::fs::read(&file).unwrap();
    app.restart().await;
    let ada = crate::support::User { address: app.address, ..ada };
    ada.send(&conversation, "to be lost").await;
    let future = ada.cursor().await;
    app.stop().await;
    std::fs::write(&file, backup).unwrap();
    app.restart().await;
    let bob = crate::support::User { address: app.address, ..bob };
    // It stays so until the log has reached the position again, and after that.
    for body in ["one", "two", "three"] {
        let mut socket = bob.socket("desk").await;
        socket.follow_after("m", SENT, &future).await;
        assert_eq!(socket.refused("m").await, "CURSOR_EXPIRED");
        crate::support::User { address: app.address, ..ada.clone() }.send(&conversation, body).await;
    }
}

#[tokio::test]
async fn an_echo_is_left_out_on_replay_and_after_a_reconnect() {
    let app = TestApp::start().await;
    let (ada, _bob, conversation) = app.pair().await;
    let cursor = ada.cursor().await;
    ada.on("phone").send(&conversation, "by phone").await;
    ada.on("laptop").send(&conversation, "by laptop").await;
    let mut phone = ada.socket("phone").await;
    phone.follow_after("m", SENT, &cursor).await;
    assert_eq!(body(&phone.next("m").await), "by laptop");
    // The same connection id in another session is another origin.
    let again = ada.sign_in_again().await;
    let mut other = again.socket("phone").await;
    other.follow_after("m", SENT, &cursor).await;
    assert_eq!(body(&other.next("m").await), "by phone");
    assert_eq!(body(&other.next("m").await), "by laptop");
}

#[tokio::test]
async fn what_depends_on_the_viewer_is_rendered_for_each() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    ada.send(&conversation, "first").await;
    let unread = "subscription($after: Cursor) {
        messageSent(after: $after) { message { body } conversation { unreadCount } }
    }";
    let mut phone = ada.socket("phone").await;
    let mut desk = bob.socket("desk").await;
    for socket in [&mut phone, &mut desk] {
        socket.follow("m", unread).await;
    }
    ada.send(&conversation, "second").await;
    assert_eq!(phone.next("m").await["messageSent"]["conversation"]["unreadCount"], 0);
    assert_eq!(desk.next("m").await["messageSent"]["conversation"]["unreadCount"], 2);
}

#[tokio::test]
async fn a_long_absence_is_caught_up_with_in_pages() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let cursor = bob.cursor().await;
    let sends = (0..700).map(|n| {
        let (ada, conversation) = (ada.clone(), conversation.clone());
        async move { ada.send(&conversation, &n.to_string()).await }
    });
    for chunk in sends.collect::<Vec<_>>().into_iter().array_chunks_of(50) {
        futures_util::future::join_all(chunk).await;
    }
    let mut socket = bob.socket("desk").await;
    socket.follow_after("m", SENT, &cursor).await;
    let mut bodies = Vec::new();
    for _ in 0..700 {
        bodies.push(body(&socket.next("m").await).parse::<u32>().unwrap());
    }
    bodies.sort_unstable();
    assert_eq!(bodies, (0..700).collect::<Vec<_>>());
}

/// Chunks of an iterator, as vectors.
trait ArrayChunks: Iterator + Sized {
    fn array_chunks_of(self, size: usize) -> Vec<Vec<Self::Item>> {
        let mut chunks = Vec::new();
        for item in self {
            match chunks.last_mut() {
                Some(chunk) if Vec::len(chunk) < size => chunk.push(item),
                _ => chunks.push(vec![item]),
            }
        }
        chunks
    }
}

impl<I: Iterator> ArrayChunks for I {}

// The user leaves after the subscription has read the log's head, and before it joins the hub. The hub keeps no
// recent events, so the log has to be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_leaves_while_a_subscription_begins_is_told_of_it_all_the_same() {
    let (head_read, mut heads) = mpsc::unbounded_channel();
    let (go_on, gone_on) = std::sync::mpsc::channel();
    let (armed, gone_on) = (Arc::new(AtomicBool::new(false)), Mutex::new(gone_on));
    let holding = Arc::clone(&armed);
    let app = TestApp::with(|setup| {
        setup.args.limits.poll_interval = 3_600;
        setup.args.limits.recent_bytes = 0;
        setup.parts.observer = Some(Observer(Arc::new(move |sql| {
            // The task that has read the head waits until the test lets it go on. `block_in_place` hands the other
            // tasks of this thread to another one. Otherwise they would wait, too.
            if sql.contains("log_head") && sql.starts_with("SELECT") && holding.load(Ordering::SeqCst) {
                head_read.send(()).unwrap();
                tokio::task::block_in_place(|| gone_on.lock().unwrap().recv().unwrap());
            }
        })));
    })
    .await;
    let (ada, bob, conversation) = app.pair().await;
    let (mut hers, mut his) = (ada.socket("desk").await, bob.socket("desk").await);
    hers.follow("all", EVENTS).await;
    let started = ada.start(&[&bob]).await;
    assert_eq!(kind(&hers.next("all").await), "ConversationStarted", "{started}");
    let after = bob.cursor().await;
    ada.send(&conversation, "missed").await;
    assert_eq!(kind(&hers.next("all").await), "MessageSent");

    let events =
        "subscription($after: Cursor, $id: ID) { events(after: $after, conversationId: $id) { __typename } }";
    armed.store(true, Ordering::SeqCst);
    his.subscribe("one", events, json!({ "after": after, "id": conversation })).await;
    // Once when the cursor is checked, and once before joining.
    heads.recv().await.unwrap();
    go_on.send(()).unwrap();
    heads.recv().await.unwrap();
    armed.store(false, Ordering::SeqCst);
    bob.leave(&conversation).await;
    assert_eq!(kind(&hers.next("all").await), "ParticipantLeft");
    go_on.send(()).unwrap();
    assert_eq!(kind(&his.next("one").await), "MessageSent");
    assert_eq!(kind(&his.next("one").await), "ParticipantLeft");
    his.completed("one").await;
}

/// A feed that tells nobody anything.
#[derive(Debug)]
struct Silent;

impl Feed for Silent {
    fn publish(&self, _: LogNotification) {}

    fn listen(&self) -> mpsc::Receiver<LogNotification> {
        mpsc::channel(1).1
    }
}

#[tokio::test]
async fn a_conversation_that_the_node_has_not_heard_of_yet_is_followed() {
    let app = TestApp::with(|setup| {
        setup.args.limits.poll_interval = 3_600;
        setup.parts.feed = Some(Arc::new(Silent));
    })
    .await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let mut socket = bob.socket("desk").await;
    // This makes the node know bob.
    socket.follow("all", EVENTS).await;
    let after = bob.cursor().await;
    let conversation = ada.start(&[&bob]).await;
    let events =
        "subscription($after: Cursor, $id: ID) { events(after: $after, conversationId: $id) { __typename } }";
    let mut other = bob.socket("phone").await;
    other.subscribe("one", events, json!({ "after": after, "id": conversation })).await;
    assert_eq!(kind(&other.next("one").await), "ConversationStarted");
}
