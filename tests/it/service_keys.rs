//! Service keys: how an operator makes them, what they open, and how they end.

use crate::command_line::on_database;
use crate::support::{Socket, TestApp, User, code, request};
use herald::accounts::Scope;
use serde_json::{Value, json};

const REPORT: &str = "mutation($input: UndeliverableInput!) {
    reportUndeliverable(input: $input) { message { id } cursor } }";

/// A report about nothing: it is refused with `NOT_FOUND` once the caller may report at all.
async fn report(user: &User) -> Value {
    let input = json!({ "messageId": "msg_", "userId": "usr_", "reason": "gone" });
    user.post(REPORT, json!({ "input": input })).await
}

fn message(refused: &Value) -> &str {
    refused["errors"][0]["message"].as_str().unwrap()
}

/// Runs a command about keys: what it printed on standard output, and on standard error.
async fn key(app: &TestApp, args: &[&str]) -> (bool, String, String) {
    on_database(app, "key", args).await
}

#[tokio::test]
async fn an_operator_makes_lists_and_revokes_keys_while_herald_serves() {
    let app = TestApp::start().await;
    let (succeeded, printed, _) = key(&app, &["add", "crm", "--scope", "send", "--scope", "read"]).await;
    let token = printed.strip_suffix('\n').unwrap();
    assert!(succeeded && token.starts_with("hsk_") && token.len() == 47, "{printed:?}");
    let nobody = app.service("other", &[Scope::Provision]).await;
    let crm = User { token: token.to_owned(), ..nobody };
    assert_eq!(code(&report(&crm).await), "NOT_FOUND");

    let (succeeded, _, said) = key(&app, &["add", "crm", "--scope", "read"]).await;
    assert!(!succeeded && said.contains("revoke it first"), "{said}");
    let (succeeded, _, said) = key(&app, &["add", "a b", "--scope", "read"]).await;
    assert!(!succeeded && said.contains("must be 1 to 64"), "{said}");
    let (succeeded, _, said) = key(&app, &["add", "x", "--scope", "everything"]).await;
    assert!(!succeeded && said.contains("provision, send or read"), "{said}");
    let (succeeded, _, said) = key(&app, &["add", "x"]).await;
    assert!(!succeeded && said.contains("--scope"), "{said}");

    let (succeeded, _, said) = key(&app, &["revoke", "crm"]).await;
    assert!(succeeded && said.contains("Revoked"), "{said}");
    let (succeeded, _, said) = key(&app, &["revoke", "crm"]).await;
    assert!(!succeeded && said.contains("There is no such valid key"), "{said}");
    // The name is free again.
    assert!(key(&app, &["add", "crm", "--scope", "read"]).await.0);
    let (_, listed, _) = key(&app, &["list"]).await;
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 3, "{listed}");
    assert!(lines[0].starts_with("crm: send read, made ") && lines[0].contains("revoked "), "{listed}");
    assert!(lines[1].starts_with("other: provision, made ") && !lines[1].contains("revoked"), "{listed}");
    assert!(!listed.contains("hsk_"));
}

#[tokio::test]
async fn a_scope_that_is_missing_is_named_and_a_user_is_told_that_it_is_for_services() {
    let app = TestApp::start().await;
    let service = app.service("crm", &[Scope::Read]).await;
    let refused = report(&service).await;
    assert_eq!(code(&refused), "FORBIDDEN");
    assert!(message(&refused).contains("lacks the scope `send`"), "{refused}");
    let ada = app.user("ada").await;
    let refused = report(&ada).await;
    assert_eq!(code(&refused), "FORBIDDEN");
    assert!(message(&refused).contains("for services only"), "{refused}");
    assert_eq!(code(&report(&User { token: String::new(), ..ada }).await), "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_service_that_acts_for_nobody_has_no_viewer() {
    let app = TestApp::start().await;
    let service = app.service("crm", &[Scope::Read, Scope::Send, Scope::Provision]).await;
    let data = service.data("{ viewer { id } cursor }", json!({})).await;
    assert_eq!(data["viewer"], Value::Null);
    let mutation = "mutation { leaveConversation(input: { conversationId: \"cnv_00000000000000000000000000000007\" }) { cursor } }";
    for operation in
        ["{ conversations(first: 1) { nodes { id } } }", "{ node(id: \"usr_\") { id } }", mutation]
    {
        let refused = service.post(operation, json!({})).await;
        assert_eq!(
            (code(&refused), message(&refused).contains("`X-Act-As`")),
            ("BAD_INPUT", true),
            "{refused}"
        );
    }
    let mut socket = service.socket("desk").await;
    socket.subscribe("e", "subscription { events { cursor } }", json!({})).await;
    assert_eq!(socket.refused("e").await, "BAD_INPUT");
}

#[tokio::test]
async fn a_key_that_is_malformed_unknown_or_in_a_cookie_opens_nothing() {
    let app = TestApp::start().await;
    let service = app.service("crm", &[Scope::Read]).await;
    let (begin, end) = service.token.split_at(10);
    let other = format!("{begin}{}", end.chars().rev().collect::<String>());
    for token in ["hsk_", "hsk_short", "hsk_!", &service.token[1..], &other, &format!("{}A", service.token)] {
        let bearer = format!("Bearer {token}");
        let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
        let body = json!({ "query": "{ cursor }" }).to_string();
        let reply = app.request("POST", "/graphql", &headers, body.as_bytes()).await;
        assert_eq!((reply.status, code(&reply.json())), (401, "UNAUTHENTICATED"), "{token}");
        let mut socket = app.socket().await;
        let payload = json!({ "authorization": bearer });
        socket.send(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.closed().await.code, 4403, "{token}");
    }
    let cookie = format!("herald_session={}", service.token);
    let headers = [("content-type", "application/json"), ("cookie", cookie.as_str())];
    let body = json!({ "query": REPORT, "variables": { "input": {
        "messageId": "msg_", "userId": "usr_", "reason": "gone" } } });
    let reply = request(app.address, "POST", "/graphql", &headers, body.to_string().as_bytes()).await;
    assert_eq!(code(&reply.json()), "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_revoked_key_ends_what_was_opened_with_it_on_every_node() {
    let app = TestApp::start().await;
    let service = app.service("crm", &[Scope::Send]).await;
    let there = service.at(app.elsewhere().await);
    let (mut here, mut elsewhere) = (service.socket("desk").await, there.socket("desk").await);
    let authorization = format!("Bearer {}", service.token);
    let mut by_header =
        Socket::connect(app.address, &[("authorization", authorization.as_str())]).await.unwrap();
    by_header.send(json!({ "type": "connection_init" })).await;
    assert_eq!(by_header.receive().await["type"], "connection_ack");
    app.revoke("crm").await;
    for socket in [&mut here, &mut elsewhere, &mut by_header] {
        assert_eq!(socket.closed().await.code, 4403);
    }
    for service in [&service, &there] {
        assert_eq!(code(&report(service).await), "UNAUTHENTICATED");
    }
}
