//! What users do with their own accounts: name, password, sessions, and whom they block.

use serde_json::{Value, json};

use crate::support::{LoginSystem, TestApp, User, code};

const UPDATE: &str = "mutation($name: String) {
    updateProfile(input: { displayName: $name }) { user { displayName } } }";
const CHANGE: &str = "mutation($current: String!, $new: String!) {
    changePassword(input: { currentPassword: $current, newPassword: $new }) { token user { id } } }";
const SESSIONS: &str = "query($first: Int, $after: String) { sessions(first: $first, after: $after) {
    nodes { id isCurrent createdAt } pageInfo { hasNextPage endCursor } } }";
const END: &str = "mutation($id: ID!) { endSession(input: { sessionId: $id }) { ended } }";
const BLOCK: &str = "mutation($id: ID!) { blockUser(input: { userId: $id }) { user { id } } }";
const UNBLOCK: &str = "mutation($id: ID!) { unblockUser(input: { userId: $id }) { user { id } } }";
const START: &str = "mutation($handles: [String!]!) {
    startConversation(input: { participantHandles: $handles }) { cursor } }";
const PASSWORD: &str = "correct horse battery";

/// The name of `other`, as `viewer` sees it.
async fn name_of(viewer: &User, other: &User) -> String {
    let data = viewer
        .data("query($id: ID!) { node(id: $id) { ... on User { displayName } } }", json!({ "id": other.id }));
    data.await["node"]["displayName"].as_str().unwrap().to_owned()
}

/// The viewer's sessions, the newest first.
async fn sessions(viewer: &User) -> Vec<Value> {
    let data = viewer.data(SESSIONS, json!({})).await;
    data["sessions"]["nodes"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_new_name_is_shown_on_every_node() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let elsewhere = bob.at(app.elsewhere().await);
    assert_eq!(name_of(&bob, &ada).await, ada.handle);
    assert_eq!(name_of(&elsewhere, &ada).await, ada.handle);
    let data = ada.data(UPDATE, json!({ "name": "Ada, Countess" })).await;
    assert_eq!(data["updateProfile"]["user"]["displayName"], "Ada, Countess");
    assert_eq!(name_of(&bob, &ada).await, "Ada, Countess");
    // The other node looks about once a second.
    while name_of(&elsewhere, &ada).await != "Ada, Countess" {}
    let data = ada.data(UPDATE, json!({})).await;
    assert_eq!(data["updateProfile"]["user"]["displayName"], "Ada, Countess");
    for name in ["", " ", "two\nlines"] {
        assert_eq!(ada.refused(UPDATE, json!({ "name": name })).await, "BAD_INPUT", "{name:?}");
    }
}

#[tokio::test]
async fn a_new_password_ends_all_sessions_but_the_one_it_begins() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let phone = ada.sign_in_again().await;
    let mut own_socket = ada.socket("laptop").await;
    let mut socket = phone.at(app.elsewhere().await).socket("phone").await;
    let wrong = json!({ "current": "a wrong password", "new": "another password" });
    assert_eq!(ada.refused(CHANGE, wrong).await, "INVALID_CREDENTIALS");
    let short = ada.post(CHANGE, json!({ "current": PASSWORD, "new": "short" })).await;
    assert_eq!(
        (code(&short), &short["errors"][0]["extensions"]["field"]),
        ("BAD_INPUT", &json!("newPassword"))
    );
    assert_eq!(sessions(&ada).await.len(), 2, "a refusal ends nothing");
    let data = ada.data(CHANGE, json!({ "current": PASSWORD, "new": "another password" })).await;
    let token = data["changePassword"]["token"].as_str().unwrap().to_owned();
    assert_eq!(own_socket.closed().await.code, 4403);
    assert_eq!(socket.closed().await.code, 4403);
    for old in [&ada, &phone] {
        assert_eq!(old.refused("{ cursor }", json!({})).await, "UNAUTHENTICATED");
    }
    let renewed = User { token, ..ada.clone() };
    assert_eq!(sessions(&renewed).await.len(), 1);
    let login = "mutation($h: String!, $p: String!) { login(input: { handle: $h, password: $p }) { token } }";
    let refused = app.post(login, json!({ "h": ada.handle, "p": PASSWORD })).await;
    assert_eq!(code(&refused), "INVALID_CREDENTIALS");
    let answer = app.post(login, json!({ "h": ada.handle, "p": "another password" })).await;
    assert!(answer["data"]["login"]["token"].is_string(), "{answer}");
}

