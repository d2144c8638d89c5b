//! Compressed bodies: which requests herald decompresses, which answers it compresses, and which it never does.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Open, Reply, TestApp, code};

const MOST: usize = 64 * 1024;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

async fn post(app: &TestApp, coding: &str, body: &[u8]) -> Reply {
    let headers = [("content-type", "application/json"), ("content-encoding", coding)];
    app.request("POST", "/graphql", &headers, body).await
}

#[tokio::test]
async fn a_body_is_unpacked_or_refused() {
    let app = TestApp::with(|setup| setup.args.limits.max_body_bytes = MOST).await;
    let plain = br#"{ "query": "{ __typename }" }"#;
    let packed = gzip(plain);
    for coding in ["gzip", "GZIP", "x-gzip", "identity, gzip"] {
        let reply = post(&app, coding, &packed).await;
        assert_eq!(reply.json(), json!({ "data": { "__typename": "Query" } }), "{coding}");
    }
    for coding in ["", "identity"] {
        assert_eq!(post(&app, coding, plain).await.status, 200, "{coding}");
    }
    for coding in ["br", "deflate", "zstd", "gzip, gzip", "é"] {
        let reply = post(&app, coding, &packed).await;
        assert_eq!((reply.status, code(&reply.json())), (415, "UNSUPPORTED_MEDIA_TYPE"), "{coding}");
        assert_eq!(reply.header("accept-encoding"), Some("gzip"));
    }
    let twice = [packed.as_slice(), &packed].concat();
    for bad in [&b""[..], plain.as_slice(), &packed[..packed.len() - 9], &packed[..12], &twice] {
        let reply = post(&app, "gzip", bad).await;
        assert_eq!((reply.status, code(&reply.json())), (400, "BAD_REQUEST"), "{bad:?}");
    }
}

#[tokio::test]
async fn a_body_is_unpacked_only_as_far_as_it_may_be_long() {
    let app = TestApp::with(|setup| setup.args.limits.max_body_bytes = MOST).await;
    let mut body = br#"{ "query": "{ __typename }" }"#.to_vec();
    body.resize(MOST, b' ');
    assert_eq!(post(&app, "gzip", &gzip(&body)).await.status, 200);
    body.push(b' ');
    assert_eq!(post(&app, "gzip", &gzip(&body)).await.status, 413);
    // About 48 KB, which decompress to 48 MB.
    let bomb = gzip(&vec![b' '; 48 * 1024 * 1024]);
    assert!(bomb.len() < MOST);
    assert_eq!(post(&app, "gzip", &bomb).await.status, 413);
}

/// The head of an answer, and its body, unpacked.
async fn answer(app: &TestApp, accept_encoding: &str, query: &str) -> (Reply, Value) {
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let body = json!({ "query": query }).to_string();
    let head = format!(
        "POST /graphql HTTP/1.0\r\nhost: herald\r\ncontent-type: application/json\r\n\
         accept-encoding: {accept_encoding}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    // In HTTP/1.0 a body ends when the connection is closed.
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let head = Reply::parse(&bytes[..end]);
    let body = &bytes[end..];
    let json = match head.header("content-encoding") {
        Some("gzip") => {
            let mut text = String::new();
            GzDecoder::new(body).read_to_string(&mut text).unwrap();
            serde_json::from_str(&text).unwrap()
        }
        Some(_) => Value::Null,
        None => serde_json::from_slice(body).unwrap(),
    };
    (head, json)
}

/// More than a kilobyte, when it is not packed.
const LONG: &str = "{ __schema { types { name description } } }";

#[tokio::test]
async fn an_answer_is_packed_for_whoever_accepts_it() {
    let app = TestApp::start().await;
    let (plain, expected) = answer(&app, "identity", LONG).await;
    assert_eq!(plain.header("content-encoding"), None);
    let (packed, found) = answer(&app, "gzip, deflate", LONG).await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.header("vary").is_some_and(|vary| vary.contains("accept-encoding")), "{packed:?}");
    assert_eq!(found, expected);
    assert_eq!(answer(&app, "gzip;q=0.5, br", LONG).await.0.header("content-encoding"), Some("br"));
    for (accepted, query) in [("deflate, zstd", LONG), ("gzip;q=0", LONG), ("gzip", "{ __typename }")] {
        assert_eq!(answer(&app, accepted, query).await.0.header("content-encoding"), None, "{accepted}");
    }
}

#[tokio::test]
async fn neither_a_token_nor_a_stream_is_packed() {
    let app = TestApp::start().await;
    let padded = format!(
        r#"mutation {{ register(input: {{ handle: "ada", displayName: "ada", password: "correct horse" }}) {{
            {}: token user {{ id }} }} }}"#,
        "x".repeat(2_000)
    );
    let (head, body) = answer(&app, "gzip, br", &padded).await;
    assert!(body["data"]["register"]["user"]["id"].is_string(), "{body}");
    assert_eq!((head.header("content-encoding"), head.header("set-cookie").is_some()), (None, true));

    let bob = app.user("bob").await;
    let body = json!({ "query": "subscription { events { cursor } }" }).to_string();
    for accept in ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0"] {
        let headers = [("content-type", "application/json"), ("accept", accept), ("accept-encoding", "gzip")];
        let open = Open::request(&bob, "POST", "/graphql", &headers, &body).await;
        assert_eq!((open.head.status, open.head.header("content-encoding")), (200, None), "{accept}");
    }
}
