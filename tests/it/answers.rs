//! How large an answer may be, and how many fields the subscriptions of a user may select.

use serde_json::json;

use crate::support::{TestApp, User, code};

const NESTED: &str = "query($id: ID!) { conversation(id: $id) { messages(last: 20) { nodes { \
     conversation { messages(last: 20) { nodes { body } } } } } } }";

/// Sends messages of 40 KB in all bytes, in four-byte characters.
async fn send_large(user: &User, conversation: &str, times: usize) {
    for _ in 0..times {
        user.send(conversation, &"😀".repeat(10_000)).await;
    }
}

#[tokio::test]
async fn an_answer_ends_with_an_error_when_it_grows_too_large() {
    let app = TestApp::with(|setup| setup.args.limits.max_answer_bytes = 1_000_000).await;
    let (ada, bob, conversation) = app.pair().await;
    send_large(&ada, &conversation, 20).await;
    let one = "query($id: ID!) { conversation(id: $id) { messages(last: 20) { nodes { body } } } }";
    let data = ada.data(one, json!({ "id": conversation })).await;
    assert_eq!(data["conversation"]["messages"]["nodes"].as_array().unwrap().len(), 20);

    let response = ada.post(NESTED, json!({ "id": conversation })).await;
    assert_eq!(code(&response), "LIMIT_EXCEEDED");
    assert_eq!((&response["data"], response["errors"].as_array().unwrap().len()), (&json!(null), 1));

    // A socket gets the same error, and stays open.
    let mut phone = bob.socket("phone").await;
    phone.subscribe("1", NESTED, json!({ "id": conversation })).await;
    let told = phone.receive().await;
    assert_eq!((&told["type"], code(&told["payload"])), (&json!("next"), "LIMIT_EXCEEDED"));
    phone.completed("1").await;

    // An event that is too large is an error, too, and the subscription goes on.
    let event = "subscription($after: Cursor) { messageSent(after: $after) { message { conversation { messages(last: 20) { nodes { \
         conversation { messages(last: 6) { nodes { body } } } } } } } } }";
    phone.follow("2", event).await;
    for _ in 0..2 {
        ada.send(&conversation, "small").await;
        let told = phone.receive().await;
        assert_eq!((&told["type"], code(&told["payload"])), (&json!("next"), "LIMIT_EXCEEDED"));
    }
}

#[tokio::test]
async fn an_answer_that_is_all_keys_ends_too() {
    let app = TestApp::with(|setup| setup.args.limits.max_answer_bytes = 100_000).await;
    let (ada, _bob, conversation) = app.pair().await;
    for _ in 0..20 {
        ada.send(&conversation, "x").await;
    }
    let query = format!(
        "query($id: ID!) {{ conversation(id: $id) {{ messages {{ nodes {{ {}: id }} }} }} }}",
        "x".repeat(10_000)
    );
    assert_eq!(code(&ada.post(&query, json!({ "id": conversation })).await), "LIMIT_EXCEEDED");
}

#[tokio::test]
async fn what_is_read_for_an_answer_is_bounded_too() {
    let app = TestApp::with(|setup| setup.args.limits.max_answer_bytes = 100_000).await;
    let (ada, _bob, conversation) = app.pair().await;
    send_large(&ada, &conversation, 12).await;
    let ids = |pages: usize| {
        let page = "messages(last: 12) { nodes { id } }";
        let aliased: Vec<_> =
            (0..pages).map(|n| format!("p{n}: {}", page.replace("12", &(12 - n % 2).to_string()))).collect();
        format!("query($id: ID!) {{ conversation(id: $id) {{ {} }} }}", aliased.join(" "))
    };
    assert_eq!(code(&ada.post(&ids(4), json!({ "id": conversation })).await), "LIMIT_EXCEEDED");
}

