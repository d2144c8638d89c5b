//! Documents that a request names by their hash: clients persist them, or the operator trusts them from the start.

use std::path::PathBuf;

use herald::{App, Parts};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Reply, TestApp, TestDatabase, code};

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn persisted(hash: &str) -> Value {
    json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } })
}

async fn post(app: &TestApp, body: &Value) -> Reply {
    let headers = [("content-type", "application/json")];
    app.request("POST", "/graphql", &headers, body.to_string().as_bytes()).await
}

#[tokio::test]
async fn a_document_can_be_named_by_its_hash_once_it_was_sent() {
    let app = TestApp::start().await;
    let query = "query Place { cursor }";
    let named = json!({ "extensions": persisted(&sha256(query)) });
    let unknown = post(&app, &named).await;
    assert_eq!(unknown.status, 200);
    assert_eq!(code(&unknown.json()), "PERSISTED_QUERY_NOT_FOUND");
    let strict = [("content-type", "application/json"), ("accept", "application/graphql-response+json")];
    let strict = app.request("POST", "/graphql", &strict, named.to_string().as_bytes()).await;
    assert_eq!((strict.status, strict.json()), (200, unknown.json()));
    // Clients look for exactly this message.
    assert_eq!(unknown.json()["errors"][0]["message"], "PersistedQueryNotFound");

    let both = json!({ "query": query, "extensions": persisted(&sha256(query)) });
    let cursor = |reply: Reply| reply.json()["data"]["cursor"].as_str().map(ToOwned::to_owned);
    let expected = cursor(post(&app, &both).await);
    assert!(expected.is_some());
    assert_eq!(cursor(post(&app, &named).await), expected);
    let upper = json!({ "extensions": persisted(&sha256(query).to_uppercase()), "operationName": "Place" });
    assert_eq!(cursor(post(&app, &upper).await), expected);
    // graphql-ws sends an empty text, because it requires a `query`.
    let empty = json!({ "query": "", "extensions": persisted(&sha256(query)) });
    assert_eq!(cursor(post(&app, &empty).await), expected);
    let by_id = json!({ "documentId": format!("sha256:{}", sha256(query)) });
    assert_eq!(cursor(post(&app, &by_id).await), expected);

    let extensions =
        format!("%7B%22persistedQuery%22:%7B%22version%22:1,%22sha256Hash%22:%22{}%22%7D%7D", sha256(query));
    for parameters in [format!("extensions={extensions}"), format!("documentId={}", sha256(query))] {
        let reply = app.request("GET", &format!("/graphql?{parameters}"), &[], b"").await;
        assert_eq!(cursor(reply), expected);
    }
}

#[tokio::test]
async fn a_subscription_can_be_named_by_its_hash_too() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let query = "subscription { messageSent { message { body } } }";
    let payload = json!({ "extensions": persisted(&sha256(query)) });
    let mut socket = bob.socket("desk").await;
    socket.send(json!({ "id": "a", "type": "subscribe", "payload": payload })).await;
    assert_eq!(socket.refused("a").await, "PERSISTED_QUERY_NOT_FOUND");
    // The request is refused because nobody is signed in. The document is valid, and herald knows it from now on.
    assert_eq!(app.post(query, json!({})).await["errors"][0]["extensions"]["code"], "BAD_REQUEST");
    socket.send(json!({ "id": "a", "type": "subscribe", "payload": payload })).await;
    // When this query is answered, the subscription has begun.
    socket.subscribe("b", "{ cursor }", json!({})).await;
    socket.next("b").await;
    socket.completed("b").await;
    ada.send(&conversation, "hello").await;
    assert_eq!(socket.next("a").await["messageSent"]["message"]["body"], "hello");
}

#[tokio::test]
async fn a_hash_that_is_not_the_documents_is_refused() {
    let app = TestApp::start().await;
    let other = sha256("{ viewer { id } }");
    for extensions in [
        persisted(&other),
        persisted("abc"),
        json!({ "persistedQuery": { "version": 2, "sha256Hash": sha256("{ cursor }") } }),
        json!({ "persistedQuery": "{ cursor }" }),
    ] {
        let reply = post(&app, &json!({ "query": "{ cursor }", "extensions": extensions })).await;
        assert_eq!((reply.status, code(&reply.json())), (400, "BAD_REQUEST"), "{extensions}");
    }
    assert_eq!(code(&post(&app, &json!({ "documentId": other })).await.json()), "PERSISTED_QUERY_NOT_FOUND");
}

