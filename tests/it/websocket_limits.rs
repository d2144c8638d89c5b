//! The limits of a WebSocket: the size of its messages, their number, and how long a client may send or read nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::support::{Socket, TestApp, User};

/// How long a test waits for what must come, before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Seconds that are never over while a test runs.
const NEVER: u64 = 600;

const SENT: &str = "subscription($after: Cursor, $in: ID) {
    messageSent(after: $after, conversationId: $in) { cursor message { body } }
}";

/// Part of a text message. The first says that it is text.
fn part(bytes: impl Into<Vec<u8>>, is_first: bool, is_last: bool) -> Message {
    let data = if is_first { Data::Text } else { Data::Continue };
    Message::Frame(Frame::message(bytes.into(), OpCode::Data(data), is_last))
}

/// A socket for nobody in particular.
async fn anonymous(app: &TestApp) -> Socket {
    let mut socket = app.socket().await;
    socket.send(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.receive().await["type"], "connection_ack");
    socket
}

/// A further socket of this user, unless there is no room for one.
async fn admitted(user: &User) -> Option<Socket> {
    let mut socket = Socket::connect(user.address, &[]).await.expect("a socket");
    let payload = json!({ "authorization": user.token, "connectionId": "another" });
    socket.send(json!({ "type": "connection_init", "payload": payload })).await;
    match socket.frame().await {
        Some(Message::Text(_)) => Some(socket),
        Some(Message::Close(Some(frame))) => {
            assert_eq!(u16::from(frame.code), 4403, "{frame}");
            None
        }
        other => panic!("neither room nor none: {other:?}"),
    }
}

/// Returns once everything said so far has been heard.
async fn heard(socket: &mut Socket) {
    socket.send(json!({ "type": "ping" })).await;
    assert_eq!(socket.receive().await, json!({ "type": "pong" }));
}

/// A long text that begins with a number. A hundred and twenty of them are more than the buffers of a
/// connection take in.
fn long(number: usize) -> String {
    format!("{number} {}", "🙂".repeat(9_000))
}

