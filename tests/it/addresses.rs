//! What one address may take: connections, sockets on which nobody is signed in, and what does not arrive as a whole.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::{Reply, Socket, TestApp, code};

/// How long a test waits for what must come, before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes that no limit here lets an address leave unfinished twice.
const HALF: usize = 20 * 1024;

/// The beginning of a text message that goes on.
fn beginning(bytes: usize) -> Message {
    Message::Frame(Frame::message(vec![b' '; bytes], OpCode::Data(Data::Text), false))
}

/// A socket that comes through a proxy from `address`; otherwise the status of the refusal.
async fn socket_from(app: &TestApp, address: &str) -> Result<Socket, u16> {
    match Socket::connect(app.address, &[("x-forwarded-for", address)]).await {
        Ok(socket) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

async fn hello(socket: &mut Socket, payload: Value) {
    socket.send(json!({ "type": "connection_init", "payload": payload })).await;
    assert_eq!(socket.receive().await["type"], "connection_ack");
}

async fn heard(socket: &mut Socket) {
    socket.send(json!({ "type": "ping" })).await;
    assert_eq!(socket.receive().await, json!({ "type": "pong" }));
}

/// A connection from another address of this host.
async fn connect_from(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// What is answered to a request on a connection.
async fn exchange(mut stream: TcpStream, path: &str) -> Reply {
    let request = format!("GET {path} HTTP/1.1\r\nhost: herald\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer in time").unwrap();
    Reply::parse(&answer)
}

#[tokio::test]
async fn an_address_has_so_many_sockets_of_nobody() {
    let app = TestApp::with(|setup| {
        setup.args.trust_proxy = true;
        setup.args.limits.max_anonymous_sockets = 2;
    })
    .await;
    let ada = app.user("ada").await;
    for (one, same, other) in [
        ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("2001:db8::1", "2001:db8::2:3:4", "2001:db8:0:1::1"),
        ("::ffff:198.51.100.1", "198.51.100.1", "::ffff:198.51.100.2"),
    ] {
        let _silent = socket_from(&app, one).await.unwrap();
        let mut greeted = socket_from(&app, one).await.unwrap();
        hello(&mut greeted, json!({})).await;
        assert_eq!(socket_from(&app, same).await.err(), Some(429), "{same}");
        socket_from(&app, other).await.expect("room for another address");

        // A socket on which a user has signed in no longer counts for its address.
        drop(greeted);
        let mut ada_s = Vec::new();
        for n in 0..3 {
            let free = async {
                loop {
                    if let Ok(socket) = socket_from(&app, one).await {
                        break socket;
                    }
                }
            };
            let mut socket = timeout(PATIENCE, free).await.expect("room again");
            hello(&mut socket, json!({ "authorization": ada.token, "connectionId": n.to_string() })).await;
            ada_s.push(socket);
        }
    }
}

#[tokio::test]
async fn a_socket_of_nobody_on_which_nothing_is_asked_ends_regularly() {
    let app = TestApp::with(|setup| setup.args.limits.anonymous_timeout = 1).await;
    let ada = app.user("ada").await;
    let mut phone = ada.socket("phone").await;
    let (mut idle, mut busy) = (app.socket().await, app.socket().await);
    hello(&mut idle, json!({})).await;
    hello(&mut busy, json!({})).await;
    let closed = idle.closed();
    tokio::pin!(closed);
    let closed = loop {
        tokio::select! {
            closed = &mut closed => break closed,
            () = async {
                busy.subscribe("1", "{ __typename }", json!({})).await;
                busy.next("1").await;
                busy.completed("1").await;
            } => {}
        }
    };
    // Clients take this code as a normal end. They do not connect again.
    assert_eq!(closed.code, 1000, "{closed:?}");
    heard(&mut phone).await;
}

#[tokio::test]
async fn health_checks_are_answered_when_everything_else_is_refused() {
    let app = TestApp::with(|setup| {
        setup.args.limits.max_connections = 2;
        setup.args.limits.request_timeout = 600;
    })
    .await;
    let mut held = vec![app.socket().await.stream.into_inner()];
    // These are more connections than herald keeps to answer that it is full.
    for n in 0..400_u32 {
        let [.., last] = (1 + n % 4).to_be_bytes();
        held.push(connect_from([127, 0, 0, last], app.address).await);
    }
    for path in ["/healthz", "/readyz", "/readyz?verbose"] {
        for from in [[127, 0, 0, 1], [127, 0, 0, 9]] {
            let reply = exchange(connect_from(from, app.address).await, path).await;
            assert_eq!(reply.status, 200, "{path} {reply:?}");
            assert!(matches!(reply.body.as_str(), "ok\n" | "ready\n"), "{reply:?}");
        }
    }
    for path in ["/graphql?query=%7B__typename%7D", "/", "/nowhere"] {
        let reply = exchange(connect_from([127, 0, 0, 9], app.address).await, path).await;
        assert_eq!((reply.status, code(&reply.json())), (503, "UNAVAILABLE"), "{path}");
        assert_eq!(reply.header("retry-after"), Some("5"));
    }
}

#[tokio::test]
async fn no_address_takes_all_connections() {
    let app = TestApp::with(|setup| setup.args.limits.max_connections = 8).await;
    let silent: Vec<_> =
        futures_util::future::join_all((0..8).map(|_| connect_from([127, 0, 0, 1], app.address))).await;
    let path = "/graphql?query=%7B__typename%7D";
    let reply = exchange(connect_from([127, 0, 0, 1], app.address).await, path).await;
    assert_eq!((reply.status, code(&reply.json())), (503, "UNAVAILABLE"));
    let reply = exchange(connect_from([127, 0, 0, 2], app.address).await, path).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    drop(silent);
    let again = async {
        while exchange(connect_from([127, 0, 0, 1], app.address).await, path).await.status != 200 {}
    };
    timeout(PATIENCE, again).await.expect("room again");
}

#[tokio::test]
async fn behind_a_proxy_it_is_the_clients_whose_connections_are_counted() {
    let app = TestApp::with(|setup| {
        setup.args.trust_proxy = true;
        setup.args.limits.max_connections_per_address = Some(1);
    })
    .await;
    let _held = socket_from(&app, "192.0.2.1").await.unwrap();
    assert_eq!(socket_from(&app, "192.0.2.1").await.err(), Some(429));
    let _other = socket_from(&app, "192.0.2.2").await.expect("room for another");
    for (from, path, status) in [
        ("192.0.2.1", "/graphql?query=%7B__typename%7D", 429),
        ("192.0.2.3", "/graphql?query=%7B__typename%7D", 200),
        ("192.0.2.1", "/healthz", 200),
    ] {
        let reply = app.request("GET", path, &[("x-forwarded-for", from)], b"").await;
        assert_eq!(reply.status, status, "{from} {path}");
    }
}

/// A herald that lets an address leave less than two [`HALF`]s and a bit unfinished.
async fn narrow() -> TestApp {
    TestApp::with(|setup| {
        let limits = &mut setup.args.limits;
        (limits.max_body_bytes, limits.max_header_bytes) = (2 * HALF, 0);
        limits.max_unfinished_bytes = 0;
        setup.args.trust_proxy = true;
    })
    .await
}

#[tokio::test]
async fn an_address_leaves_so_many_bytes_of_messages_unfinished() {
    let app = narrow().await;
    let mut sockets = Vec::new();
    for _ in 0..2 {
        let mut socket = socket_from(&app, "192.0.2.1").await.unwrap();
        hello(&mut socket, json!({})).await;
        // A complete message does not count, whatever its size.
        for _ in 0..4 {
            let ping = json!({ "type": "ping", "payload": { "text": "x".repeat(HALF) } });
            socket.send(ping.clone()).await;
            assert_eq!(socket.receive().await["payload"], ping["payload"]);
        }
        sockets.push(socket);
    }
    let mut second = sockets.pop().unwrap();
    let mut first = sockets.pop().unwrap();
    first.stream.send(beginning(HALF)).await.unwrap();
    first.stream.send(Message::Ping("heard so far".into())).await.unwrap();
    assert!(matches!(first.frame().await, Some(Message::Pong(_))));
    let mut other = socket_from(&app, "192.0.2.2").await.unwrap();
    other.stream.send(beginning(HALF)).await.unwrap();
    second.stream.send(beginning(HALF + 1)).await.unwrap();
    assert_eq!(second.closed().await.code, 1013);
    heard(&mut socket_from(&app, "192.0.2.3").await.unwrap()).await;

    // The first socket may finish its message. Then there is room for another.
    let end = Frame::message(br#"{"type":"ping"}"#.to_vec(), OpCode::Data(Data::Continue), true);
    first.stream.send(Message::Frame(end)).await.unwrap();
    assert_eq!(first.receive().await, json!({ "type": "pong" }));
    let mut third = socket_from(&app, "192.0.2.1").await.unwrap();
    third.stream.send(beginning(HALF + 1)).await.unwrap();
    third.stream.send(Message::Ping("still here".into())).await.unwrap();
    assert!(matches!(third.frame().await, Some(Message::Pong(_))));
}

#[tokio::test]
async fn an_address_leaves_so_many_bytes_of_requests_unfinished() {
    let app = narrow().await;
    let begin = async |from: &str, bytes: usize| {
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        let head = format!(
            "POST /graphql HTTP/1.1\r\nhost: herald\r\ncontent-type: application/json\r\n\
             x-forwarded-for: {from}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{}",
            2 * HALF,
            " ".repeat(bytes)
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    };
    let _other = begin("192.0.2.2", HALF).await;
    let mut streams = Vec::new();
    let refused = async {
        loop {
            let mut stream = begin("192.0.2.1", HALF).await;
            let mut answer = vec![0; 4096];
            // herald waits for the rest of a request that it does not refuse.
            if let Ok(read) = timeout(Duration::from_secs(1), stream.read(&mut answer)).await {
                break Reply::parse(&answer[..read.unwrap()]);
            }
            streams.push(stream);
            assert!(streams.len() < 4, "never refused");
        }
    };
    let refused = timeout(PATIENCE, refused).await.expect("a refusal");
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.header("retry-after").is_some());
}

#[tokio::test]
async fn a_message_that_does_not_arrive_is_not_waited_for() {
    let app = TestApp::with(|setup| {
        setup.args.limits.request_timeout = 1;
        setup.args.limits.ping_interval = 1;
    })
    .await;
    let (mut honest, mut slow) = (app.socket().await, app.socket().await);
    hello(&mut honest, json!({})).await;
    hello(&mut slow, json!({})).await;
    let closing = async {
        slow.stream.send(beginning(10)).await.unwrap();
        // It answers every ping meanwhile.
        slow.closed().await
    };
    let meanwhile = async {
        let mut pings = 0;
        while pings < 4 {
            pings += usize::from(matches!(honest.frame().await, Some(Message::Ping(_))));
        }
    };
    let (closed, ()) = tokio::join!(closing, meanwhile);
    assert_eq!(closed.code, 1013, "{closed:?}");
    // This socket has sent only pongs, for longer than a message may take.
    heard(&mut honest).await;
}

#[tokio::test]
async fn everybody_for_whom_there_is_no_place_is_told_so() {
    let app = TestApp::with(|setup| setup.args.limits.max_connections = 2).await;
    let _held = [app.socket().await, app.socket().await];
    let mut asking = Vec::new();
    // More than herald reads at a time, and all of them have asked before it reads the first.
    for _ in 0..300 {
        let mut stream = connect_from([127, 0, 0, 5], app.address).await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: herald\r\n\r\n").await.unwrap();
        asking.push(stream);
    }
    for mut stream in asking {
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer in time");
        let reply = Reply::parse(&answer);
        assert_eq!(reply.status, 503, "{read:?} {reply:?}");
    }
}

#[tokio::test]
async fn a_connection_waits_longer_for_the_next_request_than_a_head_may_take() {
    let app = TestApp::with(|setup| {
        setup.args.limits.request_timeout = 1;
        setup.args.limits.keep_alive_timeout = 2;
    })
    .await;
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: herald\r\n\r\n").await.unwrap();
    let begun = Instant::now();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end").unwrap();
    assert_eq!(Reply::parse(&answer).status, 200);
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
}