#[tokio::test]
async fn only_so_many_documents_are_remembered() {
    let app = TestApp::start().await;
    let document = |n: usize| format!("{{ cursor }} #{}{n}", "x".repeat(32_000));
    let size = document(0).len();
    let enough = 9 * 512 * 1024 / size;
    let first = document(0);
    assert!(post(&app, &json!({ "query": first })).await.json()["data"]["cursor"].is_string());
    let named = json!({ "extensions": persisted(&sha256(&first)) });
    assert!(post(&app, &named).await.json()["data"]["cursor"].is_string());
    for n in 1..=enough {
        post(&app, &json!({ "query": document(n) })).await;
    }
    let known = {
        let mut known = 0;
        for n in 0..=enough {
            let reply = post(&app, &json!({ "extensions": persisted(&sha256(&document(n))) })).await;
            known += usize::from(reply.json().get("data").is_some());
        }
        known
    };
    assert!(known > 0 && known * size <= 4 * 1024 * 1024, "{known} of {enough} documents of {size} bytes");
}

/// A file of documents, gone after the test.
struct Trusted(PathBuf);

impl Trusted {
    fn write(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("herald_test_{}.json", herald::random::id().simple()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for Trusted {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn with_trusted_documents_nothing_else_is_executed() {
    let register = "mutation($input: RegisterInput!) { register(input: $input) { token user { id } } }";
    let (cursor, follow) = ("{ cursor }", "subscription { events { cursor } }");
    // The cost of these operations depends on variables, which are not known at the start.
    let several = "query One($ids: [ID!]!) { nodes(ids: $ids) { id } }
        query Other($id: ID!, $first: Int!) { conversation(id: $id) { messages(first: $first) { nodes { id } } } }";
    let documents: serde_json::Map<String, Value> =
        [register, cursor, follow, several].map(|text| (sha256(text), json!(text))).into_iter().collect();
    let file = Trusted::write(&json!(documents).to_string());
    let app = TestApp::with(|setup| setup.args.trusted_documents = Some(file.0.clone())).await;

    // The document is named by its hash, or sent as text.
    for named in [
        json!({ "documentId": format!("sha256:{}", sha256(cursor)) }),
        json!({ "extensions": persisted(&sha256(cursor)) }),
        json!({ "query": cursor }),
    ] {
        assert!(post(&app, &named).await.json()["data"]["cursor"].is_string(), "{named}");
    }
    let named = json!({ "documentId": sha256(several), "operationName": "One", "variables": { "ids": [] } });
    assert_eq!(post(&app, &named).await.json()["data"]["nodes"], json!([]));
    // These are not trusted: a text that differs by a space, its hash, and introspection.
    for other in [
        json!({ "query": "{  cursor }" }),
        json!({ "documentId": sha256("{  cursor }") }),
        json!({ "query": "{ __schema { queryType { name } } }" }),
        json!({ "query": "{" }),
    ] {
        assert_eq!(code(&post(&app, &other).await.json()), "DOCUMENT_NOT_TRUSTED", "{other}");
    }
    let ada = app.user("ada").await;
    let mut socket = ada.socket("desk").await;
    socket.subscribe("a", "subscription { messageSent { cursor } }", json!({})).await;
    assert_eq!(socket.refused("a").await, "DOCUMENT_NOT_TRUSTED");
    socket.subscribe("a", cursor, json!({})).await;
    socket.next("a").await;
}

#[tokio::test]
async fn documents_that_cannot_be_trusted_keep_herald_from_starting() {
    let database = TestDatabase::create().await;
    let invalid = "{ nothing }";
    for (text, expected) in [
        ("[]".to_owned(), "JSON object"),
        (json!({ sha256("a"): "{ cursor }" }).to_string(), "is not the SHA-256 of its document"),
        // Relay writes MD5 by default.
        (json!({ "0cc175b9c0f1b6a831c399e269772661": "{ cursor }" }).to_string(), "is not the SHA-256"),
        (json!({ sha256(invalid): invalid }).to_string(), "does not have a field `nothing`"),
        (json!({ sha256("{"): "{" }).to_string(), &sha256("{")),
    ] {
        let file = Trusted::write(&text);
        let mut args = herald::config::ServeArgs::default();
        args.database.database.clone_from(&database.url);
        args.trusted_documents = Some(file.0.clone());
        let error = App::open(&args, Parts::default()).await.expect_err("herald does not start").to_string();
        assert!(error.contains("--trusted-documents") && error.contains(expected), "{error}");
    }
}
