//! The `graphql-transport-ws` protocol, message by message: the answers, the refusals and how a socket ends.

use std::collections::BTreeMap;

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::support::{Socket, TestApp, code};

const SENT: &str = "subscription($after: Cursor) { messageSent(after: $after) { message { body } } }";

const SEND: &str = "mutation($id: ID!, $body: String!) {
    sendMessage(input: { conversationId: $id, body: $body }) { message { body } }
}";

/// Members of a `subscribe` that are no GraphQL request.
const NO_REQUESTS: [&str; 34] = [
    "",
    r#","payload":null"#,
    r#","payload":7"#,
    r#","payload":["{cursor}"]"#,
    r#","payload":{}"#,
    r#","payload":{"query":"{cursor}"},"payload":{"query":"{cursor}"}"#,
    r#","payload":{"query":null}"#,
    r#","payload":{"query":7}"#,
    r#","payload":{"query":{}}"#,
    r#","payload":{"query":"{cursor} # \ud83d"}"#,
    r#","payload":{"query":"{cursor}","query":"{cursor}"}"#,
    r#","payload":{"query":"{cursor}","operationName":7}"#,
    r#","payload":{"query":"{cursor}","operationName":"\ude00"}"#,
    r#","payload":{"query":"{cursor}","documentId":[]}"#,
    r#","payload":{"query":"{cursor}","variables":"text"}"#,
    r#","payload":{"query":"{cursor}","variables":[1]}"#,
    r#","payload":{"query":"{cursor}","variables":{"a":"\ud83d"}}"#,
    r#","payload":{"query":"{cursor}","variables":{"a":"\ud83d\ud83d"}}"#,
    r#","payload":{"query":"{cursor}","variables":{"a":"\ude00 x"}}"#,
    r#","payload":{"query":"{cursor}","variables":{"\ud83d":1}}"#,
    r#","payload":{"query":"{cursor}","variables":{"a":1e400}}"#,
    r#","payload":{"query":"{cursor}","variables":{"a":[-1e400]}}"#,
    r#","payload":{"query":"{cursor}","variables":{},"variables":{}}"#,
    r#","payload":{"query":"{cursor}","extensions":"text"}"#,
    r#","payload":{"query":"{cursor}","extensions":[{"version":1}]}"#,
    r#","payload":{"query":"{cursor}","extensions":{"connectionId":7}}"#,
    r#","payload":{"query":"{cursor}","extensions":{"connectionId":"\ud83d"}}"#,
    r#","payload":{"query":"{cursor}","extensions":{"persistedQuery":true}}"#,
    r#","payload":{"query":"{cursor}","extensions":{"persistedQuery":[1,"a"]}}"#,
    r#","payload":{"query":"{cursor}","extensions":{"persistedQuery":{}}}"#,
    r#","payload":{"query":"{cursor}","extensions":{"persistedQuery":{"version":"1","sha256Hash":"a"}}}"#,
    r#","payload":{"query":"{cursor}","extensions":{"persistedQuery":{"version":1e400,"sha256Hash":"a"}}}"#,
    r#","payload":{"query":"{cursor}","extensions":{"persistedQuery":{"version":1,"sha256Hash":7}}}"#,
    r#","payload":{"query":"{cursor}","extensions":{"persistedQuery":{"version":1,"sha256Hash":"a"}}}"#,
];

/// Says hello with this payload: the socket, and the payload of its acknowledgement.
async fn hello(app: &TestApp, payload: Value) -> (Socket, Value) {
    let mut socket = app.socket().await;
    socket.send(json!({ "type": "connection_init", "payload": payload })).await;
    let mut ack = socket.receive().await;
    assert_eq!(ack["type"], "connection_ack", "{ack}");
    let payload = ack["payload"].take();
    (socket, payload)
}

/// Returns once everything said so far has been heard: a socket is heard in turn. There must be nothing else
/// for the client to hear meanwhile.
async fn heard(socket: &mut Socket) {
    socket.send(json!({ "type": "ping", "payload": { "have": "you heard?" } })).await;
    assert_eq!(socket.receive().await, json!({ "type": "pong", "payload": { "have": "you heard?" } }));
}

/// The next `count` answers, by operation.
async fn answers(socket: &mut Socket, count: usize) -> BTreeMap<String, Vec<Value>> {
    let mut by_id: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for _ in 0..count {
        let mut message = socket.receive().await;
        assert_eq!(message["type"], "next", "{message}");
        let id = message["id"].as_str().unwrap().to_owned();
        by_id.entry(id).or_default().push(message["payload"]["data"].take());
    }
    by_id
}

