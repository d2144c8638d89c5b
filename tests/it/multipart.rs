//! Subscriptions as Apollo's clients ask for them over HTTP: as the parts of a multipart response.

use serde_json::{Value, json};

use crate::support::{End, Open, TestApp, User, code};

const EVENTS: &str = "subscription($after: Cursor, $id: ID) { events(after: $after, conversationId: $id) {
    cursor ... on MessageSent { message { body } } } }";

/// As Apollo Client 4 asks.
const ACCEPT: &str = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9";

const BOUNDARY: &str = "\r\n--graphql";

async fn follow(user: &User, query: &str, variables: Value) -> Open {
    let headers = [("content-type", "application/json"), ("accept", ACCEPT)];
    let body = json!({ "query": query, "variables": variables }).to_string();
    Open::request(user, "POST", "/graphql", &headers, &body).await
}

/// The body of the next part, as soon as what ends it has arrived; nothing else needs to happen for that.
async fn part(open: &mut Open) -> Value {
    let part = open.through(BOUNDARY).await.expect("a part");
    let (head, body) = part.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{part:?}"));
    assert_eq!(head, "\r\nContent-Type: application/json");
    serde_json::from_str(body.strip_suffix(BOUNDARY).unwrap()).unwrap()
}

/// Reads past the part with which a response begins.
async fn opened(open: &mut Open) {
    open.through(BOUNDARY).await.expect("a beginning");
    assert_eq!(part(open).await, json!({}));
}

fn said(part: &Value) -> &str {
    part["payload"]["data"]["events"]["message"]["body"].as_str().unwrap_or_else(|| panic!("{part}"))
}

#[tokio::test]
async fn every_part_is_ended_at_once() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut open = follow(&bob.on("desk"), EVENTS, json!({})).await;
    assert_eq!(open.head.status, 200);
    // The text is exactly that of Apollo's router, because Apollo's client for iOS compares it.
    let content_type = r#"multipart/mixed;boundary="graphql";subscriptionSpec=1.0"#;
    assert_eq!(open.head.header("content-type"), Some(content_type));
    assert_eq!(open.head.header("cache-control"), Some("no-store, no-transform"));
    assert_eq!(open.through(BOUNDARY).await.as_deref(), Some(BOUNDARY));
    // A first part follows at once, although there is no event.
    assert_eq!(part(&mut open).await, json!({}));
    // Events that the connection caused itself are omitted.
    bob.on("desk").send(&conversation, "own").await;
    for body in ["one", "two"] {
        ada.send(&conversation, body).await;
        assert_eq!(said(&part(&mut open).await), body);
    }
}

#[tokio::test]
async fn it_resumes_from_a_cursor() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let start = bob.cursor().await;
    ada.send(&conversation, "one").await;
    bob.on("desk").send(&conversation, "own").await;
    ada.send(&conversation, "two").await;
    let mut open = follow(&bob.on("desk"), EVENTS, json!({ "after": start })).await;
    opened(&mut open).await;
    let first = part(&mut open).await;
    assert_eq!(said(&first), "one");
    drop(open);
    let after = &first["payload"]["data"]["events"]["cursor"];
    let mut open = follow(&bob.on("desk"), EVENTS, json!({ "after": after })).await;
    opened(&mut open).await;
    assert_eq!(said(&part(&mut open).await), "two");
}

#[tokio::test]
async fn it_is_complete_when_there_will_be_no_more_and_broken_off_when_herald_stops() {
    let mut app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut one = follow(&bob, EVENTS, json!({ "id": conversation })).await;
    let mut all = follow(&ada, EVENTS, json!({})).await;
    for open in [&mut one, &mut all] {
        opened(open).await;
    }
    bob.leave(&conversation).await;
    part(&mut one).await;
    part(&mut all).await;
    assert_eq!(one.ended().await, ("--\r\n".into(), End::Complete));
    app.stop().await;
    assert_eq!(all.ended().await, (String::new(), End::BrokenOff));
}

#[tokio::test]
async fn a_session_that_ends_is_told_in_a_last_part() {
    let app = TestApp::start().await;
    let (_, bob, _) = app.pair().await;
    let mut open = follow(&bob, EVENTS, json!({})).await;
    opened(&mut open).await;
    bob.data("mutation { logout { ended } }", json!({})).await;
    assert_eq!(code(&part(&mut open).await["payload"]), "UNAUTHENTICATED");
    assert_eq!(open.ended().await, ("--\r\n".into(), End::Complete));
}

#[tokio::test]
async fn a_stream_in_which_nothing_happens_shows_that_it_lives() {
    let app = TestApp::with(|setup| setup.args.limits.ping_interval = 1).await;
    let (_, bob, _) = app.pair().await;
    let mut open = follow(&bob, EVENTS, json!({})).await;
    opened(&mut open).await;
    assert_eq!(part(&mut open).await, json!({}));
}

#[tokio::test]
async fn what_cannot_be_followed_is_refused_as_json() {
    let app = TestApp::start().await;
    let (_, bob, _) = app.pair().await;
    for (query, variables, expected) in [
        ("subscription { nothing }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        (EVENTS, json!({ "after": "mangled" }), "CURSOR_INVALID"),
    ] {
        let mut open = follow(&bob, query, variables).await;
        assert_eq!(open.head.status, 400);
        let content_type = open.head.header("content-type");
        assert_eq!(content_type, Some("application/graphql-response+json; charset=utf-8"));
        let body: Value = serde_json::from_str(&open.through("}]}").await.unwrap()).unwrap();
        assert_eq!(code(&body), expected);
    }
}

#[tokio::test]
async fn queries_and_mutations_are_answered_as_json() {
    let app = TestApp::start().await;
    let (_, bob, _) = app.pair().await;
    let mut open = follow(&bob, "{ viewer { handle } }", json!({})).await;
    let expected = json!({ "data": { "viewer": { "handle": bob.handle } } });
    assert_eq!(open.through("}}}").await.unwrap(), expected.to_string());
}
