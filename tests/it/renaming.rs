//! A conversation is given another title: who may, who is told, and what whoever has left goes on seeing.

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
    // The first that the connection which renamed it is told of is what somebody else did.
    let told = adas.next("e").await;
    assert_eq!(
        (&told["events"]["title"], &told["events"]["renamedBy"]["handle"]),
        (&Value::Null, &json!(bob.handle))
    );

    // Whoever takes no part in it learns nothing of it, and what changes nothing is no event.
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
    // Whoever is still in it sees what it is called now, wherever the event is from.
    let mut socket = ada.socket("desk").await;
    socket.follow_after("e", FOLLOW, &start).await;
    assert_eq!(socket.next("e").await["events"]["conversation"]["title"], "Later");
}
