//! herald answers any input, or says what is wrong with the input. It never answers that herald itself failed.
//!
//! The inputs are the lines of `corpus/`, changed at random. An input that once went wrong belongs into the corpus.

use futures_util::SinkExt;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Socket, TestApp, User, request};

const DOCUMENTS: &str = include_str!("corpus/documents.txt");
const REQUESTS: &str = include_str!("corpus/requests.txt");
const MESSAGES: &str = include_str!("corpus/messages.txt");
const PARAMETERS: &str = include_str!("corpus/parameters.txt");

/// Pieces that parsers stumble over.
const PIECES: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "\"",
    "\"\"\"",
    "\\u",
    "\\",
    "#",
    ",",
    "...",
    "$",
    "@skip(if: true)",
    "-",
    "1e400",
    "null",
    "__typename",
    "\u{feff}",
    "\u{2028}",
    "%",
    "&",
    "\0",
];

/// A change of a text.
#[derive(Debug, Clone)]
enum Edit {
    Cut(Index, usize),
    Repeat(Index, usize, usize),
    Insert(Index, Index),
    Replace(Index, char),
    Splice(Index, Index),
}

fn edits() -> impl Strategy<Value = (Index, Vec<Edit>)> {
    let at = any::<Index>;
    let edit = prop_oneof![
        (at(), 1..12_usize).prop_map(|(from, count)| Edit::Cut(from, count)),
        (at(), 1..8_usize, 1..200_usize).prop_map(|(from, count, times)| Edit::Repeat(from, count, times)),
        (at(), at()).prop_map(|(place, piece)| Edit::Insert(place, piece)),
        (at(), any::<char>()).prop_map(|(place, letter)| Edit::Replace(place, letter)),
        (at(), at()).prop_map(|(place, other)| Edit::Splice(place, other)),
    ];
    (at(), proptest::collection::vec(edit, 0..6))
}

fn changed(corpus: &str, (first, edits): &(Index, Vec<Edit>)) -> String {
    let lines: Vec<&str> = corpus.lines().collect();
    let mut letters: Vec<char> = first.get(&lines).chars().collect();
    for edit in edits {
        let length = letters.len();
        let end = |from: usize, count: usize| (from + count).min(length);
        match edit {
            Edit::Cut(from, count) if length > 0 => {
                let from = from.index(length);
                letters.drain(from..end(from, *count));
            }
            Edit::Repeat(from, count, times) if length > 0 => {
                let from = from.index(length);
                let piece = letters[from..end(from, *count)].repeat(*times);
                letters.splice(from..from, piece);
            }
            Edit::Insert(place, piece) => {
                let place = place.index(length + 1);
                letters.splice(place..place, piece.get(&PIECES).chars());
            }
            Edit::Replace(place, letter) if length > 0 => letters[place.index(length)] = *letter,
            Edit::Splice(place, other) => {
                letters.truncate(place.index(length + 1));
                letters.extend(other.get(&lines).chars());
            }
            Edit::Cut(..) | Edit::Repeat(..) | Edit::Replace(..) => {}
        }
    }
    letters.into_iter().collect()
}

/// Tries so many changed texts of a corpus.
fn try_all(corpus: &str, cases: u32, fits: impl Fn(String) -> Result<(), String>) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    // The seed is the same in every run.
    let rng = TestRng::deterministic_rng(RngAlgorithm::default());
    let tried = TestRunner::new_with_rng(config, rng).run(&edits(), |edits| {
        let text = changed(corpus, &edits);
        fits(text.clone()).map_err(|reason| TestCaseError::fail(format!("{reason} for {text:?}")))
    });
    if let Err(failed) = tried {
        panic!("{failed}");
    }
}

/// Whether a response is one of GraphQL, whose errors have codes and say nothing of faults in herald.
fn is_sound(response: &Value) -> Result<(), String> {
    let errors = response.get("errors").and_then(Value::as_array).cloned().unwrap_or_default();
    for error in &errors {
        match error["extensions"]["code"].as_str() {
            None | Some("INTERNAL" | "UNAVAILABLE") => return Err(format!("{error}")),
            Some(_) => {}
        }
    }
    if errors.is_empty() && response.get("data").is_none() { Err(format!("{response}")) } else { Ok(()) }
}

