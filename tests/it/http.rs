//! GraphQL over HTTP: the forms of a request, what is refused, and that every refusal is JSON.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Reply, TestApp, User, code};

/// How long a test waits for what must come: more than the times set here, less than herald's defaults.
const PATIENCE: Duration = Duration::from_secs(10);

const JSON: &str = "application/json";
const RESPONSE: &str = "application/graphql-response+json";

const SEND: &str = "mutation($id: ID!, $body: String!, $key: String) {
    sendMessage(input: { conversationId: $id, body: $body, idempotencyKey: $key }) { message { id } }
}";

/// Posts a body as JSON, accepting `accept`.
async fn post(app: &TestApp, accept: Option<&str>, body: &Value) -> Reply {
    let mut headers = vec![("content-type", JSON)];
    headers.extend(accept.map(|accept| ("accept", accept)));
    app.request("POST", "/graphql", &headers, body.to_string().as_bytes()).await
}

/// Writes bytes, as far as they are taken, and reads to the end of the connection.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close the connection before the whole request is written.
    let _ = stream.write_all(bytes).await;
    rest(stream).await
}

/// Reads to the end of the connection.
async fn rest(mut stream: TcpStream) -> Reply {
    let mut answer = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection is kept: {:?}", String::from_utf8_lossy(&answer));
    Reply::parse(&answer)
}

/// The code of a refusal, which has this status and is JSON, without data, in the shape of a GraphQL response.
fn refusal(reply: &Reply, status: u16) -> String {
    assert_eq!(reply.status, status, "{reply:?}");
    let media_type = reply.header("content-type").unwrap_or_default().split(';').next();
    assert!(matches!(media_type, Some(JSON | RESPONSE)), "{reply:?}");
    let body = reply.json();
    assert_eq!(body.get("data"), None, "{reply:?}");
    assert!(body["errors"][0]["message"].as_str().is_some_and(|message| !message.is_empty()), "{reply:?}");
    code(&body).to_owned()
}

/// The bodies of a conversation's messages.
async fn messages(user: &User, conversation: &str) -> Vec<Value> {
    let all = "query($id: ID!) { conversation(id: $id) { messages(last: 200) { nodes { id body } } } }";
    let data = user.data(all, json!({ "id": conversation })).await;
    data["conversation"]["messages"]["nodes"].as_array().unwrap().clone()
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat()
}

#[tokio::test]
async fn a_refusal_too_has_the_media_type_that_the_client_prefers() {
    let app = TestApp::start().await;
    let query = r#"{"query": "{ cursor }"}"#;
    for (body, token, status) in
        [("{}", "", 400), ("{", "", 400), (query, "nonsense", 401), (query, "é", 401)]
    {
        let bearer = format!("Bearer {token}");
        for accept in [JSON, RESPONSE] {
            let headers = [("accept", accept), ("content-type", JSON), ("authorization", &bearer)];
            let reply = app.request("POST", "/graphql", &headers, body.as_bytes()).await;
            refusal(&reply, status);
            let media_type = reply.header("content-type").and_then(|value| value.split(';').next());
            assert_eq!(media_type, Some(accept), "{body}");
        }
    }
}

