//! Users who are erased.

use std::time::Duration;

use herald::accounts::Scope;
use herald::log::{DatabaseOptions, check};
use serde_json::{Value, json};

use crate::support::{TestApp, User, code};

const ERASE: &str = "mutation($id: ID!) { eraseUser(input: { userId: $id }) {
    messagesRedacted cursor user { id handle displayName } } }";
const SEND: &str = "mutation($id: ID!, $body: String!, $key: String, $kept: JSON) {
    sendMessage(input: { conversationId: $id, body: $body, idempotencyKey: $key, metadata: $kept }) {
        message { id } } }";

/// What stands in everything that the erased user wrote.
const SECRET: &str = "perfluorinated-marmalade";

async fn said(viewer: &User, conversation: &str) -> Vec<(String, String)> {
    let query =
        "query($id: ID!) { conversation(id: $id) { messages { nodes { body sender { displayName } } } } }";
    let data = viewer.data(query, json!({ "id": conversation })).await;
    let nodes = data["conversation"]["messages"]["nodes"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    nodes.iter().map(|node| (text(&node["body"]), text(&node["sender"]["displayName"]))).collect()
}

#[tokio::test]
async fn of_a_user_who_is_erased_only_an_id_is_left() {
    let mut app = TestApp::start().await;
    let service = app.service("duty", &[Scope::Provision]).await;
    let (ada, bob) = (app.user(SECRET).await, app.user("bob").await);
    let name = "mutation($name: String) { updateProfile(input: { displayName: $name }) { user { id } } }";
    ada.data(name, json!({ "name": format!("Ada {SECRET}") })).await;
    let (open, left) = (ada.start(&[&bob]).await, ada.start(&[&bob]).await);
    for (conversation, key) in [(&open, "a"), (&left, "b")] {
        for n in 0..3 {
            let key = format!("{SECRET}-{key}-{n}");
            let variables = json!({ "id": conversation, "body": format!("{n} {SECRET}"), "key": key,
                "kept": { "draft": SECRET } });
            ada.data(SEND, variables).await;
        }
    }
    bob.send(&open, "mine stays").await;
    let own = "mutation($id: ID!, $kept: JSON) {
        updateOwnParticipation(input: { conversationId: $id, metadata: $kept }) { cursor } }";
    ada.data(own, json!({ "id": open, "kept": { "note": SECRET } })).await;
    ada.leave(&left).await;
    let mut socket = ada.socket("phone").await;
    let mut follower = bob.socket("desk").await;
    let events = "subscription($after: Cursor) { events(after: $after) { __typename
        ... on MessageRedacted { message { body redactedAt } redactedBy { id } } ... on ParticipantLeft { user { id } } } }";
    follower.follow("e", events).await;

    let erased = service.data(ERASE, json!({ "id": ada.id })).await["eraseUser"].take();
    assert_eq!((&erased["user"]["id"], &erased["messagesRedacted"]), (&json!(ada.id), &json!(6)));
    assert_eq!(erased["user"]["displayName"], "Erased user");
    assert!(erased["user"]["handle"].as_str().unwrap().starts_with("erased~"));
    assert_eq!(socket.closed().await.code, 4403);
    assert_eq!(follower.next("e").await["events"]["user"]["id"], ada.id);
    for _ in 0..6 {
        let event = follower.next("e").await["events"].take();
        assert_eq!((&event["message"]["body"], &event["redactedBy"]["id"]), (&json!(""), &json!(ada.id)));
    }
    let nobody = (String::new(), "Erased user".to_owned());
    assert_eq!(said(&bob, &open).await[..3], vec![nobody.clone(); 3]);
    assert_eq!(said(&bob, &open).await[3].0, "mine stays");
    assert_eq!(said(&bob, &left).await, vec![nobody; 3]);
    assert_eq!(ada.refused("{ cursor }", json!({})).await, "UNAUTHENTICATED");
    let login = "mutation($h: String!) { login(input: { handle: $h, password: \"correct horse battery\" }) { token } }";
    assert_eq!(code(&app.post(login, json!({ "h": ada.handle })).await), "INVALID_CREDENTIALS");
    // To say it again changes nothing.
    let again = service.data(ERASE, json!({ "id": ada.id })).await["eraseUser"].take();
    assert_eq!((&again["messagesRedacted"], &again["user"]), (&json!(0), &erased["user"]));
    let url = app.database.url.clone();
    check(&DatabaseOptions { url, readers: 1, patience: Duration::from_secs(5), observer: None })
        .await
        .unwrap();
    drop((socket, follower));
    app.stop().await;
    let Some(file) = app.database.file() else { return };
    for path in std::fs::read_dir(file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = std::fs::read(&path).unwrap_or_default();
        let is_left = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        assert!(!is_left, "{}", path.display());
    }
}