async fn posted(user: &User, body: &[u8]) -> Result<(), String> {
    let headers = [("content-type", "application/json"), ("authorization", user.token.as_str())];
    let reply = request(user.address, "POST", "/graphql", &headers, body).await;
    if !(200..500).contains(&reply.status) {
        return Err(format!("status {}", reply.status));
    }
    is_sound(&reply.json())
}

fn with_user(test: impl FnOnce(&Runtime, &User)) {
    let runtime = Runtime::new().unwrap();
    let (_app, user) = runtime.block_on(async {
        let app = TestApp::start().await;
        let user = app.user("ada").await;
        (app, user)
    });
    test(&runtime, &user);
}

#[test]
fn documents_are_answered_or_refused() {
    with_user(|runtime, user| {
        try_all(DOCUMENTS, 2_000, |text| {
            runtime.block_on(posted(user, json!({ "query": text }).to_string().as_bytes()))
        });
    });
}

#[test]
fn requests_are_answered_or_refused() {
    with_user(|runtime, user| {
        try_all(REQUESTS, 1_000, |text| {
            // A changed request may end the session. Later requests are then refused.
            runtime.block_on(posted(user, text.as_bytes()))
        });
    });
}

#[test]
fn parameters_of_urls_are_answered_or_refused() {
    with_user(|runtime, user| {
        try_all(PARAMETERS, 800, |text| {
            let encoded: String = text
                .bytes()
                .map(|byte| match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'=' | b'&' | b'%' | b'-' => {
                        char::from(byte).to_string()
                    }
                    other => format!("%{other:02X}"),
                })
                .collect();
            runtime.block_on(async {
                let path = format!("/graphql?{encoded}");
                // The request does not accept a stream, which would stay open. So a subscription is refused.
                let headers = [("authorization", user.token.as_str())];
                let reply = request(user.address, "GET", &path, &headers, b"").await;
                match reply.status {
                    200..=499 => is_sound(&reply.json()),
                    status => Err(format!("status {status}")),
                }
            })
        });
    });
}

#[test]
fn cursors_are_honoured_or_refused() {
    with_user(|runtime, user| {
        let cursor = runtime.block_on(user.cursor());
        try_all(&cursor, 300, |text| {
            runtime.block_on(async {
                let mut socket = user.socket("phone").await;
                let follow = "subscription($after: Cursor) { events(after: $after) { cursor } }";
                socket.subscribe("1", follow, json!({ "after": text })).await;
                socket.send(json!({ "type": "ping" })).await;
                let told = socket.receive().await;
                match (told["type"].as_str(), told["payload"][0]["extensions"]["code"].as_str()) {
                    (Some("pong"), _) | (Some("error"), Some("CURSOR_INVALID" | "CURSOR_EXPIRED")) => Ok(()),
                    _ => Err(told.to_string()),
                }
            })
        });
    });
}

#[test]
fn messages_on_sockets_are_answered_or_close_them_as_the_protocol_says() {
    with_user(|runtime, user| {
        try_all(MESSAGES, 800, |text| runtime.block_on(sent(user, text)));
    });
}

async fn sent(user: &User, text: String) -> Result<(), String> {
    let mut socket: Socket = user.socket("phone").await;
    socket.stream.send(Message::text(text)).await.map_err(|error| error.to_string())?;
    // The answer to this ping shows that herald has handled the message. The socket may be closed by then.
    let _ = socket.stream.send(Message::text(r#"{"type":"ping","payload":{"last":true}}"#)).await;
    loop {
        match socket.frame().await {
            Some(Message::Text(text)) => {
                let message: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
                match message["type"].as_str() {
                    Some("pong") if message["payload"]["last"] == true => return Ok(()),
                    Some("next") => is_sound(&message["payload"])?,
                    Some("error") => is_sound(&json!({ "errors": message["payload"] }))?,
                    Some("complete" | "pong") => {}
                    _ => return Err(text.to_string()),
                }
            }
            Some(Message::Close(Some(frame))) => {
                return match u16::from(frame.code) {
                    4400 | 4401 | 4403 | 4409 | 4429 => Ok(()),
                    code => Err(format!("closed with {code}: {}", frame.reason)),
                };
            }
            Some(Message::Ping(_) | Message::Pong(_)) => {}
            other => return Err(format!("{other:?}")),
        }
    }
}