#[tokio::test]
async fn the_answer_has_a_media_type_that_the_client_accepts() {
    let app = TestApp::start().await;
    let question = json!({ "query": "{ __typename }" });
    for (accept, media_type) in [
        (None, JSON),
        (Some("*/*"), JSON),
        (Some("application/*"), JSON),
        (Some("application/json"), JSON),
        (Some("text/html, application/json"), JSON),
        (Some("application/graphql-response+json"), RESPONSE),
        (Some("application/graphql-response+json; charset=utf-8"), RESPONSE),
        (Some("application/graphql-response+json, application/json;q=0.9"), RESPONSE),
        (Some("application/graphql-response+json;q=0.1, application/json"), JSON),
    ] {
        let reply = post(&app, accept, &question).await;
        assert_eq!(reply.status, 200);
        let found = reply.header("content-type").unwrap().split(';').next();
        assert_eq!(found, Some(media_type), "{accept:?}");
        assert_eq!(reply.json(), json!({ "data": { "__typename": "Query" } }));
    }
    for accept in ["text/html", "image/png, text/*", "application/json;q=0"] {
        refusal(&post(&app, Some(accept), &question).await, 406);
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_executed_has_no_data_and_a_status_if_the_client_knows_of_it() {
    let app = TestApp::start().await;
    let who = "query($handle: String!) { user(handle: $handle) { id } }";
    let page = "query($first: Int) { conversations(first: $first) { nodes { id } } }";
    let mark = "mutation($input: MarkInput!) { markRead(input: $input) { cursor } }";
    let leave = "mutation($input: LeaveConversationInput!) { leaveConversation(input: $input) { cursor } }";
    for (query, variables, expected) in [
        ("{", json!({}), "GRAPHQL_PARSE_FAILED"),
        ("{ __typename } }", json!({}), "GRAPHQL_PARSE_FAILED"),
        ("{ nonsense }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        ("{ viewer }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        ("{ user { id } }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        ("{ ...nowhere }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        (who, json!({}), "GRAPHQL_VALIDATION_FAILED"),
        (who, json!({ "handle": null }), "GRAPHQL_VALIDATION_FAILED"),
        (who, json!({ "handle": 7 }), "GRAPHQL_VALIDATION_FAILED"),
        (who, json!({ "handle": ["ada"] }), "GRAPHQL_VALIDATION_FAILED"),
        (page, json!({ "first": "3" }), "GRAPHQL_VALIDATION_FAILED"),
        (leave, json!({ "input": {} }), "GRAPHQL_VALIDATION_FAILED"),
        (mark, json!({ "input": { "messageId": "msg_", "more": 1 } }), "GRAPHQL_VALIDATION_FAILED"),
    ] {
        let body = json!({ "query": query, "variables": variables });
        assert_eq!(refusal(&post(&app, Some(RESPONSE), &body).await, 400), expected, "{body}");
        assert_eq!(refusal(&post(&app, Some(JSON), &body).await, 200), expected, "{body}");
    }
}

#[tokio::test]
async fn a_field_that_fails_is_null_beside_the_others() {
    let app = TestApp::start().await;
    for accept in [JSON, RESPONSE] {
        let nullable = json!({ "query": "{ viewer { id } user(handle: \"ada\") { id } }" });
        let reply = post(&app, Some(accept), &nullable).await;
        let body = reply.json();
        assert_eq!((reply.status, code(&body)), (200, "UNAUTHENTICATED"));
        assert_eq!(body["errors"][0]["path"], json!(["user"]));
        assert_eq!(body["data"], json!({ "viewer": null, "user": null }));

        // A null in a non-null field makes the object around it null.
        let required = json!({ "query": "{ viewer { id } conversations { nodes { id } } }" });
        let reply = post(&app, Some(accept), &required).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.json().get("data"), Some(&Value::Null), "{reply:?}");
    }
}

#[tokio::test]
async fn parameters_have_their_types_and_may_be_null() {
    let app = TestApp::start().await;
    let query = "{ __typename }";
    for body in [
        json!({}),
        json!({ "query": null }),
        json!({ "query": 7 }),
        json!({ "variables": {} }),
        json!({ "query": query, "variables": "text" }),
        json!({ "query": query, "variables": [1] }),
        json!({ "query": query, "operationName": 7 }),
        json!({ "query": query, "extensions": "text" }),
        json!(null),
        json!("{ __typename }"),
    ] {
        for accept in [JSON, RESPONSE] {
            refusal(&post(&app, Some(accept), &body).await, 400);
        }
    }
    for members in [
        r#""query": "{ __typename } # \ud83d""#,
        r#""query": "{ __typename }", "query": "{ __typename }""#,
        r#""query": "{ __typename }", "variables": { "a": "\ud83d" }"#,
        r#""query": "{ __typename }", "variables": { "a": 1e400 }"#,
        r#""query": "{ __typename }", "extensions": [null, "desk"]"#,
        r#""query": "{ __typename }", "extensions": { "persistedQuery": true }"#,
        r#""query": "{ __typename }", "extensions": { "connectionId": 7 }"#,
    ] {
        let body = format!("{{ {members} }}");
        let reply = app.request("POST", "/graphql", &[("content-type", JSON)], body.as_bytes()).await;
        assert_eq!(refusal(&reply, 400), "BAD_REQUEST", "{body}");
        let parameters: Vec<_> = ["variables", "extensions"]
            .into_iter()
            .filter_map(|name| members.split_once(&format!(r#", "{name}": "#)).map(|(_, json)| (name, json)))
            .map(|(name, json)| format!("&{name}={}", encode(json)))
            .collect();
        if !parameters.is_empty() {
            let path = format!("/graphql?query=%7B__typename%7D{}", parameters.concat());
            assert_eq!(refusal(&app.request("GET", &path, &[], b"").await, 400), "BAD_REQUEST", "{path}");
        }
    }
    // Members that are not parameters are ignored.
    let odd = br#"{ "query": "{ __typename }", "odd": ["\ud83d", 1e400], "\ud83d": 1 }"#;
    assert_eq!(app.request("POST", "/graphql", &[("content-type", JSON)], odd).await.status, 200);
    refusal(&app.request("GET", "/graphql", &[], b"").await, 400);
    refusal(&app.request("GET", "/graphql?query=%7B__typename%7D&variables=7", &[], b"").await, 400);

    for parameters in ["&variables=null&extensions=null", "&variables=&extensions=&operationName="] {
        let path = format!("/graphql?query=%7B__typename%7D{parameters}");
        let reply = app.request("GET", &path, &[], b"").await;
        assert_eq!(reply.json(), json!({ "data": { "__typename": "Query" } }), "{parameters}");
    }
    let nulls = json!({ "query": query, "variables": null, "operationName": null, "extensions": null });
    assert_eq!(post(&app, None, &nulls).await.json(), json!({ "data": { "__typename": "Query" } }));
}

#[tokio::test]
async fn a_query_may_come_in_the_url() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let query = encode("query Who($h: String!) { user(handle: $h) { id } } query Other { __typename }");
    let variables = encode(&json!({ "h": ada.handle }).to_string());
    let bearer = format!("Bearer {}", ada.token);
    let path = format!("/graphql?query={query}&variables={variables}&operationName=Who");
    let reply = app.request("GET", &path, &[("authorization", bearer.as_str())], b"").await;
    assert_eq!((reply.status, reply.json()), (200, json!({ "data": { "user": { "id": ada.id } } })));
}

#[tokio::test]
async fn a_mutation_in_the_url_is_refused_and_changes_nothing() {
    let app = TestApp::start().await;
    let (ada, _bob, conversation) = app.pair().await;
    let variables = json!({ "id": conversation, "body": "by GET" }).to_string();
    let path = format!("/graphql?query={}&variables={}", encode(SEND), encode(&variables));
    let bearer = format!("Bearer {}", ada.token);
    for accept in [JSON, RESPONSE] {
        let headers = [("authorization", bearer.as_str()), ("accept", accept)];
        let reply = app.request("GET", &path, &headers, b"").await;
        refusal(&reply, 405);
        assert_eq!(reply.header("allow"), Some("POST"));
    }
    assert!(messages(&ada, &conversation).await.is_empty());
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    let app = TestApp::start().await;
    for method in ["PUT", "DELETE", "PATCH"] {
        let body = br#"{ "query": "{ __typename }" }"#;
        let reply = app.request(method, "/graphql", &[("content-type", JSON)], body).await;
        refusal(&reply, 405);
        assert!(reply.header("allow").is_some_and(|allow| allow.contains("POST")), "{reply:?}");
    }
    let reply = app.request("POST", "/healthz", &[], b"").await;
    refusal(&reply, 405);
    assert!(reply.header("allow").is_some_and(|allow| allow.contains("GET")), "{reply:?}");
}

#[tokio::test]
async fn only_json_is_taken() {
    let app = TestApp::start().await;
    let body = br#"{ "query": "{ __typename }" }"#;
    for media_type in [
        None,
        Some(""),
        Some("text/plain"),
        Some("text/plain;application/json"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/graphql"),
        Some("application/jsonp"),
    ] {
        let headers: Vec<_> = media_type.map(|media_type| ("content-type", media_type)).into_iter().collect();
        refusal(&app.request("POST", "/graphql", &headers, body).await, 400);
    }
    for media_type in ["application/json; charset=utf-8", "Application/JSON"] {
        let reply = app.request("POST", "/graphql", &[("content-type", media_type)], body).await;
        assert_eq!(reply.status, 200, "{media_type}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_request_is_refused() {
    let app = TestApp::start().await;
    let nested = |depth| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{ "query": "{{ __typename }}", "variables": {{ "a": {open}{close} }} }}"#).into_bytes()
    };
    for body in [
        b"".to_vec(),
        b" ".to_vec(),
        b"{".to_vec(),
        b"nonsense".to_vec(),
        b"{ \"query\": \"{ __typename }\" } and more".to_vec(),
        b"{ \"query\": \"{ __typename } # \xff\" }".to_vec(),
        b"\xff\xfe{\0}\0".to_vec(),
        b"[]".to_vec(),
        b" [{ \"query\": \"{ __typename }\" }, { \"query\": \"{ __typename }\" }]".to_vec(),
        nested(200),
        nested(100_000),
    ] {
        let reply = app.request("POST", "/graphql", &[("content-type", JSON)], &body).await;
        refusal(&reply, 400);
    }
    let marked = "\u{feff}{ \"query\": \"{ __typename }\" }".as_bytes();
    for body in [&nested(100), marked] {
        let reply = app.request("POST", "/graphql", &[("content-type", JSON)], body).await;
        assert_eq!(reply.status, 200);
    }
}

#[tokio::test]
async fn an_empty_credential_is_none() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let (body, cookie) = (br#"{ "query": "{ viewer { id } }" }"#, format!("herald_session={}", ada.token));
    for empty in ["", "  "] {
        let headers = [("content-type", JSON), ("authorization", empty)];
        let reply = app.request("POST", "/graphql", &headers, body).await;
        assert_eq!((reply.status, reply.json()), (200, json!({ "data": { "viewer": null } })), "{empty:?}");
        let headers = [&headers[..], &[("cookie", cookie.as_str())]].concat();
        let reply = app.request("POST", "/graphql", &headers, body).await;
        assert_eq!(reply.json()["data"]["viewer"]["id"], ada.id, "{empty:?}");
    }
}

#[tokio::test]
async fn a_subscription_wants_another_transport() {
    let app = TestApp::start().await;
    let subscription = "subscription { events { cursor } }";
    for accept in [JSON, RESPONSE] {
        refusal(&post(&app, Some(accept), &json!({ "query": subscription })).await, 400);
    }
    let path = format!("/graphql?query={}", encode(subscription));
    refusal(&app.request("GET", &path, &[], b"").await, 400);
}

#[tokio::test]
async fn a_body_is_as_long_as_it_may_be_and_no_longer() {
    const MOST: usize = 256 * 1024;
    const PART: usize = 64 * 1024;
    let app = TestApp::start().await;
    let mut body = br#"{ "query": "{ __typename }" }"#.to_vec();
    body.resize(MOST, b' ');
    let headers = [("content-type", JSON)];
    assert_eq!(app.request("POST", "/graphql", &headers, &body).await.status, 200);
    for length in [MOST + 1, 10 * 1024 * 1024] {
        body.resize(length, b' ');
        refusal(&app.request("POST", "/graphql", &headers, &body).await, 413);
    }

    let mut chunked = b"POST /graphql HTTP/1.1\r\nhost: herald\r\nconnection: close\r\n".to_vec();
    chunked.extend(b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n");
    for part in body.chunks(PART) {
        chunked.extend(format!("{:x}\r\n", part.len()).into_bytes());
        chunked.extend(part);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    refusal(&exchange(app.address, &chunked).await, 413);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let app = TestApp::with(|setup| setup.args.limits.request_timeout = 1).await;
    let begun = b"POST /graphql HTTP/1.1\r\nhost: herald\r\ncontent-type: application/json\r\n\
        content-length: 100\r\n\r\n{ \"query\":";
    refusal(&exchange(app.address, begun).await, 408);
}

#[tokio::test]
async fn a_head_that_does_not_arrive_is_not_waited_for() {
    let app = TestApp::with(|setup| setup.args.limits.request_timeout = 1).await;
    for begun in ["", "POST /graphql HTTP/1.1\r\nhost: herald\r\nx-slow: "] {
        let reply = exchange(app.address, begun.as_bytes()).await;
        assert!(matches!(reply.status, 0 | 408), "{reply:?}");
    }

    let mut stream = TcpStream::connect(app.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nx-slow: ").await.unwrap();
    let drop_by_drop = async {
        let mut answer = [0];
        while timeout(Duration::from_millis(100), stream.read(&mut answer)).await.is_err() {
            if stream.write_all(b"x").await.is_err() {
                break;
            }
        }
    };
    timeout(PATIENCE, drop_by_drop).await.expect("an end of the patience with a slow client");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let app = TestApp::start().await;
    let get = |headers: &str| format!("GET /healthz HTTP/1.1\r\nhost: herald\r\n{headers}\r\n").into_bytes();
    for headers in [format!("x-large: {}\r\n", "x".repeat(64 * 1024)), "x-many: x\r\n".repeat(1_000)] {
        assert_eq!(exchange(app.address, &get(&headers)).await.status, 431);
    }
    let fits = format!("x-large: {}\r\nconnection: close\r\n", "x".repeat(16 * 1024));
    assert_eq!(exchange(app.address, &get(&fits)).await.status, 200);
}

#[tokio::test]
async fn whoever_finds_no_room_is_told_to_come_back() {
    let app = TestApp::with(|setup| setup.args.limits.max_connections = 1).await;
    let socket = app.socket().await;
    let reply = exchange(app.address, b"").await;
    assert_eq!(refusal(&reply, 503), "UNAVAILABLE");
    assert!(reply.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{reply:?}");

    drop(socket);
    let query = "/graphql?query=%7B__typename%7D";
    let again = async { while app.request("GET", query, &[], b"").await.status != 200 {} };
    timeout(PATIENCE, again).await.expect("room, once the socket is gone");
}

#[tokio::test]
async fn a_connection_is_named_in_printable_letters() {
    let app = TestApp::start().await;
    let (longest, longer) = ("x".repeat(64), "x".repeat(65));
    let (longest, longer) = (longest.as_str(), longer.as_str());
    for (id, status) in [("", 400), ("two words", 400), ("é", 400), (longer, 400), (longest, 200)] {
        let headers = [("content-type", JSON), ("x-connection-id", id)];
        let reply = app.request("POST", "/graphql", &headers, br#"{ "query": "{ __typename }" }"#).await;
        assert_eq!(reply.status, status, "{id}");
        if status == 400 {
            refusal(&reply, 400);
        }
    }
}

#[tokio::test]
async fn paths_lead_somewhere_or_are_unknown() {
    let app = TestApp::start().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(app.request("GET", path, &[], b"").await.status, 200, "{path}");
    }
    for (method, path) in [("GET", "/graphql/more"), ("POST", "/nowhere"), ("DELETE", "/nowhere")] {
        refusal(&app.request(method, path, &[], b"").await, 404);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_its_message_wholly_there_or_absent() {
    const MANY: usize = 60;
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let before = bob.cursor().await;
    let variables = |text: &str| json!({ "id": conversation, "body": text, "key": text });
    let request = |text: &str| {
        let body = json!({ "query": SEND, "variables": variables(text) }).to_string();
        let head = format!("authorization: Bearer {}\r\ncontent-length: {}\r\n", ada.token, body.len());
        format!("POST /graphql HTTP/1.1\r\nhost: herald\r\ncontent-type: {JSON}\r\n{head}\r\n{body}")
    };
    for n in 0..MANY {
        let (whole, half) = (request(&format!("whole {n:02}")), request(&format!("half {n:02}")));
        for written in [whole.as_str(), &half[..half.len() - 9]] {
            let mut stream = TcpStream::connect(app.address).await.unwrap();
            stream.write_all(written.as_bytes()).await.unwrap();
            // Each client disconnects when herald is a little further with its request.
            for _ in 0..n {
                tokio::task::yield_now().await;
            }
        }
    }
    // A retry finds the message or sends it. So each is stored once, whatever happened to the first try.
    for n in 0..MANY {
        ada.data(SEND, variables(&format!("whole {n:02}"))).await;
    }
    let stored = messages(&ada, &conversation).await;
    let mut bodies: Vec<_> = stored.iter().map(|message| message["body"].as_str().unwrap()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, (0..MANY).map(|n| format!("whole {n:02}")).collect::<Vec<_>>());

    let mut desk = bob.socket("desk").await;
    let events = "subscription($after: Cursor) {
        events(after: $after) { ... on MessageSent { message { id body } } }
    }";
    desk.follow_after("e", events, &before).await;
    for message in &stored {
        assert_eq!(desk.next("e").await["events"]["message"], *message);
    }
    ada.send(&conversation, "the end").await;
    assert_eq!(desk.next("e").await["events"]["message"]["body"], "the end");
}

#[tokio::test]
async fn a_request_names_its_host_once() {
    let app = TestApp::start().await;
    let get =
        |line: &str, hosts: &str| format!("GET {line}\r\n{hosts}connection: close\r\n\r\n").into_bytes();
    for hosts in ["", "host: a.example\r\nhost: b.example\r\n", "host: a.example\r\nhost: a.example\r\n"] {
        let line = "/graphql?query=%7Bcursor%7D HTTP/1.1";
        assert_eq!(refusal(&exchange(app.address, &get(line, hosts)).await, 400), "BAD_REQUEST", "{hosts:?}");
    }
    for (line, hosts) in [
        ("/healthz HTTP/1.0", ""),
        ("/healthz HTTP/1.1", "host: a.example\r\n"),
        ("http://a.example/healthz HTTP/1.1", "Host: a.example\r\n"),
    ] {
        assert_eq!(exchange(app.address, &get(line, hosts)).await.status, 200, "{line} {hosts:?}");
    }
}

#[tokio::test]
async fn a_url_names_each_parameter_once_and_is_utf_8() {
    let app = TestApp::start().await;
    for query in [
        "query=%7Bcursor%7D&query=%7B__typename%7D",
        "query=%7Bcursor%7D&variables=%7B%7D&variables=%7B%7D",
        "query=%FF%7Bcursor%7D",
        "query=%7Bcursor%7D&variables=%FF",
    ] {
        let reply = app.request("GET", &format!("/graphql?{query}"), &[], b"").await;
        assert_eq!(refusal(&reply, 400), "BAD_REQUEST", "{query}");
    }
    let tracked = "/graphql?query=%7B__typename%7D&utm=1&utm=2";
    assert_eq!(app.request("GET", tracked, &[], b"").await.status, 200);
}