fn body(data: &Value) -> &str {
    data["messageSent"]["message"]["body"].as_str().unwrap()
}

/// The status with which an upgrade is refused, in JSON.
async fn refused_upgrade(app: &TestApp, subprotocol: Option<&str>, headers: &[(&str, &str)]) -> u16 {
    match Socket::connect_as(app.address, subprotocol, headers).await {
        Err(tungstenite::Error::Http(response)) => {
            let media_type = response.headers()["content-type"].to_str().unwrap();
            assert!(media_type.starts_with("application/json"), "{media_type}");
            response.status().as_u16()
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("a socket was opened with {subprotocol:?} and {headers:?}"),
    }
}

#[tokio::test]
async fn the_acknowledgement_names_the_connection_and_a_place_in_the_log() {
    let app = TestApp::start().await;
    let (ada, _bob, _) = app.pair().await;
    let (_chosen, ack) = hello(&app, json!({ "connectionId": "my-phone" })).await;
    assert_eq!(ack, json!({ "connectionId": "my-phone", "cursor": ada.cursor().await }));

    let (_first, one) = hello(&app, Value::Null).await;
    let (_second, other) = hello(&app, json!({})).await;
    assert!(one["connectionId"].as_str().is_some_and(|id| !id.is_empty()), "{one}");
    assert_ne!(one["connectionId"], other["connectionId"]);
}

#[tokio::test]
async fn a_connection_id_that_cannot_be_one_closes_the_socket() {
    let app = TestApp::start().await;
    for id in [json!(""), json!("two words"), json!("x".repeat(65)), json!("é"), json!(7)] {
        let mut socket = app.socket().await;
        socket.send(json!({ "type": "connection_init", "payload": { "connectionId": id } })).await;
        let closed = socket.closed().await;
        assert_eq!(closed.code, 4400, "{id}");
        assert!(closed.reason.contains("connectionId"), "{closed:?}");
    }
    hello(&app, json!({ "connectionId": "x".repeat(64) })).await;
}

#[tokio::test]
async fn whoever_does_not_say_hello_in_time_is_sent_away() {
    let app = TestApp::with(|setup| setup.args.limits.init_timeout = 1).await;
    let (mut polite, _) = hello(&app, Value::Null).await;
    let mut silent = app.socket().await;
    let mut chatty = app.socket().await;
    heard(&mut chatty).await;
    for socket in [&mut silent, &mut chatty] {
        assert_eq!(socket.closed().await.code, 4408);
    }
    heard(&mut polite).await;
}

#[tokio::test]
async fn hello_is_said_once() {
    let app = TestApp::start().await;
    let (mut socket, _) = hello(&app, Value::Null).await;
    socket.send(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.closed().await.code, 4429);
}

#[tokio::test]
async fn nothing_is_subscribed_before_the_acknowledgement() {
    let app = TestApp::start().await;
    let mut socket = app.socket().await;
    socket.subscribe("1", "{ cursor }", json!({})).await;
    assert_eq!(socket.closed().await.code, 4401);
}

#[tokio::test]
async fn a_token_that_stands_for_nobody_closes_the_socket() {
    let app = TestApp::start().await;
    let unknown = format!("Bearer {}", "A".repeat(43));
    for authorization in [
        json!(unknown),
        json!("Bearer nonsense"),
        json!("Bearer "),
        json!("Basic YTpi"),
        json!("null"),
        json!(7),
    ] {
        for name in ["authorization", "Authorization"] {
            let mut socket = app.socket().await;
            let payload = json!({ name: authorization });
            socket.send(json!({ "type": "connection_init", "payload": payload })).await;
            assert_eq!(socket.closed().await.code, 4403, "{payload}");
        }
    }
}

#[tokio::test]
async fn a_token_or_the_sessions_cookie_says_who_speaks() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let (bearer, cookie) = (format!("Bearer {}", ada.token), format!("herald_session={}", ada.token));
    let origin = format!("http://{}", app.address);
    for (headers, payload) in [
        (vec![], json!({ "authorization": bearer })),
        (vec![], json!({ "Authorization": ada.token })),
        (vec![("authorization", bearer.as_str())], json!({})),
        (vec![("cookie", cookie.as_str())], json!({})),
        (vec![("cookie", cookie.as_str()), ("origin", origin.as_str())], json!({})),
        (vec![("origin", "https://elsewhere.example")], json!({ "authorization": bearer })),
    ] {
        let mut socket = Socket::connect(app.address, &headers).await.expect("a socket");
        socket.send(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.receive().await["type"], "connection_ack");
        socket.subscribe("1", "{ viewer { id } }", json!({})).await;
        assert_eq!(socket.next("1").await["viewer"]["id"], ada.id, "{headers:?} {payload}");
    }
}