#[tokio::test]
async fn only_services_erase_and_only_users_who_exist() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    assert_eq!(ada.refused(ERASE, json!({ "id": ada.id })).await, "FORBIDDEN");
    let reader = app.service("reader", &[Scope::Read]).await;
    assert_eq!(reader.refused(ERASE, json!({ "id": ada.id })).await, "FORBIDDEN");
    let service = app.service("duty", &[Scope::Provision]).await;
    for id in ["nonsense", "usr_00000000000000000000000000000007"] {
        assert_eq!(service.refused(ERASE, json!({ "id": id })).await, "NOT_FOUND");
    }
    assert!(!ada.cursor().await.is_empty());
}

#[tokio::test]
async fn nobody_keeps_a_user_from_being_erased_by_taking_a_handle() {
    let app = TestApp::start().await;
    let service = app.service("duty", &[Scope::Provision]).await;
    let ada = app.user("ada").await;
    let digits: String = ada.id.chars().filter(char::is_ascii_hexdigit).collect();
    app.user(&format!("erased-{}", &digits[digits.len() - 12..])).await;
    let erased = service.data(ERASE, json!({ "id": ada.id })).await["eraseUser"].take();
    let handle = erased["user"]["handle"].as_str().unwrap();
    let register = "mutation($input: RegisterInput!) { register(input: $input) { user { id } } }";
    let input = json!({ "handle": handle, "displayName": "Ada again", "password": "correct horse battery" });
    assert_eq!(code(&app.post(register, json!({ "input": input })).await), "BAD_INPUT");
    assert_eq!(service.data(ERASE, json!({ "id": ada.id })).await["eraseUser"]["user"]["handle"], handle);
}

#[tokio::test]
async fn nothing_brings_back_who_was_erased_and_nobody_invites_them() {
    let app = TestApp::start().await;
    let service = app.service("duty", &[Scope::Provision, Scope::Send]).await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let conversation = ada.start(&[&bob]).await;
    let erased = service.data(ERASE, json!({ "id": ada.id })).await["eraseUser"].take();
    let handle = erased["user"]["handle"].as_str().unwrap();

    let enable =
        "mutation($id: ID!) { setUserDisabled(input: { userId: $id, disabled: false }) { user { id } } }";
    assert_eq!(service.refused(enable, json!({ "id": ada.id })).await, "NOT_FOUND");
    let acting = service.acting_as(&ada.id);
    assert_eq!(code(&acting.post("{ viewer { id } }", json!({})).await), "ACCOUNT_DISABLED");

    let start = "mutation($h: [String!]!, $distinct: Boolean) {
        startConversation(input: { participantHandles: $h, distinct: $distinct }) { conversation { id } } }";
    for distinct in [false, true] {
        let refused = bob.refused(start, json!({ "h": [handle], "distinct": distinct })).await;
        assert_eq!(refused, "BAD_INPUT");
    }
    let add = "mutation($id: ID!, $h: [String!]!) {
        addParticipants(input: { conversationId: $id, handles: $h }) { conversation { id } } }";
    assert_eq!(bob.refused(add, json!({ "id": conversation, "h": [handle] })).await, "BAD_INPUT");
    let found = bob.data("query($h: String!) { user(handle: $h) { id } }", json!({ "h": handle })).await;
    assert_eq!(found["user"], json!(null));
}
