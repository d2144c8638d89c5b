//! Users whom a service makes, updates, disables and enables.

use herald::accounts::Scope;
use serde_json::{Value, json};

use crate::support::{Open, TestApp, User, code};

const UPSERT: &str = "mutation($users: [UpsertUserInput!]!) { upsertUsers(input: { users: $users }) {
    created users { id handle displayName externalId } } }";

async fn upsert(service: &User, users: Value) -> Value {
    service.post(UPSERT, json!({ "users": users })).await
}

async fn upserted(service: &User, users: Value) -> (i64, Vec<Value>) {
    let mut response = upsert(service, users).await;
    assert!(response.get("errors").is_none(), "{response}");
    let payload = response["data"]["upsertUsers"].take();
    (payload["created"].as_i64().unwrap(), payload["users"].as_array().unwrap().clone())
}

async fn set_disabled(service: &User, user: &User, disabled: bool) {
    let disable = "mutation($input: UserDisabledInput!) { setUserDisabled(input: $input) { user { id } } }";
    let data = service.data(disable, json!({ "input": { "userId": user.id, "disabled": disabled } })).await;
    assert_eq!(data["setUserDisabled"]["user"]["id"], user.id);
}

fn field(refused: &Value) -> &str {
    refused["errors"][0]["extensions"]["field"].as_str().unwrap_or_else(|| panic!("{refused}"))
}

#[tokio::test]
async fn users_are_made_once_and_then_updated() {
    let app = TestApp::start().await;
    let service = app.service("crm", &[Scope::Provision]).await;
    let two = json!([
        { "externalId": "42", "handle": "ada", "displayName": "Ada" },
        { "externalId": "Lin.Miller@example.com" }
    ]);
    let (created, users) = upserted(&service, two.clone()).await;
    assert_eq!(created, 2);
    let shown = |user: &Value| json!([user["externalId"], user["handle"], user["displayName"]]);
    assert_eq!(shown(&users[0]), json!(["42", "ada", "Ada"]));
    assert_eq!(shown(&users[1]), json!(["Lin.Miller@example.com", "lin-miller", "lin-miller"]));
    assert_eq!(upserted(&service, two).await, (0, users.clone()));

    // On another node, which has shown the user before, the changes show, too.
    let elsewhere = app.elsewhere().await;
    let reader = app.user("reader").await.at(elsewhere);
    let query = "query($id: ID!) { node(id: $id) { ... on User { handle displayName externalId } } }";
    let id = users[0]["id"].clone();
    assert_eq!(reader.data(query, json!({ "id": id })).await["node"]["handle"], "ada");
    let changes = json!([
        { "externalId": "new" },
        { "externalId": "42", "displayName": "Ada Lovelace" },
        { "externalId": "Lin.Miller@example.com", "handle": "lin" }
    ]);
    let (created, after) = upserted(&service, changes).await;
    assert_eq!(created, 1);
    assert_eq!((&after[1]["id"], &after[2]["id"]), (&users[0]["id"], &users[1]["id"]));
    assert_eq!(shown(&after[1]), json!(["42", "ada", "Ada Lovelace"]));
    assert_eq!(shown(&after[2]), json!(["Lin.Miller@example.com", "lin", "lin-miller"]));
    loop {
        let shown = reader.data(query, json!({ "id": id })).await["node"].take();
        // Others are not shown under which id another system knows a user.
        assert_eq!(shown["externalId"], Value::Null);
        if shown["displayName"] == "Ada Lovelace" {
            return;
        }
    }
}

#[tokio::test]
async fn the_external_id_is_shown_to_services_and_to_the_user_alone() {
    let app = TestApp::start().await;
    let service = app.service("crm", &[Scope::Provision, Scope::Read]).await;
    let (_, users) = upserted(&service, json!([{ "externalId": "42", "handle": "ada" }])).await;
    let query = "query($id: ID!) { node(id: $id) { ... on User { externalId } } }";
    let acting = |user: &str| service.acting_as(user);
    let bob = app.user("bob").await;
    let id = json!({ "id": users[0]["id"] });
    assert_eq!(bob.data(query, id.clone()).await["node"]["externalId"], Value::Null);
    assert_eq!(acting(&bob.id).data(query, id.clone()).await["node"]["externalId"], "42");
    assert_eq!(
        acting("external:42").data("{ viewer { externalId } }", json!({})).await["viewer"]["externalId"],
        "42"
    );
    assert_eq!(bob.data("{ viewer { externalId } }", json!({})).await["viewer"]["externalId"], Value::Null);
}

#[tokio::test]
async fn a_call_that_is_wrong_anywhere_changes_nothing_and_names_the_entry() {
    let app = TestApp::start().await;
    let service = app.service("crm", &[Scope::Provision]).await;
    let bob = app.user("bob").await;
    upserted(&service, json!([{ "externalId": "42", "handle": "ada" }])).await;
    let good = json!({ "externalId": "fresh", "handle": "fresh" });
    for (entry, expected, at) in [
        (json!({ "externalId": "1", "handle": bob.handle }), "HANDLE_TAKEN", "users[1].handle"),
        (json!({ "externalId": "1", "handle": "ada" }), "HANDLE_TAKEN", "users[1].handle"),
        (json!({ "externalId": "1", "handle": "fresh" }), "BAD_INPUT", "users[1].handle"),
        (json!({ "externalId": "fresh" }), "BAD_INPUT", "users[1].externalId"),
        (json!({ "externalId": "" }), "BAD_INPUT", "users[1].externalId"),
        (json!({ "externalId": "x".repeat(256) }), "BAD_INPUT", "users[1].externalId"),
        (json!({ "externalId": "1", "handle": "A" }), "BAD_INPUT", "users[1].handle"),
        (json!({ "externalId": "1", "displayName": " " }), "BAD_INPUT", "users[1].displayName"),
    ] {
        let refused = upsert(&service, json!([good, entry])).await;
        assert_eq!((code(&refused), field(&refused)), (expected, at), "{refused}");
        let found = bob.data("{ user(handle: \"fresh\") { id } }", json!({})).await;
        assert_eq!(found["user"], Value::Null, "{entry}");
    }
    let lacking = app.service("push", &[Scope::Send, Scope::Read]).await;
    for user in [&lacking, &bob] {
        assert_eq!(code(&upsert(user, json!([good])).await), "FORBIDDEN");
    }
}