#[tokio::test]
async fn an_empty_token_is_none_and_not_a_wrong_one() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let cookie = format!("herald_session={}", ada.token);
    for empty in ["", "  "] {
        let headers = [("authorization", empty)];
        let mut socket = Socket::connect(app.address, &headers).await.expect("a socket");
        socket.send(json!({ "type": "connection_init", "payload": { "authorization": empty } })).await;
        assert_eq!(socket.receive().await["type"], "connection_ack", "{empty:?}");
        socket.subscribe("1", "{ viewer { id } }", json!({})).await;
        assert_eq!(socket.next("1").await, json!({ "viewer": null }), "{empty:?}");

        // Another header that names the session still counts.
        let headers = [("authorization", empty), ("cookie", cookie.as_str())];
        let mut socket = Socket::connect(app.address, &headers).await.expect("a socket");
        let payload = json!({ "authorization": empty, "Authorization": empty });
        socket.send(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.receive().await["type"], "connection_ack", "{empty:?}");
        socket.subscribe("1", "{ viewer { id } }", json!({})).await;
        assert_eq!(socket.next("1").await["viewer"]["id"], ada.id, "{empty:?}");
    }
}

#[tokio::test]
async fn the_upgrades_header_and_an_operations_extensions_name_the_connection_too() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let bearer = format!("Bearer {}", bob.token);
    let headers = [("authorization", bearer.as_str()), ("x-connection-id", "routed")];
    let mut routed = Socket::connect(app.address, &headers).await.expect("a socket");
    routed.send(json!({ "type": "connection_init" })).await;
    let ack = routed.receive().await;
    assert_eq!(ack["payload"]["connectionId"], "routed", "{ack}");
    let subscribe = |id: &str, extensions: Value| {
        let payload = json!({ "query": SENT, "extensions": extensions, "variables": {
            "after": ack["payload"]["cursor"]
        } });
        json!({ "type": "subscribe", "id": id, "payload": payload })
    };
    routed.send(subscribe("socket", json!({}))).await;
    routed.send(subscribe("operation", json!({ "connectionId": "own" }))).await;
    bob.on("routed").send(&conversation, "by the socket").await;
    assert_eq!(body(&routed.next("operation").await), "by the socket");
    bob.on("own").send(&conversation, "by the operation").await;
    assert_eq!(body(&routed.next("socket").await), "by the operation");
    ada.send(&conversation, "hello").await;
    let both = answers(&mut routed, 2).await;
    assert!(both.len() == 2 && both.values().all(|answers| body(&answers[0]) == "hello"), "{both:?}");

    // An event that an operation caused under its own connection id is omitted from subscriptions with the same id.
    let variables = json!({ "id": conversation, "body": "sent by own" });
    let payload = json!({ "query": SEND, "variables": variables, "extensions": { "connectionId": "own" } });
    routed.send(json!({ "type": "subscribe", "id": "send", "payload": payload })).await;
    let told = [routed.receive().await, routed.receive().await, routed.receive().await];
    let ids: Vec<_> = told.iter().map(|message| message["id"].as_str().unwrap()).collect();
    assert!(!ids.contains(&"operation") && ids.contains(&"socket"), "{told:?}");

    routed.send(subscribe("bad", json!({ "connectionId": "two words" }))).await;
    assert_eq!(routed.refused("bad").await, "BAD_REQUEST");
    let bad = [("x-connection-id", "two words")];
    assert_eq!(refused_upgrade(&app, Some("graphql-transport-ws"), &bad).await, 400);
}

