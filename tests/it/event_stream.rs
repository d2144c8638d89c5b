//! Subscriptions as server-sent events.

use std::fmt::Write;

use sea_orm::{ConnectionTrait, Database};
use serde_json::{Value, json};

use crate::support::{End, Open, TestApp, User};

const EVENTS: &str = "subscription($after: Cursor, $id: ID) { events(after: $after, conversationId: $id) {
    cursor ... on MessageSent { message { body } } ... on StatusChanged { status } } }";

/// Subscribes by POST.
async fn follow(user: &User, headers: &[(&str, &str)], variables: Value) -> Open {
    ask(user, headers, EVENTS, variables).await
}

async fn ask(user: &User, headers: &[(&str, &str)], query: &str, variables: Value) -> Open {
    let own = [("content-type", "application/json"), ("accept", "text/event-stream")];
    let body = json!({ "query": query, "variables": variables }).to_string();
    Open::request(user, "POST", "/graphql", &[&own, headers].concat(), &body).await
}

/// Subscribes as an `EventSource` does: all that it can say is in the URL, and what it got last.
async fn follow_by_url(user: &User, headers: &[(&str, &str)], parameters: &[(&str, &str)]) -> Open {
    let mut path = "/graphql?".to_owned();
    for (name, value) in parameters {
        let value = value.bytes().fold(String::new(), |mut text, byte| {
            write!(text, "%{byte:02X}").unwrap();
            text
        });
        write!(path, "{name}={value}&").unwrap();
    }
    let own = [("accept", "text/event-stream")];
    Open::request(user, "GET", &path, &[&own, headers].concat(), "").await
}

/// What the next event says was sent, and its id.
async fn said(open: &mut Open) -> (String, String) {
    let (data, id) = open.next().await;
    assert_eq!(data["events"]["cursor"], id, "the id is the cursor");
    (data["events"]["message"]["body"].as_str().unwrap_or_else(|| panic!("{data}")).to_owned(), id)
}

#[tokio::test]
async fn events_arrive_as_they_happen_and_their_id_is_the_cursor() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut open = follow(&bob, &[], json!({})).await;
    assert_eq!(open.head.status, 200);
    assert_eq!(open.head.header("content-type"), Some("text/event-stream"));
    assert_eq!(open.head.header("cache-control"), Some("no-store, no-transform"));
    // The first block says after which pause to connect again, and with which id.
    let opening = open.block().await.unwrap();
    let lines: Vec<_> = opening.lines().collect();
    let retry: u64 = lines[0].strip_prefix("retry: ").unwrap().parse().unwrap();
    assert!((500..1_500).contains(&retry), "{retry}");
    assert_eq!(lines[1].strip_prefix("id: "), Some(bob.cursor().await.as_str()));

    let first = ada.send(&conversation, "one").await;
    assert_eq!(said(&mut open).await.0, "one");
    bob.mark_read(&first).await;
    let (data, _) = open.next().await;
    assert_eq!(data["events"]["status"], "READ");
    ada.send(&conversation, "two").await;
    assert_eq!(said(&mut open).await.0, "two");
}

#[tokio::test]
async fn whoever_says_what_they_got_last_goes_on_from_there() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let start = bob.cursor().await;
    for body in ["one", "two", "three"] {
        ada.send(&conversation, body).await;
    }
    let variables = json!({ "after": start }).to_string();
    let parameters = [("query", EVENTS), ("variables", &*variables)];
    let mut open = follow_by_url(&bob, &[], &parameters).await;
    let (body, id) = said(&mut open).await;
    assert_eq!(body, "one");
    drop(open);

    // With the same URL, the header counts and the variable does not.
    let mut open = follow_by_url(&bob, &[("last-event-id", &id)], &parameters).await;
    assert_eq!(said(&mut open).await.0, "two");
    assert_eq!(said(&mut open).await.0, "three");
    ada.send(&conversation, "four").await;
    assert_eq!(said(&mut open).await.0, "four");

    // An empty header counts as absent.
    let mut open = follow_by_url(&bob, &[("last-event-id", "")], &parameters).await;
    assert_eq!(said(&mut open).await.0, "one");

    // A client that cannot send headers has the id in the URL, like event-source-polyfill. The header has precedence.
    let in_url = async |headers: &[(&str, &str)], id: &str| {
        let parameters = [("query", EVENTS), ("variables", &*variables), ("lastEventId", id)];
        follow_by_url(&bob, headers, &parameters).await
    };
    let mut open = in_url(&[], &id).await;
    assert_eq!(said(&mut open).await.0, "two");
    let mut open = in_url(&[("last-event-id", &id)], "mangled").await;
    assert_eq!(said(&mut open).await.0, "two");
    let mut open = in_url(&[], "").await;
    assert_eq!(said(&mut open).await.0, "one");
    assert_eq!(in_url(&[], "complete").await.head.status, 204);
    assert_eq!(in_url(&[], "mangled").await.refused().await, "CURSOR_INVALID");

    // A document without this variable resumes, too.
    let query = "subscription { events { cursor ... on MessageSent { message { body } } } }";
    let mut open = follow_by_url(&bob, &[("last-event-id", &id)], &[("query", query)]).await;
    assert_eq!(said(&mut open).await.0, "two");
}

