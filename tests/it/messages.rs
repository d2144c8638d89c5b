//! Messages: what is stored, that it is stored once, and who may read it.

use herald::config::Switch;
use serde_json::{Value, json};

use crate::support::{TestApp, User, code};

const SEND: &str = "mutation($id: ID!, $body: String!, $key: String) {
    sendMessage(input: { conversationId: $id, body: $body, idempotencyKey: $key }) {
        message { id body sentAt sender { handle } conversation { id } }
    }
}";
const MESSAGE: &str = "query($id: ID!) { message(id: $id) { body } node(id: $id) { id } }";
const MESSAGES: &str = "query($id: ID!, $first: Int, $last: Int, $after: String, $before: String) {
    conversation(id: $id) {
        messages(first: $first, last: $last, after: $after, before: $before) {
            nodes { body }
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        }
    }
}";
const SUMMARY: &str = "query($id: ID!) { conversation(id: $id) { lastMessage { body } unreadCount } }";
const SENT: &str = "subscription($after: Cursor) {
    messageSent(after: $after) { at message { id body sentAt } }
}";

fn sending(conversation: &str, body: &str, key: Option<&str>) -> Value {
    json!({ "id": conversation, "body": body, "key": key })
}

/// Sends under a key; the message's id.
async fn send_once(sender: &User, conversation: &str, body: &str, key: &str) -> String {
    let data = sender.data(SEND, sending(conversation, body, Some(key))).await;
    data["sendMessage"]["message"]["id"].as_str().unwrap().to_owned()
}

/// A page of what the viewer may read in a conversation, and what the page says of itself.
async fn page(viewer: &User, conversation: &str, arguments: Value) -> (Vec<String>, Value) {
    let mut variables = arguments;
    variables["id"] = json!(conversation);
    let mut data = viewer.data(MESSAGES, variables).await;
    let mut page = data["conversation"]["messages"].take();
    let nodes = page["nodes"].as_array().unwrap().iter();
    let bodies = nodes.map(|message| message["body"].as_str().unwrap().to_owned()).collect();
    (bodies, page["pageInfo"].take())
}

/// Everything that the viewer may read in a short conversation.
async fn history(viewer: &User, conversation: &str) -> Vec<String> {
    page(viewer, conversation, json!({})).await.0
}

#[tokio::test]
async fn a_body_is_stored_and_told_unchanged() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut desk = bob.socket("desk").await;
    desk.follow("m", SENT).await;
    let bodies = [
        "👩‍👩‍👧‍👦 and 🏳️‍🌈",
        "שלום, \u{202b}عالم\u{202c}!",
        "e\u{301} is not \u{e9}",
        " two\n\tlines, and space around ",
        r#""quotes", \backslashes\ and </script>"#,
        "\u{feff}\u{2028}\u{fffd}\u{10ffff}",
        "'; DROP TABLE messages; --",
    ];
    for body in bodies {
        let data = ada.data(SEND, sending(&conversation, body, None)).await;
        let message = &data["sendMessage"]["message"];
        assert_eq!(message["body"], body);
        assert_eq!(message["sender"]["handle"], ada.handle);
        assert_eq!(message["conversation"]["id"], conversation);

        let told = desk.next("m").await;
        let expected = json!({ "id": message["id"], "body": body, "sentAt": message["sentAt"] });
        assert_eq!(told["messageSent"], json!({ "at": message["sentAt"], "message": expected }));
        let read = bob.data(MESSAGE, json!({ "id": message["id"] })).await;
        assert_eq!(read["message"]["body"], body);
    }
    assert_eq!(history(&bob, &conversation).await, bodies);
}