#[tokio::test]
async fn a_cookie_that_comes_along_from_a_foreign_page_opens_no_socket() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let cookie = format!("herald_session={}", ada.token);
    let lookalike = format!("http://{}.elsewhere.example", app.address);
    for origin in [
        ("origin", "https://elsewhere.example"),
        ("origin", "null"),
        ("origin", lookalike.as_str()),
        ("sec-fetch-site", "cross-site"),
    ] {
        let headers = [("cookie", cookie.as_str()), origin];
        assert_eq!(refused_upgrade(&app, Some("graphql-transport-ws"), &headers).await, 403, "{origin:?}");
    }
}

#[tokio::test]
async fn only_sockets_that_speak_the_protocol_are_opened() {
    let app = TestApp::start().await;
    for subprotocol in [None, Some("graphql-ws"), Some("mqtt"), Some("graphql-transport-ws2")] {
        assert_eq!(refused_upgrade(&app, subprotocol, &[]).await, 400, "{subprotocol:?}");
    }
    let both = Socket::connect_as(app.address, Some("graphql-ws, graphql-transport-ws"), &[]).await;
    heard(&mut both.expect("a socket")).await;
}

#[tokio::test]
async fn what_the_protocol_does_not_know_closes_the_socket_with_a_reason() {
    let app = TestApp::start().await;
    let subscribe = |id: Value, payload: Value| json!({ "type": "subscribe", "id": id, "payload": payload });
    let query = json!({ "query": "{ cursor }" });
    let huge = json!("x".repeat(100_000));
    let mut unknown: Vec<Message> = [
        json!([]),
        json!(7),
        json!(null),
        json!({}),
        json!({ "type": 7 }),
        json!({ "type": "nonsense" }),
        json!({ "type": "é".repeat(1_000) }),
        json!({ "type": "start", "id": "1", "payload": query }),
        json!({ "type": "next", "id": "1", "payload": {} }),
        json!({ "type": "ping", "payload": "text" }),
        json!({ "type": "subscribe", "payload": query }),
        subscribe(json!(""), query.clone()),
        subscribe(huge.clone(), query.clone()),
        subscribe(json!(7), query.clone()),
        subscribe(json!(null), query.clone()),
        json!({ "type": "complete" }),
        json!({ "type": "complete", "id": "" }),
        json!({ "type": "complete", "id": huge }),
    ]
    .iter()
    .map(|message| Message::text(message.to_string()))
    .collect();
    unknown.extend(["", "{", "nonsense"].map(Message::text));
    // Nobody knows which operation is meant.
    unknown.extend(
        [
            r#"{"type":"subscribe","id":"\ud83d","payload":{"query":"{cursor}"}}"#,
            r#"{"type":"subscribe","id":"1","id":"2","payload":{"query":"{cursor}"}}"#,
            r#"["subscribe","1",{"query":"{cursor}"}]"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":"{cursor}"}"#,
        ]
        .map(Message::text),
    );
    let nested =
        format!(r#"{{"type":"ping","payload":{{"a":{}{}}}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    unknown.push(Message::text(nested));
    unknown.push(Message::binary(query.to_string().into_bytes()));
    for message in unknown {
        let (mut socket, _) = hello(&app, Value::Null).await;
        socket.stream.send(message.clone()).await.unwrap();
        let closed = socket.closed().await;
        let shown: String = message.to_string().chars().take(80).collect();
        assert_eq!(closed.code, 4400, "{shown}");
        assert!((1..=123).contains(&closed.reason.len()), "{shown} {closed:?}");
    }
}

#[tokio::test]
async fn a_payload_that_is_no_request_ends_its_operation_and_nothing_else() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut desk = bob.socket("desk").await;
    desk.follow("stays", SENT).await;
    for payload in NO_REQUESTS {
        let message = format!(r#"{{"type":"subscribe","id":"1"{payload}}}"#);
        desk.stream.send(Message::text(message.as_str())).await.unwrap();
        assert_eq!(desk.refused("1").await, "BAD_REQUEST", "{payload:.80}");
    }
    let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
    let message = format!(
        r#"{{"payload":{{"variables":{{"a":{deep}}},"query":"{{cursor}}"}},"id":"1","type":"subscribe"}}"#
    );
    desk.stream.send(Message::text(message)).await.unwrap();
    assert_eq!(desk.refused("1").await, "BAD_REQUEST");

    ada.send(&conversation, "hello").await;
    assert_eq!(body(&desk.next("stays").await), "hello");
    // An answer with this id would end the operation that already has it.
    desk.stream.send(Message::text(r#"{"type":"subscribe","id":"stays","payload":7}"#)).await.unwrap();
    assert_eq!(desk.closed().await.code, 4409);
}

#[tokio::test]
async fn what_a_request_has_beyond_its_parameters_is_let_pass_whatever_it_is() {
    let app = TestApp::start().await;
    let (mut socket, _) = hello(&app, Value::Null).await;
    let deep = ["[".repeat(10_000), "]".repeat(10_000)].concat();
    for odd in ["1e400", r#""\ud83d""#, "null", "[{}]", deep.as_str()] {
        let message = format!(
            r#"{{"odd":{odd},"type":"subscribe","id":"1","payload":{{"\ud83d":{odd},"odd":{odd},
                "extensions":{{"odd":{odd}}},"query":"{{__typename}}"}}}}"#
        );
        socket.stream.send(Message::text(message)).await.unwrap();
        assert_eq!(socket.next("1").await, json!({ "__typename": "Query" }), "{odd:.80}");
        socket.completed("1").await;
    }
}