#[tokio::test]
async fn a_user_of_another_login_system_has_no_password_and_no_sessions_here() {
    let login_system = LoginSystem::new();
    let app = TestApp::with(|setup| login_system.adapt(setup)).await;
    let ada = User { token: login_system.token("ada"), ..app.user("somebody").await };
    let change = json!({ "current": PASSWORD, "new": "another password" });
    assert_eq!(ada.refused(CHANGE, change).await, "FORBIDDEN");
    assert!(sessions(&ada).await.is_empty());
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let phone = ada.sign_in_again().await;
    let tablet = ada.sign_in_again().await;
    let listed = sessions(&phone).await;
    let current: Vec<_> = listed.iter().map(|session| session["isCurrent"].as_bool().unwrap()).collect();
    assert_eq!(current, [false, true, false], "the newest first");
    let mut paged = Vec::new();
    let mut after = Value::Null;
    loop {
        let data = phone.data(SESSIONS, json!({ "first": 1, "after": after })).await;
        paged.extend(data["sessions"]["nodes"].as_array().unwrap().clone());
        after = data["sessions"]["pageInfo"]["endCursor"].clone();
        if data["sessions"]["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(paged, listed);
    let mut socket = tablet.socket("tablet").await;
    let id = &listed[0]["id"];
    // Nobody ends the sessions of others.
    assert_eq!(bob.data(END, json!({ "id": id })).await["endSession"]["ended"], false);
    assert_eq!(phone.data(END, json!({ "id": id })).await["endSession"]["ended"], true);
    assert_eq!(socket.closed().await.code, 4403);
    assert_eq!(phone.data(END, json!({ "id": id })).await["endSession"]["ended"], false);
    assert_eq!(sessions(&phone).await, listed[1..]);
    assert_eq!(phone.refused(END, json!({ "id": "nonsense" })).await, "NOT_FOUND");
    assert_eq!(phone.refused(END, json!({ "id": bob.id })).await, "NOT_FOUND");
}

#[tokio::test]
async fn somebody_who_is_blocked_can_neither_start_a_conversation_nor_add() {
    let app = TestApp::start().await;
    let (ada, eve, bob) = (app.user("ada").await, app.user("eve").await, app.user("bob").await);
    let shared = eve.start(&[&ada]).await;
    let other = eve.start(&[&bob]).await;
    for _ in 0..2 {
        assert_eq!(ada.data(BLOCK, json!({ "id": eve.id })).await["blockUser"]["user"]["id"], eve.id);
    }
    let refused = eve.post(START, json!({ "handles": [bob.handle, ada.handle] })).await;
    let message = refused["errors"][0]["message"].as_str().unwrap();
    assert!(code(&refused) == "BAD_INPUT" && message.contains(&ada.id), "{refused}");
    let add = "mutation($id: ID!, $handles: [String!]!) {
        addParticipants(input: { conversationId: $id, handles: $handles }) { cursor } }";
    assert_eq!(eve.refused(add, json!({ "id": other, "handles": [ada.handle] })).await, "BAD_INPUT");
    // What both take part in stays as it is, and the one who blocks may write to the other.
    eve.send(&shared, "still here").await;
    ada.start(&[&eve]).await;
    bob.start(&[&ada, &eve]).await;
    ada.data(UNBLOCK, json!({ "id": eve.id })).await;
    ada.data(UNBLOCK, json!({ "id": eve.id })).await;
    eve.start(&[&ada]).await;
}

#[tokio::test]
async fn what_was_there_before_a_block_is_found_and_whoever_blocks_can_be_removed() {
    let app = TestApp::start().await;
    let (ada, eve, bob) = (app.user("ada").await, app.user("eve").await, app.user("bob").await);
    let start =
        "mutation($handles: [String!]!, $key: String, $distinct: Boolean) { startConversation(input: {
        participantHandles: $handles, idempotencyKey: $key, distinct: $distinct }) { conversation { id } } }";
    let keyed = json!({ "handles": [ada.handle], "key": "k" });
    let distinct = json!({ "handles": [ada.handle], "distinct": true });
    let first = eve.data(start, keyed.clone()).await;
    let one = eve.data(start, distinct.clone()).await;
    let group = eve.start(&[&ada, &bob]).await;
    ada.data(BLOCK, json!({ "id": eve.id })).await;
    assert_eq!(eve.data(start, keyed).await, first);
    assert_eq!(eve.data(start, distinct).await, one);
    // Whoever takes part already stays, so nobody is added.
    eve.add(&group, &[&ada]).await;
    let remove = "mutation($id: ID!, $handles: [String!]!) {
        removeParticipants(input: { conversationId: $id, handles: $handles }) { cursor } }";
    eve.data(remove, json!({ "id": group, "handles": [ada.handle] })).await;
    let again = "mutation($id: ID!, $handles: [String!]!) {
        addParticipants(input: { conversationId: $id, handles: $handles }) { cursor } }";
    assert_eq!(eve.refused(again, json!({ "id": group, "handles": [ada.handle] })).await, "BAD_INPUT");
}

#[tokio::test]
async fn those_whom_one_blocks_are_listed() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let mut blocked = Vec::new();
    for _ in 0..3 {
        let other = app.user("eve").await;
        ada.data(BLOCK, json!({ "id": other.id })).await;
        blocked.push(other.id);
    }
    let list =
        "query($last: Int) { blockedUsers(last: $last) { nodes { id } pageInfo { hasPreviousPage } } }";
    let ids = |data: &Value| {
        let nodes = data["blockedUsers"]["nodes"].as_array().unwrap();
        nodes.iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&ada.data(list, json!({})).await), blocked);
    let data = ada.data(list, json!({ "last": 2 })).await;
    assert_eq!(ids(&data), blocked[1..]);
    assert_eq!(data["blockedUsers"]["pageInfo"]["hasPreviousPage"], true);
    assert_eq!(ada.refused(BLOCK, json!({ "id": ada.id })).await, "BAD_INPUT");
    for id in ["nonsense", "usr_00000000000000000000000000000007"] {
        assert_eq!(ada.refused(BLOCK, json!({ "id": id })).await, "NOT_FOUND");
    }
    assert_eq!(
        app.post(BLOCK, json!({ "id": ada.id })).await["errors"][0]["extensions"]["code"],
        "UNAUTHENTICATED"
    );
}