#[tokio::test]
async fn a_thousand_users_are_made_at_once_and_not_one_more() {
    let app = TestApp::start().await;
    let service = app.service("crm", &[Scope::Provision]).await;
    let users =
        |count: usize| (0..count).map(|n| json!({ "externalId": format!("u/{n}") })).collect::<Value>();
    let refused = upsert(&service, users(1_001)).await;
    assert_eq!((code(&refused), field(&refused)), ("BAD_INPUT", "users"));
    let (created, made) = upserted(&service, users(1_000)).await;
    assert_eq!((created, made.len()), (1_000, 1_000));
    assert_eq!((&made[7]["externalId"], &made[7]["handle"]), (&json!("u/7"), &json!("u-7")));
    assert_eq!(upserted(&service, json!([])).await, (0, vec![]));
}

#[tokio::test]
async fn a_handle_that_is_made_up_gets_a_suffix_where_it_is_taken() {
    let app = TestApp::start().await;
    let service = app.service("crm", &[Scope::Provision]).await;
    // "user" four times: the ids have no letter that a handle may have.
    let users: Value = ["Å", "Ä", "Ö", "é", "è", "user"]
        .iter()
        .map(|id| {
            if *id == "user" {
                json!({ "externalId": "u", "handle": id })
            } else {
                json!({ "externalId": id })
            }
        })
        .collect();
    let (created, made) = upserted(&service, users.clone()).await;
    assert_eq!(created, 6);
    let handles: std::collections::BTreeSet<&str> =
        made.iter().map(|user| user["handle"].as_str().unwrap()).collect();
    assert_eq!(handles.len(), 6);
    assert_eq!(made[5]["handle"], "user");
    assert!(handles.iter().all(|handle| handle.starts_with("user")));
    // They stay as they are.
    assert_eq!(upserted(&service, users).await, (0, made.clone()));
}

#[tokio::test]
async fn a_disabled_user_is_shut_out_at_once_everywhere_until_they_are_enabled() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let service = app.service("crm", &[Scope::Provision]).await;
    let there = bob.at(app.elsewhere().await);
    let (mut here, mut elsewhere) = (bob.socket("desk").await, there.socket("phone").await);
    let headers = [("content-type", "application/json"), ("accept", "text/event-stream")];
    let body = json!({ "query": "subscription { events { cursor } }" }).to_string();
    let mut stream = Open::request(&there, "POST", "/graphql", &headers, &body).await;
    let sent = bob.send(&conversation, "before").await;

    set_disabled(&service, &bob, true).await;
    assert_eq!(here.closed().await.code, 4403);
    assert_eq!(elsewhere.closed().await.code, 4403);
    while stream.event().await.id.starts_with("ep") {}
    for bob in [&bob, &there] {
        assert_eq!(bob.refused("{ cursor }", json!({})).await, "UNAUTHENTICATED");
    }
    let login = "mutation($input: LoginInput!) { login(input: $input) { token } }";
    let nobody = User { token: String::new(), ..bob.clone() };
    let with = |password: &str| json!({ "input": { "handle": bob.handle, "password": password } });
    let right = "correct horse battery";
    assert_eq!(nobody.refused(login, with(right)).await, "ACCOUNT_DISABLED");
    // Whoever does not know the password does not learn it.
    assert_eq!(nobody.refused(login, with("wrong horse battery")).await, "INVALID_CREDENTIALS");

    // Nobody's messages change, and others go on.
    let status = "query($id: ID!) { message(id: $id) { body status sender { handle } } }";
    ada.mark_read(&sent).await;
    let message = ada.data(status, json!({ "id": sent })).await["message"].take();
    assert_eq!(message, json!({ "body": "before", "status": "READ", "sender": { "handle": bob.handle } }));
    let missed = ada.send(&conversation, "missed").await;
    assert_eq!(ada.data(status, json!({ "id": missed })).await["message"]["status"], "SENT");

    set_disabled(&service, &bob, true).await;
    set_disabled(&service, &bob, false).await;
    // The sessions of before stay ended.
    assert_eq!(bob.refused("{ cursor }", json!({})).await, "UNAUTHENTICATED");
    let bob = nobody.sign_in_again().await;
    bob.mark_delivered(&missed).await;
    assert_eq!(ada.data(status, json!({ "id": missed })).await["message"]["status"], "DELIVERED");
}

#[tokio::test]
async fn only_a_service_disables_and_only_somebody_who_exists() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let disable = "mutation($input: UserDisabledInput!) { setUserDisabled(input: $input) { user { id } } }";
    let input = |id: &str| json!({ "input": { "userId": id, "disabled": true } });
    assert_eq!(ada.refused(disable, input(&bob.id)).await, "FORBIDDEN");
    let service = app.service("crm", &[Scope::Provision]).await;
    for id in ["usr_00000000000000000000000000000007", "bob"] {
        assert_eq!(service.refused(disable, input(id)).await, "NOT_FOUND");
    }
    bob.data("{ cursor }", json!({})).await;
}