#[tokio::test]
async fn the_different_subscriptions_of_a_user_are_bounded_and_let_go() {
    let app = TestApp::with(|setup| setup.args.limits.max_subscribed_fields = 40).await;
    let (ada, bob, conversation) = app.pair().await;
    let mut phone = ada.socket("phone").await;
    let different = |n: usize| {
        format!(
            "subscription($after: Cursor) {{ messageSent(after: $after) {{ cursor a{n}: at message {{ body }} }} }}"
        )
    };
    for n in 0..8 {
        phone.follow(&n.to_string(), &different(n)).await;
    }
    phone.subscribe("8", &different(8), json!({})).await;
    assert_eq!(phone.refused("8").await, "LIMIT_EXCEEDED");
    // The same subscription again costs nothing more, also on another socket and when it is written in another way.
    let mut laptop = ada.socket("laptop").await;
    laptop.follow("1", "subscription X($after: Cursor) { messageSent(after: $after) { cursor a1: at ...F } } fragment F on MessageSent { message { body } }").await;
    bob.send(&conversation, "hello").await;
    assert_eq!(laptop.next("1").await["messageSent"]["message"]["body"], "hello");
    for _ in 0..8 {
        assert_eq!(phone.receive().await["type"], "next");
    }
    // A subscription that ends makes room for another.
    phone.send(json!({ "type": "complete", "id": "0" })).await;
    phone.follow("8", &different(8)).await;
    // Another user has limits of their own.
    let mut other = bob.socket("phone").await;
    other.follow("1", &different(9)).await;
}

#[tokio::test]
async fn what_an_event_may_cost_in_the_subscriptions_of_a_user_is_bounded() {
    let app = TestApp::start().await;
    let (ada, ..) = app.pair().await;
    let mut phone = ada.socket("phone").await;
    let nested = "subscription { messageSent { message { conversation { messages(last: 200) { nodes { conversation { \
         messages(last: 200) { nodes { id } } } } } } } } }";
    phone.subscribe("1", nested, json!({})).await;
    assert_eq!(phone.refused("1").await, "LIMIT_EXCEEDED");
}

#[tokio::test]
async fn a_page_without_a_size_has_the_size_that_the_operator_sets_and_costs_it() {
    let app = TestApp::with(|setup| {
        setup.args.limits.page_size = 3;
        setup.args.limits.max_page_size = 20;
        setup.args.limits.max_complexity = 120;
    })
    .await;
    let (ada, bob, conversation) = app.pair().await;
    let mut phone = ada.socket("phone").await;
    phone
        .follow("1", "subscription($after: Cursor) { statusChanged(after: $after) { messages { body } } }")
        .await;
    let mut last = String::new();
    for n in 0..5 {
        last = ada.send(&conversation, &n.to_string()).await;
    }
    bob.mark_read(&last).await;
    let told = phone.next("1").await;
    assert_eq!(told["statusChanged"]["messages"], json!([{ "body": "4" }, { "body": "3" }, { "body": "2" }]));
    let page = "query($id: ID!) { conversation(id: $id) { messages { nodes { body } } } }";
    let data = ada.data(page, json!({ "id": conversation })).await;
    assert_eq!(data["conversation"]["messages"]["nodes"].as_array().unwrap().len(), 3);
    let nested = |size: &str| {
        format!("{{ conversations{size} {{ nodes {{ messages{size} {{ nodes {{ participants{size} {{ nodes {{ joinedAt }} }} }} }} }} }} }}")
            .replace("nodes { participants", "nodes { conversation { participants")
            .replace("joinedAt } } } }", "joinedAt } } } } }")
    };
    assert!(ada.post(&nested(""), json!({})).await.get("errors").is_none());
    assert_eq!(code(&ada.post(&nested("(first: 10)"), json!({})).await), "LIMIT_EXCEEDED");
}

// What clients keep is read with a conversation, and of what people keep for themselves all is read.
#[tokio::test]
async fn metadata_counts_where_the_document_does_not_ask_for_it() {
    let app = TestApp::with(|setup| {
        setup.args.limits.max_message_chars = 100;
        setup.args.limits.max_answer_bytes = 10_000;
    })
    .await;
    let (ada, _, conversation) = app.pair().await;
    let metadata = "x".repeat(3_900);
    for keep in [
        "mutation($id: ID!, $metadata: JSON) {
            updateConversation(input: { conversationId: $id, metadata: $metadata }) { cursor } }",
        "mutation($id: ID!, $metadata: JSON) {
            updateOwnParticipation(input: { conversationId: $id, metadata: $metadata }) { cursor } }",
    ] {
        ada.data(keep, json!({ "id": conversation, "metadata": metadata })).await;
    }
    for field in ["createdAt", "own { mutedUntil }"] {
        let times = |times| {
            let fields = (0..times).map(|n| format!("a{n}: conversation(id: $id) {{ {field} }}"));
            format!("query($id: ID!) {{ {} }}", fields.collect::<Vec<_>>().join(" "))
        };
        ada.data(&times(5), json!({ "id": conversation })).await;
        let response = ada.post(&times(6), json!({ "id": conversation })).await;
        assert_eq!(code(&response), "LIMIT_EXCEEDED", "{field}");
    }
}