#[tokio::test]
async fn an_id_can_be_used_again_as_soon_as_it_is_free_and_no_sooner() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut desk = bob.socket("desk").await;
    for _ in 0..2 {
        desk.subscribe("1", "{ viewer { id } }", json!({})).await;
        assert_eq!(desk.next("1").await["viewer"]["id"], bob.id);
        desk.completed("1").await;
    }
    desk.follow("1", SENT).await;
    desk.send(json!({ "type": "complete", "id": "1" })).await;
    desk.follow("1", SENT).await;
    ada.send(&conversation, "hello").await;
    assert_eq!(body(&desk.next("1").await), "hello");

    desk.subscribe("1", "{ cursor }", json!({})).await;
    assert_eq!(desk.closed().await.code, 4409);
}

#[tokio::test]
async fn after_complete_nothing_more_comes() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut desk = bob.socket("desk").await;
    desk.follow("ends", SENT).await;
    desk.follow("stays", SENT).await;
    ada.send(&conversation, "to both").await;
    let both = answers(&mut desk, 2).await;
    assert!(both.values().all(|answers| body(&answers[0]) == "to both"), "{both:?}");
    assert_eq!(both.len(), 2);

    desk.send(json!({ "type": "complete", "id": "ends" })).await;
    desk.send(json!({ "type": "complete", "id": "never began" })).await;
    heard(&mut desk).await;
    for text in ["to one", "to one again"] {
        ada.send(&conversation, text).await;
        assert_eq!(body(&desk.next("stays").await), text);
    }
}

#[tokio::test]
async fn a_ping_is_answered_with_what_came_with_it() {
    let app = TestApp::start().await;
    let mut socket = app.socket().await;
    for payload in [json!({ "at": 7, "nested": { "é": [null] } }), json!({})] {
        socket.send(json!({ "type": "ping", "payload": payload })).await;
        assert_eq!(socket.receive().await, json!({ "type": "pong", "payload": payload }));
    }
    socket.send(json!({ "type": "ping" })).await;
    assert_eq!(socket.receive().await, json!({ "type": "pong" }));
    socket.send(json!({ "type": "pong", "payload": { "nobody": "asked" } })).await;

    socket.stream.send(Message::Ping("WebSocket's own".into())).await.unwrap();
    assert_eq!(socket.frame().await, Some(Message::Pong("WebSocket's own".into())));
}

#[tokio::test]
async fn queries_and_mutations_are_answered_once_and_completed() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut phone = ada.socket("phone").await;
    phone.follow("m", SENT).await;

    let who = "query($handle: String!) { user(handle: $handle) { id } }";
    phone.subscribe("q", who, json!({ "handle": bob.handle })).await;
    assert_eq!(phone.next("q").await, json!({ "user": { "id": bob.id } }));
    phone.completed("q").await;

    phone.subscribe("w", SEND, json!({ "id": conversation, "body": "mine" })).await;
    assert_eq!(phone.next("w").await, json!({ "sendMessage": { "message": { "body": "mine" } } }));
    phone.completed("w").await;
    // The socket does not receive what it caused. The next event is somebody else's.
    bob.send(&conversation, "yours").await;
    assert_eq!(body(&phone.next("m").await), "yours");

    // An operation that fails during its execution gets an answer, too.
    phone.subscribe("f", SEND, json!({ "id": "cnv_nowhere", "body": "lost" })).await;
    let failed = phone.receive().await;
    assert_eq!((&failed["id"], &failed["type"]), (&json!("f"), &json!("next")), "{failed}");
    assert_eq!(code(&failed["payload"]), "NOT_FOUND");
    phone.completed("f").await;
}