#[tokio::test]
async fn what_the_connection_caused_is_left_out_live_and_on_replay() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let (desk, start) = (bob.on("desk"), bob.cursor().await);
    // The connection is named by the header, or by the URL for clients that cannot send headers.
    let url = json!({ "connectionId": "desk" }).to_string();
    let variables = json!({ "after": start }).to_string();
    let parameters = [("query", EVENTS), ("variables", &*variables), ("extensions", &*url)];
    let mut live = [follow(&desk, &[], json!({})).await, follow_by_url(&bob, &[], &parameters).await];
    desk.send(&conversation, "own").await;
    ada.send(&conversation, "other").await;
    let mut replayed =
        [follow(&desk, &[], json!({ "after": start })).await, follow_by_url(&bob, &[], &parameters).await];
    for open in live.iter_mut().chain(&mut replayed) {
        assert_eq!(said(open).await.0, "other");
    }
}

#[tokio::test]
async fn nobody_elses_events_are_silenced_by_taking_their_connection_id() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let start = bob.cursor().await;
    let again = bob.sign_in_again().await.on("desk");
    let mut open = follow(&bob.on("desk"), &[], json!({ "after": start })).await;
    ada.on("desk").send(&conversation, "by another").await;
    again.send(&conversation, "in another session").await;
    // A request over HTTP that names no connection is not omitted, either.
    bob.send(&conversation, "without a name").await;
    for expected in ["by another", "in another session", "without a name"] {
        assert_eq!(said(&mut open).await.0, expected);
    }
}

