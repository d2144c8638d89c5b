//! Renaming a conversation: who may do it, who is told, and which title a user sees who has left.

use serde_json::{Value, json};

use crate::support::{TestApp, User};

const FOLLOW: &str = "subscription($after: Cursor) { events(after: $after) {
    __typename conversation { title } ... on ConversationRenamed { title renamedBy { handle } }
} }";

async fn rename(user: &User, conversation: &str, title: Option<&str>) -> Value {
    let rename = "mutation($input: RenameConversationInput!) {
        renameConversation(input: $input) { conversation { title } cursor } }";
    user.post(rename, json!({ "input": { "conversationId": conversation, "title": title } })).await
}

fn title(renamed: &Value) -> &Value {
    &renamed["data"]["renameConversation"]["conversation"]["title"]
}

#[tokio::test]
async fn everybody_in_it_is_told_but_the_connection_that_did_it() {
    let app = TestApp::start().await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let conversation = ada.start(&[&bob]).await;
    let start = ada.cursor().await;
    let (mut adas, mut bobs) = (ada.socket("desk").await, bob.socket("desk").await);
    adas.follow_after("e", FOLLOW, &start).await;
    bobs.follow_after("e", FOLLOW, &start).await;

    assert_eq!(title(&rename(&ada.on("desk"), &conversation, Some("Tea")).await), "Tea");
    let told = bobs.next("e").await;
    assert_eq!(told["events"]["__typename"], "ConversationRenamed");
    assert_eq!(
        (&told["events"]["title"], &told["events"]["conversation"]["title"]),
        (&json!("Tea"), &json!("Tea"))
    );
    assert_eq!(told["events"]["renamedBy"]["handle"], ada.handle);
    assert_eq!(title(&rename(&bob, &conversation, None).await), &Value::Null);
    // The connection that renamed it first receives an event of somebody else.
    let told = adas.next("e").await;
    assert_eq!(
        (&told["events"]["title"], &told["events"]["renamedBy"]["handle"]),
        (&Value::Null, &json!(bob.handle))
    );

    // A user who takes no part learns nothing of it. A rename that changes nothing is not an event.
    let refused = rename(&carol, &conversation, Some("Mine")).await;
    assert_eq!(crate::support::code(&refused), "NOT_FOUND");
    let cursor = ada.cursor().await;
    assert_eq!(title(&rename(&ada, &conversation, None).await), &Value::Null);
    assert_eq!(ada.cursor().await, cursor);
    for wrong in [" ".to_owned(), "x".repeat(1_000)] {
        assert_eq!(crate::support::code(&rename(&ada, &conversation, Some(&wrong)).await), "BAD_INPUT");
    }
}

#[tokio::test]
async fn a_title_is_kept_and_moves_its_conversation_up_the_list() {
    let mut app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let (first, second) = (ada.start(&[&bob]).await, ada.start(&[&bob]).await);
    rename(&bob, &first, Some("Tea \u{1f375} \"at four\"")).await;
    app.restart().await;
    let ada = ada.at(app.address);
    let list = ada.data("{ conversations(first: 5) { nodes { id title } } }", json!({})).await;
    let expected = json!([
        { "id": first, "title": "Tea \u{1f375} \"at four\"" },
        { "id": second, "title": null }
    ]);
    assert_eq!(list["conversations"]["nodes"], expected);
}

#[tokio::test]
async fn whoever_has_left_goes_on_seeing_the_title_of_then() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let conversation = ada.start(&[&bob]).await;
    let start = bob.cursor().await;
    rename(&ada, &conversation, Some("Before")).await;
    bob.leave(&conversation).await;
    rename(&ada, &conversation, Some("After")).await;
    rename(&ada, &conversation, Some("Later")).await;

    let mut socket = bob.socket("desk").await;
    socket.follow_after("e", FOLLOW, &start).await;
    let (renamed, left) = (socket.next("e").await, socket.next("e").await);
    assert_eq!(
        (&renamed["events"]["title"], &left["events"]["__typename"]),
        (&json!("Before"), &json!("ParticipantLeft"))
    );
    for told in [&renamed, &left] {
        assert_eq!(told["events"]["conversation"]["title"], "Before", "{told}");
    }
    // A participant sees the present title with every event, also with an old one.
    let mut socket = ada.socket("desk").await;
    socket.follow_after("e", FOLLOW, &start).await;
    assert_eq!(socket.next("e").await["events"]["conversation"]["title"], "Later");
}