#[tokio::test]
async fn escaped_surrogates_are_one_character_and_half_of_a_pair_is_none() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let bearer = format!("Bearer {}", ada.token);
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let post = async |escaped: &str| {
        let variables = format!(r#"{{ "id": "{conversation}", "body": "{escaped}" }}"#);
        let body = format!(r#"{{ "query": {}, "variables": {variables} }}"#, json!(SEND));
        app.request("POST", "/graphql", &headers, body.as_bytes()).await
    };
    let sent = post(r"\ud83d\ude00 caf\u00e9").await.json();
    assert_eq!(sent["data"]["sendMessage"]["message"]["body"], "😀 café");
    for half in [r"\ud83d", r"\ude00", r"\ude00\ud83d", r"\ud83d!"] {
        assert_eq!(post(half).await.status, 400, "{half}");
    }
    assert_eq!(history(&bob, &conversation).await, ["😀 café"]);
}

#[tokio::test]
async fn a_body_that_is_empty_or_controls_something_is_refused() {
    let app = TestApp::with(|setup| setup.args.limits.max_message_chars = 12).await;
    let (ada, _, conversation) = app.pair().await;
    let longest = "é".repeat(12);
    for body in [
        "",
        "   ",
        "\n\t\n",
        "a\0b",
        "\u{7}",
        "\u{1b}[31mred",
        "\u{b}",
        "del\u{7f}",
        "nel\u{85}",
        "apc\u{9f}",
        &format!("{longest}é"),
        &"x".repeat(100_000),
    ] {
        let refused = ada.post(SEND, sending(&conversation, body, None)).await;
        assert_eq!(code(&refused), "BAD_INPUT", "{refused}");
        assert_eq!(refused["errors"][0]["extensions"]["field"], "body");
    }
    // The limit counts characters, not bytes.
    for body in [longest.as_str(), "👍👍👍👍👍👍👍👍👍👍👍👍"] {
        ada.send(&conversation, body).await;
    }
    assert_eq!(history(&ada, &conversation).await, [longest.as_str(), "👍👍👍👍👍👍👍👍👍👍👍👍"]);
}

#[tokio::test]
async fn a_send_that_is_tried_again_is_the_same_message() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut desk = bob.socket("desk").await;
    desk.follow("m", SENT).await;
    let first = send_once(&ada, &conversation, "hello", "key 1").await;
    assert_eq!(send_once(&ada, &conversation, "hello", "key 1").await, first);
    // The key belongs to the sender, not to one of the sender's sessions.
    assert_eq!(send_once(&ada.sign_in_again().await, &conversation, "hello", "key 1").await, first);
    assert_ne!(send_once(&ada, &conversation, "hello", "key 2").await, first);

    assert_eq!(history(&bob, &conversation).await, ["hello", "hello"]);
    assert_eq!(desk.next("m").await["messageSent"]["message"]["id"], first);
    assert_ne!(desk.next("m").await["messageSent"]["message"]["id"], first);
    ada.send(&conversation, "nothing else").await;
    assert_eq!(desk.next("m").await["messageSent"]["message"]["body"], "nothing else");
}

#[tokio::test]
async fn a_key_that_stands_for_another_message_is_refused() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let elsewhere = ada.start(&[&bob]).await;
    send_once(&ada, &conversation, "hello", "key").await;
    for (place, body) in [(&conversation, "hello!"), (&elsewhere, "hello")] {
        let refused = ada.refused(SEND, sending(place, body, Some("key"))).await;
        assert_eq!(refused, "IDEMPOTENCY_KEY_REUSED", "{body}");
    }
    assert_eq!(history(&ada, &conversation).await, ["hello"]);
    assert!(history(&ada, &elsewhere).await.is_empty());

    for key in ["", " ", "a\nb", "a\0b", &"k".repeat(129)] {
        let refused = ada.post(SEND, sending(&conversation, "hello", Some(key))).await;
        assert_eq!(code(&refused), "BAD_INPUT", "{key:?}");
        assert_eq!(refused["errors"][0]["extensions"]["field"], "idempotencyKey");
    }
}

#[tokio::test]
async fn everyone_has_keys_of_their_own() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let from_ada = send_once(&ada, &conversation, "hello", "key").await;
    let from_bob = send_once(&bob, &conversation, "hello yourself", "key").await;
    assert_ne!(from_ada, from_bob);
    assert_eq!(history(&ada, &conversation).await, ["hello", "hello yourself"]);
}

#[tokio::test]
async fn a_send_that_is_tried_twice_at_once_is_one_message() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    for round in 0..5 {
        let (body, key) = (format!("hello {round}"), format!("key {round}"));
        let (one, other) = tokio::join!(
            send_once(&ada, &conversation, &body, &key),
            send_once(&ada, &conversation, &body, &key)
        );
        assert_eq!(one, other);
    }
    let expected: Vec<_> = (0..5).map(|round| format!("hello {round}")).collect();
    assert_eq!(history(&bob, &conversation).await, expected);
}

#[tokio::test]
async fn a_retry_is_answered_even_if_its_sender_has_left_in_the_meantime() {
    let app = TestApp::start().await;
    let (ada, _, conversation) = app.pair().await;
    let message = send_once(&ada, &conversation, "goodbye", "key").await;
    ada.leave(&conversation).await;
    assert_eq!(send_once(&ada, &conversation, "goodbye", "key").await, message);
    let refused = ada.refused(SEND, sending(&conversation, "one more thing", Some("new"))).await;
    assert_eq!(refused, "NOT_FOUND");
}

#[tokio::test]
async fn a_history_is_read_backwards_page_by_page() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let elsewhere = ada.start(&[&bob]).await;
    let all: Vec<_> = (1..=25).map(|number| format!("message {number}")).collect();
    for (number, body) in all.iter().enumerate() {
        let sender = if number % 3 == 0 { &bob } else { &ada };
        sender.send(&conversation, body).await;
        bob.send(&elsewhere, "not this one").await;
    }
    let (mut seen, mut before) = (Vec::new(), Value::Null);
    for (size, next, previous) in [(10, false, true), (10, true, true), (5, true, false)] {
        let (bodies, info) = page(&ada, &conversation, json!({ "last": 10, "before": before })).await;
        assert_eq!(bodies.len(), size);
        assert_eq!((&info["hasNextPage"], &info["hasPreviousPage"]), (&json!(next), &json!(previous)));
        seen.splice(0..0, bodies);
        before = info["startCursor"].clone();
        // A message that is sent meanwhile does not change the pages.
        bob.send(&conversation, "meanwhile").await;
    }
    assert_eq!(seen, all);

    // Pages also go forwards from any place.
    let (bodies, info) = page(&bob, &conversation, json!({ "first": 3, "after": before })).await;
    assert_eq!(bodies, all[1..4]);
    assert_eq!(info["hasNextPage"], true);
}