#[tokio::test]
async fn what_cannot_be_followed_is_said_in_the_stream_which_is_complete_then() {
    let app = TestApp::start().await;
    let (ada, bob, _) = app.pair().await;
    let elsewhere = ada.start(&[&app.user("eve").await]).await;
    let nobody = User { token: String::new(), ..bob.clone() };
    let cases = [
        ask(&bob, &[], "subscription { nothing }", json!({})).await,
        ask(&bob, &[], "subscription {", json!({})).await,
        follow(&bob, &[], json!({ "after": "mangled" })).await,
        follow(&bob, &[("last-event-id", "mangled")], json!({})).await,
        follow(&bob, &[], json!({ "id": elsewhere })).await,
        follow(&nobody, &[], json!({})).await,
    ];
    let codes = [
        "GRAPHQL_VALIDATION_FAILED",
        "GRAPHQL_PARSE_FAILED",
        "CURSOR_INVALID",
        "CURSOR_INVALID",
        "NOT_FOUND",
        "UNAUTHENTICATED",
    ];
    for (mut open, code) in cases.into_iter().zip(codes) {
        assert_eq!(open.head.status, 200);
        assert_eq!(open.refused().await, code);
        assert_eq!(open.event().await.name, "complete");
        assert_eq!(open.ended().await, (String::new(), End::Complete));
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_by_its_status() {
    let app = TestApp::start().await;
    let (_, bob, _) = app.pair().await;
    let stranger = User { token: "no-token".into(), ..bob.clone() };
    let refused = follow(&stranger, &[], json!({})).await;
    assert_eq!(refused.head.status, 401);
    let nothing = follow_by_url(&bob, &[], &[]).await;
    assert_eq!(nothing.head.status, 400);
    let unnamed = follow(&bob.on(&"x".repeat(65)), &[], json!({})).await;
    assert_eq!(unnamed.head.status, 400);
    let extensions = json!({ "connectionId": "has spaces" }).to_string();
    let mut unnamed = follow_by_url(&bob, &[], &[("query", EVENTS), ("extensions", &extensions)]).await;
    assert_eq!(unnamed.head.status, 400);
    let body = unnamed.through("}]}").await.unwrap();
    assert!(body.contains("extensions.connectionId"), "{body}");
}

#[tokio::test]
async fn whoever_only_accepts_json_is_told_how_to_subscribe() {
    let app = TestApp::start().await;
    let (_, bob, _) = app.pair().await;
    let response = bob.post(EVENTS, json!({})).await;
    assert_eq!(crate::support::code(&response), "BAD_REQUEST");
    let message = response["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("graphql-transport-ws") && message.contains("text/event-stream"), "{message}");
}

#[tokio::test]
async fn queries_and_mutations_are_answered_by_one_event() {
    let app = TestApp::start().await;
    let (_, bob, conversation) = app.pair().await;
    let mut open = ask(&bob, &[], "{ viewer { handle } }", json!({})).await;
    assert_eq!(open.next().await, (json!({ "viewer": { "handle": bob.handle } }), String::new()));
    assert_eq!(open.event().await.name, "complete");
    let send = "mutation($id: ID!) { sendMessage(input: { conversationId: $id, body: \"x\" }) { cursor } }";
    let mut open = ask(&bob, &[], send, json!({ "id": conversation })).await;
    assert!(open.next().await.0["sendMessage"]["cursor"].is_string());
    assert_eq!(open.ended().await.1, End::Complete);
    let by_url = follow_by_url(&bob, &[], &[("query", "mutation { logout { ended } }")]).await;
    assert_eq!(by_url.head.status, 405);
    // A client that accepts both gets JSON. The cookie is set in both forms.
    let input = format!("{{ handle: {:?}, password: \"correct horse battery\" }}", bob.handle);
    let login = format!("mutation {{ login(input: {input}) {{ user {{ handle }} }} }}");
    let open = ask(&bob, &[], &login, json!({})).await;
    assert!(open.head.header("set-cookie").is_some_and(|cookie| cookie.starts_with("herald_session=")));
    let both = [("content-type", "application/json"), ("accept", "text/event-stream, application/json")];
    let open = Open::request(&bob, "POST", "/graphql", &both, r#"{"query": "{ cursor }"}"#).await;
    assert_eq!(open.head.header("content-type"), Some("application/json; charset=utf-8"));
}

#[tokio::test]
async fn a_subscription_that_is_complete_says_so_and_is_not_begun_again() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut open = follow(&bob, &[], json!({ "id": conversation })).await;
    ada.send(&conversation, "one").await;
    assert_eq!(said(&mut open).await.0, "one");
    bob.leave(&conversation).await;
    let (left, _) = open.next().await;
    assert_eq!(left["events"].get("message"), None);
    let end = open.event().await;
    assert_eq!((end.name.as_str(), end.data.as_str()), ("complete", ""));
    assert_eq!(open.ended().await, (String::new(), End::Complete));
    // An `EventSource` connects again with the last id even now. The answer 204 stops it.
    let parameters = [("query", EVENTS)];
    let again = follow_by_url(&bob, &[("last-event-id", &end.id)], &parameters).await;
    assert_eq!(again.head.status, 204);
    // A POST with this header is executed as usual.
    let mut asked = ask(&bob, &[("last-event-id", &end.id)], "{ viewer { handle } }", json!({})).await;
    assert_eq!(asked.next().await.0["viewer"]["handle"], bob.handle.as_str());
}

// Otherwise a client that takes every end for a lost network would connect again for ever.
#[tokio::test]
async fn whoever_left_over_the_same_connection_is_told_that_there_is_nothing_more() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let desk = bob.on("desk");
    let start = bob.cursor().await;
    ada.send(&conversation, "one").await;
    desk.leave(&conversation).await;
    // First come the events that they have not seen yet. The id at the start must not be after these.
    let mut open = follow(&desk, &[], json!({ "after": start, "id": conversation })).await;
    let opening = open.block().await.unwrap();
    let begins = opening.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    let mut again = follow(&desk, &[("last-event-id", begins)], json!({ "id": conversation })).await;
    assert_eq!(said(&mut again).await.0, "one");
    let (_, id) = said(&mut open).await;
    assert_eq!(open.event().await.name, "complete");
    let mut open = follow(&desk, &[("last-event-id", &id)], json!({ "id": conversation })).await;
    assert_eq!(open.refused().await, "NOT_FOUND");
    // Their other connections receive the event that they left.
    let mut other = follow(&bob.on("phone"), &[("last-event-id", &id)], json!({ "id": conversation })).await;
    assert!(other.next().await.0["events"]["cursor"].is_string());
}

#[tokio::test]
async fn a_herald_that_stops_breaks_off_so_that_clients_come_again() {
    let mut app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut open = follow(&bob, &[], json!({ "after": bob.cursor().await })).await;
    ada.send(&conversation, "one").await;
    let (_, id) = said(&mut open).await;
    app.restart().await;
    assert_eq!(open.ended().await, (String::new(), End::BrokenOff));
    let [ada, bob] = [ada, bob].map(|user| User { address: app.address, ..user });
    ada.send(&conversation, "two").await;
    let mut open = follow(&bob, &[("last-event-id", &id)], json!({})).await;
    assert_eq!(said(&mut open).await.0, "two");
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_told_and_broken_off() {
    // The hub keeps nothing, so the log has to be read.
    let app = TestApp::with(|setup| setup.args.limits.recent_bytes = 0).await;
    let (ada, bob, conversation) = app.pair().await;
    let start = bob.cursor().await;
    ada.send(&conversation, "one").await;
    let database = Database::connect(&app.database.url).await.unwrap();
    database.execute_unprepared("ALTER TABLE log_head RENAME TO away").await.unwrap();
    let mut open = follow(&bob, &[], json!({ "after": start })).await;
    assert_eq!(open.refused().await, "UNAVAILABLE");
    assert_eq!(open.ended().await, (String::new(), End::BrokenOff));
    database.execute_unprepared("ALTER TABLE away RENAME TO log_head").await.unwrap();
    database.close().await.unwrap();
    let mut open = follow(&bob, &[], json!({ "after": start })).await;
    assert_eq!(said(&mut open).await.0, "one");
}

#[tokio::test]
async fn nothing_comes_after_the_session_has_ended() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut open = follow(&bob, &[], json!({ "after": bob.cursor().await })).await;
    ada.send(&conversation, "before").await;
    assert_eq!(said(&mut open).await.0, "before");
    bob.data("mutation { logout { ended } }", json!({})).await;
    ada.send(&conversation, "after").await;
    assert_eq!(open.refused().await, "UNAUTHENTICATED");
    assert_eq!(open.event().await.name, "complete");
    assert_eq!(open.ended().await, (String::new(), End::Complete));
}

#[tokio::test]
async fn a_stream_in_which_nothing_happens_shows_that_it_lives() {
    let app = TestApp::with(|setup| setup.args.limits.ping_interval = 1).await;
    let (_, bob, _) = app.pair().await;
    let mut open = follow(&bob, &[], json!({})).await;
    let opening = open.block().await.unwrap();
    assert!(opening.starts_with("retry: "), "{opening}");
    for _ in 0..2 {
        assert_eq!(open.block().await.as_deref(), Some(":\n\n"));
    }
}

#[tokio::test]
async fn a_user_has_a_bounded_number_of_streams_and_sockets_open() {
    let app = TestApp::with(|setup| setup.args.limits.max_sockets_per_user = 2).await;
    let (ada, bob, conversation) = app.pair().await;
    let start = bob.cursor().await;
    let mut first = follow(&bob, &[], json!({})).await;
    first.block().await.unwrap();
    let _socket = bob.socket("desk").await;
    let mut third = follow(&bob, &[], json!({})).await;
    assert_eq!(third.refused().await, "LIMIT_EXCEEDED");
    // Streams of another user do not count, and a stream that ends makes room.
    ada.send(&conversation, "hello").await;
    let mut hers = follow(&ada, &[], json!({ "after": start })).await;
    assert_eq!(said(&mut hers).await.0, "hello");
    drop(first);
    loop {
        let mut open = follow(&bob, &[], json!({ "after": start })).await;
        let event = open.event().await;
        if event.data.contains("hello") {
            break;
        }
        assert!(event.data.contains("LIMIT_EXCEEDED"), "{event:?}");
    }
}
