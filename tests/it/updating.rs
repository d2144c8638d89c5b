//! Changing the title and the metadata of a conversation: who may, who is told, and what a user sees who has left.

use serde_json::{Value, json};

use crate::support::{TestApp, User, code};

const FOLLOW: &str = "subscription($after: Cursor) { events(after: $after) {
    __typename conversation { title metadata }
    ... on ConversationUpdated { updatedBy { handle } } ... on ConversationRenamed { title }
} }";

async fn update(user: &User, conversation: &str, mut change: Value) -> Value {
    change["conversationId"] = json!(conversation);
    let update = "mutation($input: UpdateConversationInput!) {
        updateConversation(input: $input) { conversation { title metadata } cursor } }";
    user.post(update, json!({ "input": change })).await
}

fn shown(updated: &Value) -> &Value {
    &updated["data"]["updateConversation"]["conversation"]
}

#[tokio::test]
async fn an_owner_changes_what_is_given_and_everybody_is_told() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let carol = app.user("carol").await;
    let mut bobs = bob.socket("desk").await;
    bobs.follow_after("e", FOLLOW, &ada.cursor().await).await;
    let changes = [
        (
            json!({ "title": "Tea", "metadata": { "b": 1, "a": [null] } }),
            json!({ "title": "Tea", "metadata": { "a": [null], "b": 1 } }),
        ),
        (json!({ "metadata": false }), json!({ "title": "Tea", "metadata": false })),
        (json!({ "title": null }), json!({ "title": null, "metadata": false })),
        (json!({ "metadata": null }), json!({ "title": null, "metadata": null })),
    ];
    for (change, expected) in changes {
        assert_eq!(*shown(&update(&ada, &room, change).await), expected);
        let told = bobs.next("e").await;
        let event = &told["events"];
        assert_eq!(
            (&event["__typename"], &event["conversation"]),
            (&json!("ConversationUpdated"), &expected)
        );
        assert_eq!(event["updatedBy"]["handle"], ada.handle);
    }
    let cursor = ada.cursor().await;
    for nothing in [json!({}), json!({ "title": null }), json!({ "metadata": null, "title": null })] {
        assert!(update(&ada, &room, nothing).await.get("errors").is_none());
    }
    assert_eq!(ada.cursor().await, cursor);

    assert_eq!(code(&update(&bob, &room, json!({ "title": "Mine" })).await), "FORBIDDEN");
    assert_eq!(code(&update(&carol, &room, json!({ "title": "Mine" })).await), "NOT_FOUND");
    for (field, value) in [("title", json!(" ")), ("metadata", json!("x".repeat(5_000)))] {
        let refused = update(&ada, &room, json!({ field: value })).await;
        assert_eq!(
            (code(&refused), &refused["errors"][0]["extensions"]["field"]),
            ("BAD_INPUT", &json!(field))
        );
    }
    // Whoever takes part may still rename it.
    let rename = "mutation($id: ID!) { renameConversation(input: { conversationId: $id, title: \"Ours\" }) { cursor } }";
    bob.data(rename, json!({ "id": room })).await;
}

#[tokio::test]
async fn whoever_has_left_goes_on_seeing_what_was_kept_then() {
    let mut app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let start = bob.cursor().await;
    update(&ada, &room, json!({ "title": "Then", "metadata": 1 })).await;
    bob.leave(&room).await;
    update(&ada, &room, json!({ "metadata": 2 })).await;
    let rename = "mutation($id: ID!) { renameConversation(input: { conversationId: $id, title: \"Now\" }) { cursor } }";
    ada.data(rename, json!({ "id": room })).await;
    update(&ada, &room, json!({ "title": "Later", "metadata": 3 })).await;
    app.restart().await;
    for (user, expected) in [
        (&bob, json!({ "title": "Then", "metadata": 1 })),
        (&ada, json!({ "title": "Later", "metadata": 3 })),
    ] {
        let mut socket = user.at(app.address).socket("desk").await;
        socket.follow_after("e", FOLLOW, &start).await;
        for kind in ["ConversationUpdated", "ParticipantLeft"] {
            let told = socket.next("e").await;
            assert_eq!(told["events"]["__typename"], kind);
            assert_eq!(told["events"]["conversation"], expected, "{}", user.handle);
        }
    }
}

#[tokio::test]
async fn a_conversation_is_started_with_metadata_and_a_repeated_start_compares_it() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let start = async |metadata: Value| {
        let start = "mutation($input: StartConversationInput!) {
            startConversation(input: $input) { conversation { id metadata } } }";
        let input = json!({
            "participantHandles": [bob.handle], "idempotencyKey": "k", "metadata": metadata
        });
        ada.post(start, json!({ "input": input })).await
    };
    let first = start(json!({ "topic": "tea" })).await;
    let conversation = &first["data"]["startConversation"]["conversation"];
    assert_eq!(conversation["metadata"], json!({ "topic": "tea" }));
    assert_eq!(start(json!({ "topic": "tea" })).await, first);
    for other in [json!({ "topic": "coffee" }), Value::Null] {
        assert_eq!(code(&start(other).await), "IDEMPOTENCY_KEY_REUSED");
    }
    assert_eq!(code(&start(json!("x".repeat(5_000))).await), "BAD_INPUT");
}