/// The number with which a message begins.
fn number(data: &Value) -> usize {
    let body = data["messageSent"]["message"]["body"].as_str().unwrap();
    body.split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn text_is_utf8_wherever_its_frames_are_cut() {
    let app = TestApp::start().await;
    let ping = json!({ "type": "ping", "payload": { "é": "🙂" } }).to_string();
    let mut whole = anonymous(&app).await;
    for at in 1..ping.len() {
        let (head, tail) = ping.as_bytes().split_at(at);
        whole.stream.send(part(head, true, false)).await.unwrap();
        whole.stream.send(part(tail, false, true)).await.unwrap();
        assert_eq!(whole.receive().await["payload"], json!({ "é": "🙂" }), "cut at {at}");
    }
    for broken in [
        vec![part(*b"{\"type\":\"\xff\"}", true, true)],
        vec![part(*b"{\"type\":\"", true, false), part(*b"\xc3\x28\"}", false, true)],
        vec![part(*b"{\"type\":\"\xf0\x9f", true, false), part(*b"\"}", false, true)],
    ] {
        let mut socket = anonymous(&app).await;
        for part in broken {
            // The socket may be closed before the last part is sent.
            let _ = socket.stream.send(part).await;
        }
        assert_eq!(socket.closed().await.code, 1007);
    }
}

#[tokio::test]
async fn a_message_is_as_long_as_it_may_be_and_no_longer() {
    const MOST: usize = 64 * 1024;
    let app = TestApp::with(|setup| setup.args.limits.max_body_bytes = MOST).await;
    let ping = |text: usize| json!({ "type": "ping", "payload": { "text": "x".repeat(text) } }).to_string();
    let longest = ping(MOST - ping(0).len());
    assert_eq!(longest.len(), MOST);
    let mut socket = anonymous(&app).await;
    socket.stream.send(Message::text(longest)).await.unwrap();
    assert_eq!(socket.receive().await["type"], "pong");

    let half = "x".repeat(MOST / 2);
    for too_long in [
        vec![Message::text("x".repeat(MOST + 1))],
        vec![part(half.as_str(), true, false), part(half.as_str(), false, false), part("x", false, true)],
    ] {
        let mut socket = anonymous(&app).await;
        for part in too_long {
            let _ = socket.stream.send(part).await;
        }
        assert_eq!(socket.closed().await.code, 1009);
    }

    // herald does not wait for a frame that announces a terabyte.
    let mut socket = anonymous(&app).await;
    let mut head = vec![0x81, 0xff];
    head.extend((1_u64 << 40).to_be_bytes());
    head.extend([0; 4]);
    socket.stream.get_mut().write_all(&head).await.unwrap();
    assert_eq!(socket.closed().await.code, 1009);
}

#[tokio::test]
async fn a_socket_has_so_many_operations_under_way() {
    let app = TestApp::with(|setup| setup.args.limits.max_operations_per_socket = 2).await;
    let (ada, bob, conversation) = app.pair().await;
    let mut desk = bob.socket("desk").await;
    desk.follow("1", SENT).await;
    desk.follow("2", SENT).await;
    desk.follow("3", SENT).await;
    assert_eq!(desk.refused("3").await, "LIMIT_EXCEEDED");
    desk.subscribe("3", "{ cursor }", json!({})).await;
    assert_eq!(desk.refused("3").await, "LIMIT_EXCEEDED");

    desk.send(json!({ "type": "complete", "id": "1" })).await;
    desk.follow("3", SENT).await;
    heard(&mut desk).await;
    ada.send(&conversation, "0 hello").await;
    let mut told = BTreeSet::new();
    for _ in 0..2 {
        let message = desk.receive().await;
        assert_eq!(message["type"], "next", "{message}");
        told.insert(message["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(told, BTreeSet::from(["2".to_owned(), "3".to_owned()]));
}

#[tokio::test]
async fn a_user_has_so_many_sockets() {
    let app = TestApp::with(|setup| setup.args.limits.max_sockets_per_user = 1).await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let only = ada.socket("only").await;
    assert!(admitted(&ada).await.is_none());
    let _others_are_not_counted = (bob.socket("desk").await, anonymous(&app).await, anonymous(&app).await);

    drop(only);
    let again = async { while admitted(&ada).await.is_none() {} };
    timeout(PATIENCE, again).await.expect("room, once the only socket is gone");
}

#[tokio::test]
async fn a_client_that_answers_pings_stays() {
    let app = TestApp::with(|setup| setup.args.limits.ping_interval = 1).await;
    let mut socket = anonymous(&app).await;
    for _ in 0..4 {
        assert!(matches!(socket.frame().await, Some(Message::Ping(_))));
    }
    heard(&mut socket).await;
}

#[tokio::test]
async fn a_client_that_is_silent_for_two_pings_is_gone() {
    let app = TestApp::with(|setup| setup.args.limits.ping_interval = 2).await;
    let mut socket = anonymous(&app).await;
    let silent_since = Instant::now();
    // This reads the bytes below the WebSocket, so that nothing answers a ping.
    let mut unanswered = Vec::new();
    let ended = timeout(PATIENCE, socket.stream.get_mut().read_to_end(&mut unanswered)).await;
    assert!(ended.is_ok(), "a silent client is kept");
    assert!(unanswered.starts_with(&[0x89, 0x00]), "gone without having been pinged: {unanswered:?}");
    let silent = silent_since.elapsed();
    assert!(silent < Duration::from_secs(5), "gone after {silent:?} and not after two periods of 2 s");
}

#[tokio::test]
async fn a_client_that_reads_nothing_slows_nobody_and_misses_nothing() {
    const MANY: usize = 200;
    let app = TestApp::with(|setup| {
        setup.args.limits.write_timeout = NEVER;
        setup.args.limits.subscriber_queue = 8;
    })
    .await;
    let (ada, bob, conversation) = app.pair().await;
    let mut idle = bob.socket("idle").await;
    idle.follow("m", SENT).await;
    let mut lively = bob.socket("lively").await;
    lively.follow("m", SENT).await;
    for sent in 0..MANY {
        ada.send(&conversation, &long(sent)).await;
        assert_eq!(number(&lively.next("m").await), sent);
    }
    for sent in 0..MANY {
        assert_eq!(number(&idle.next("m").await), sent);
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off_and_resumes_where_it_was() {
    let app = TestApp::with(|setup| {
        setup.args.limits.write_timeout = 1;
        // With this limit, a second socket can open only after herald has closed the first one.
        setup.args.limits.max_sockets_per_user = 1;
    })
    .await;
    let (ada, bob, conversation) = app.pair().await;
    let carol = app.user("carol").await;
    ada.add(&conversation, &[&carol]).await;
    let mut stalled = bob.socket("stalled").await;
    stalled.follow("m", SENT).await;
    let mut lively = carol.socket("lively").await;
    lively.follow("m", SENT).await;

    let mut sent = 0;
    let mut resumed = loop {
        ada.send(&conversation, &long(sent)).await;
        assert_eq!(number(&lively.next("m").await), sent);
        sent += 1;
        if let Some(socket) = admitted(&bob).await {
            break socket;
        }
        assert!(sent < 2_000, "a client that reads nothing is kept");
    };

    // First come the messages that had reached the client before the end, and then the rest.
    let (mut read, mut cursor) = (0, stalled.cursor.clone());
    while let Some(Ok(Message::Text(text))) =
        timeout(PATIENCE, stalled.stream.next()).await.expect("an end in time")
    {
        let message: Value = serde_json::from_str(&text).unwrap();
        let data = &message["payload"]["data"];
        assert_eq!(number(data), read);
        data["messageSent"]["cursor"].as_str().unwrap().clone_into(&mut cursor);
        read += 1;
    }
    assert!(read < sent, "nothing was left to resume");
    resumed.follow_after("m", SENT, &cursor).await;
    ada.send(&conversation, &sent.to_string()).await;
    for expected in read..=sent {
        assert_eq!(number(&resumed.next("m").await), expected);
    }
}

#[tokio::test]
async fn a_client_that_asks_without_reading_the_answers_is_cut_off() {
    let app = TestApp::with(|setup| setup.args.limits.write_timeout = 1).await;
    let mut asking = anonymous(&app).await;
    let mut other = anonymous(&app).await;
    let ping = json!({ "type": "ping", "payload": { "text": "x".repeat(50_000) } }).to_string();
    let flood = async { while asking.stream.send(Message::text(ping.as_str())).await.is_ok() {} };
    let meanwhile = async {
        for _ in 0..20 {
            heard(&mut other).await;
        }
    };
    let both = async { tokio::join!(flood, meanwhile) };
    timeout(PATIENCE, both).await.expect("an end of the flood");
    heard(&mut other).await;
}

#[tokio::test]
async fn a_subscription_with_much_to_tell_lets_the_others_have_their_turn() {
    const MANY: usize = 2_000;
    let app = TestApp::start().await;
    let (ada, bob, busy) = app.pair().await;
    let quiet = ada.start(&[&bob]).await;
    let beginning = bob.cursor().await;
    for _ in 0..MANY / 50 {
        let sends =
            |n| format!("m{n}: sendMessage(input: {{ conversationId: $id, body: \"0\" }}) {{ cursor }}");
        let sends: Vec<_> = (0..50).map(sends).collect();
        ada.data(&format!("mutation($id: ID!) {{ {} }}", sends.join(" ")), json!({ "id": busy })).await;
    }
    for _ in 0..5 {
        ada.send(&quiet, "0").await;
    }

    let mut desk = bob.socket("desk").await;
    desk.subscribe("busy", SENT, json!({ "after": beginning, "in": busy })).await;
    desk.subscribe("quiet", SENT, json!({ "after": beginning, "in": quiet })).await;
    let (mut of_busy, mut of_quiet) = (0, 0);
    while of_quiet < 5 {
        let message = desk.receive().await;
        assert_eq!(message["type"], "next", "{message}");
        if message["id"] == "busy" {
            of_busy += 1;
        } else {
            of_quiet += 1;
        }
    }
    assert!(of_busy < MANY, "the quiet conversation had to wait until the busy one was told");
}