#[tokio::test]
async fn whoever_joins_later_reads_what_is_sent_from_then_on() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let carol = app.user("carol").await;
    let before = ada.send(&conversation, "before carol").await;
    bob.add(&conversation, &[&carol]).await;
    let id = json!({ "id": conversation });
    let nothing = json!({ "conversation": { "lastMessage": null, "unreadCount": 0 } });
    assert_eq!(carol.data(SUMMARY, id.clone()).await, nothing);
    let unseen = json!({ "message": null, "node": null });
    assert_eq!(carol.data(MESSAGE, json!({ "id": before })).await, unseen);

    ada.send(&conversation, "hello carol").await;
    assert_eq!(history(&carol, &conversation).await, ["hello carol"]);
    let one = json!({ "conversation": { "lastMessage": { "body": "hello carol" }, "unreadCount": 1 } });
    assert_eq!(carol.data(SUMMARY, id).await, one);
    let (bodies, info) = page(&carol, &conversation, json!({ "last": 1 })).await;
    assert_eq!((bodies.len(), &info["hasPreviousPage"]), (1, &json!(false)));
    assert_eq!(history(&bob, &conversation).await, ["before carol", "hello carol"]);
}

#[tokio::test]
async fn whoever_comes_back_reads_both_stays_and_not_the_time_between() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let first = ada.send(&conversation, "first stay").await;
    bob.leave(&conversation).await;
    let unseen = json!({ "message": null, "node": null });
    assert_eq!(bob.data(MESSAGE, json!({ "id": first })).await, unseen);

    let between = ada.send(&conversation, "between").await;
    ada.add(&conversation, &[&bob]).await;
    assert_eq!(history(&bob, &conversation).await, ["first stay"]);
    ada.send(&conversation, "second stay").await;
    assert_eq!(history(&bob, &conversation).await, ["first stay", "second stay"]);
    assert_eq!(bob.data(MESSAGE, json!({ "id": between })).await, unseen);
    assert_eq!(bob.data(MESSAGE, json!({ "id": first })).await["message"]["body"], "first stay");
    let (bodies, info) = page(&bob, &conversation, json!({ "last": 1 })).await;
    assert_eq!((bodies, &info["hasPreviousPage"]), (vec!["second stay".to_owned()], &json!(true)));
    let summary = bob.data(SUMMARY, json!({ "id": conversation })).await;
    assert_eq!(
        summary["conversation"],
        json!({ "lastMessage": { "body": "second stay" }, "unreadCount": 2 })
    );
}

#[tokio::test]
async fn outsiders_neither_send_nor_read() {
    let app = TestApp::start().await;
    let (ada, _, conversation) = app.pair().await;
    let mallory = app.user("mallory").await;
    let message = ada.send(&conversation, "between us").await;
    let refused = mallory.post(SEND, sending(&conversation, "let me in", None)).await;
    assert_eq!(code(&refused), "NOT_FOUND");
    let nowhere = sending("cnv_0123456789abcdef0123456789abcdef", "let me in", None);
    assert_eq!(mallory.post(SEND, nowhere).await, refused);
    let unseen = json!({ "message": null, "node": null });
    assert_eq!(mallory.data(MESSAGE, json!({ "id": message })).await, unseen);
    assert_eq!(history(&ada, &conversation).await, ["between us"]);
}

#[tokio::test]
async fn a_user_who_sends_too_often_is_slowed_down_and_nobody_else_is() {
    let app = TestApp::with(|setup| {
        setup.args.rate_limit = Switch::On;
        setup.args.limits.sends_per_second = 1;
    })
    .await;
    let (ada, bob, conversation) = app.pair().await;
    let mut sent = 0;
    // The burst is the rate of ten seconds, and every second that the test takes adds the rate of one.
    let refused = loop {
        let response = ada.post(SEND, sending(&conversation, "hello", None)).await;
        if response.get("errors").is_some() {
            break response;
        }
        sent += 1;
        assert!(sent < 100, "never refused");
    };
    assert!(sent >= 10, "refused after {sent}");
    assert_eq!(code(&refused), "RATE_LIMITED");
    assert!(refused["errors"][0]["extensions"]["retryAfter"].as_u64().unwrap() > 0, "{refused}");
    bob.send(&conversation, "one at a time, please").await;
    let (bodies, _) = page(&ada, &conversation, json!({ "last": 200 })).await;
    assert_eq!(bodies.len(), sent + 1);
}