#[tokio::test]
async fn an_invalid_document_ends_its_operation_and_not_the_socket() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let mut phone = ada.socket("phone").await;
    let who = "query($handle: String!) { user(handle: $handle) { id } }";
    for (query, variables, code) in [
        ("", json!({}), "GRAPHQL_PARSE_FAILED"),
        ("{", json!({}), "GRAPHQL_PARSE_FAILED"),
        ("{ nonsense }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { nonsense }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        ("{ ...f } fragment f on Query { ...f }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        ("query A { cursor } query B { cursor }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        (who, json!({ "handle": 7 }), "GRAPHQL_VALIDATION_FAILED"),
        (who, json!({}), "GRAPHQL_VALIDATION_FAILED"),
    ] {
        phone.subscribe("1", query, variables).await;
        assert_eq!(phone.refused("1").await, code, "{query}");
    }
    phone.subscribe("1", "{ viewer { id } }", json!({})).await;
    assert_eq!(phone.next("1").await["viewer"]["id"], ada.id);
}

#[tokio::test]
async fn a_subscription_that_cannot_be_is_refused_at_once() {
    let app = TestApp::start().await;
    let (_ada, bob, _) = app.pair().await;
    let (_carol, _dan, theirs) = app.pair().await;
    let (mut anonymous, _) = hello(&app, Value::Null).await;
    anonymous.subscribe("1", "subscription { events { cursor } }", json!({})).await;
    assert_eq!(anonymous.refused("1").await, "UNAUTHENTICATED");

    let mut desk = bob.socket("desk").await;
    let of = "subscription($id: ID!) { events(conversationId: $id) { cursor } }";
    let mut refusals = Vec::new();
    for id in [format!("cnv_{}", "0".repeat(32)), "nonsense".to_owned(), bob.id.clone(), theirs] {
        desk.subscribe("1", of, json!({ "id": id })).await;
        refusals.push(desk.receive().await);
    }
    assert_eq!(refusals[0]["payload"][0]["extensions"]["code"], "NOT_FOUND");
    // A conversation of other people looks like one that does not exist.
    assert!(refusals.iter().all(|refusal| *refusal == refusals[0]), "{refusals:?}");

    let two = "subscription { a: events { cursor } b: messageSent { cursor } }";
    desk.subscribe("1", two, json!({})).await;
    desk.refused("1").await;
    heard(&mut desk).await;
}

#[tokio::test]
async fn several_subscriptions_on_one_socket_each_get_their_events() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut phone = ada.socket("phone").await;
    phone.follow("sent", SENT).await;
    phone.follow("status", "subscription($after: Cursor) { statusChanged(after: $after) { status } }").await;
    phone.follow("all", "subscription($after: Cursor) { events(after: $after) { __typename } }").await;
    let message = bob.send(&conversation, "hello").await;
    ada.mark_delivered(&message).await;

    let got = answers(&mut phone, 4).await;
    assert_eq!(got["sent"], [json!({ "messageSent": { "message": { "body": "hello" } } })]);
    assert_eq!(got["status"], [json!({ "statusChanged": { "status": "DELIVERED" } })]);
    let event = |name: &str| json!({ "events": { "__typename": name } });
    assert_eq!(got["all"], [event("MessageSent"), event("StatusChanged")]);
}

#[tokio::test]
async fn a_herald_that_stops_tells_every_socket_to_come_back() {
    let mut app = TestApp::start().await;
    let ada = app.user("ada").await;
    let mut phone = ada.socket("phone").await;
    phone.follow("m", SENT).await;
    heard(&mut phone).await;
    let mut fresh = app.socket().await;
    let ((), phone, fresh) = tokio::join!(app.stop(), phone.closed(), fresh.closed());
    assert_eq!((phone.code, fresh.code), (1001, 1001));
}

#[tokio::test]
async fn a_client_that_says_goodbye_is_answered() {
    let app = TestApp::start().await;
    let (mut socket, _) = hello(&app, Value::Null).await;
    socket.stream.close(None).await.unwrap();
    // A browser that gets no answer reports an abnormal end (RFC 6455, section 5.5.1).
    assert!(matches!(socket.frame().await, Some(Message::Close(_))));
    assert_eq!(socket.frame().await, None);
}
