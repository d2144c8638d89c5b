//! The rules of the GraphQL specification that executors are known to break
//! (<https://spec.graphql.org/September2025/>). `tests/clients/differential` compares with graphql-js at large.

use serde_json::{Value, json};

use crate::support::{Reply, TestApp, User, code};

/// The response's text, in which the order of fields can be seen.
async fn text(user: &User, query: &str, variables: Value) -> String {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/graphql-response+json"),
        ("authorization", &user.token),
    ];
    let reply: Reply =
        crate::support::request(user.address, "POST", "/graphql", &headers, body.as_bytes()).await;
    reply.body
}

#[tokio::test]
async fn root_fields_with_one_key_are_one_field() {
    let app = TestApp::start().await;
    let (ada, _bob, conversation) = app.pair().await;
    let send = format!("sendMessage(input: {{ conversationId: \"{conversation}\", body: \"once\" }})");
    let twice = format!("mutation {{ {send} {{ message {{ body }} }} {send} {{ message {{ status }} }} }}");
    let data = ada.data(&twice, json!({})).await;
    assert_eq!(data["sendMessage"]["message"], json!({ "body": "once", "status": "SENT" }));
    let all = "query($id: ID!) { conversation(id: $id) { messages { nodes { body } } } }";
    let data = ada.data(all, json!({ "id": conversation })).await;
    assert_eq!(data["conversation"]["messages"]["nodes"], json!([{ "body": "once" }]));
}

#[tokio::test]
async fn the_root_of_a_subscription_is_collected_from_its_fragments() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    for (index, root) in [
        "...F",
        "events(after: $after) { cursor } ...F",
        "... on Subscription { events(after: $after) { at } } events(after: $after) { cursor }",
        "events(after: $after) { cursor } events(after: $after) { __typename }",
    ]
    .into_iter()
    .enumerate()
    {
        let mut phone = ada.socket(&format!("phone-{index}")).await;
        let document = format!(
            "subscription($after: Cursor) {{ {root} ...F }} fragment F on Subscription {{ events(after: $after) {{ ... on MessageSent {{ message {{ body }} }} }} }}"
        );
        phone.follow("1", &document).await;
        bob.send(&conversation, root).await;
        assert_eq!(phone.next("1").await["events"]["message"]["body"], root);
    }
    for root in [
        "events { at } messageSent { at }",
        "events { at } ...F",
        "__typename",
        "events @skip(if: false) { at }",
    ] {
        let mut phone = ada.socket("tablet").await;
        let document =
            format!("subscription {{ {root} }} fragment F on Subscription {{ messageSent {{ at }} }}");
        phone.subscribe("1", &document, json!({})).await;
        assert_eq!(phone.refused("1").await, "GRAPHQL_VALIDATION_FAILED", "{root}");
    }
}

#[tokio::test]
async fn an_object_of_which_nothing_is_left_is_an_empty_object() {
    let app = TestApp::start().await;
    let (ada, _bob, conversation) = app.pair().await;
    ada.send(&conversation, "hello").await;
    let (id, no) = (&conversation, "@include(if: false)");
    for (query, data) in [
        (format!("{{ viewer {{ handle {no} }} }}"), json!({ "viewer": {} })),
        (format!("{{ viewer {no} {{ handle }} }}"), json!({})),
        (format!("{{ nodes(ids: [\"{id}\", \"x\"]) {{ id {no} }} }}"), json!({ "nodes": [{}, null] })),
        (format!("{{ node(id: \"{id}\") {{ ... on User {{ handle }} }} }}"), json!({ "node": {} })),
        (
            format!(
                "{{ conversation(id: \"{id}\") {{ messages {{ nodes {{ body {no} }} pageInfo {{ startCursor {no} }} }} }} }}"
            ),
            json!({ "conversation": { "messages": { "nodes": [{}], "pageInfo": {} } } }),
        ),
    ] {
        assert_eq!(ada.data(&query, json!({})).await, data, "{query}");
    }
}

#[tokio::test]
async fn fields_come_in_the_order_in_which_they_are_selected() {
    let app = TestApp::start().await;
    let (ada, _bob, conversation) = app.pair().await;
    ada.send(&conversation, "hello").await;
    // The first field is read from the database. The others are known at once.
    let query = "query($id: ID!) { conversation(id: $id) { messages { nodes { body } } id ...F } viewer { handle } } \
         fragment F on Conversation { __typename lastMessage { status body } id }";
    let expected = format!(
        "{{\"data\":{{\"conversation\":{{\"messages\":{{\"nodes\":[{{\"body\":\"hello\"}}]}},\"id\":\"{conversation}\",\
         \"__typename\":\"Conversation\",\"lastMessage\":{{\"status\":\"SENT\",\"body\":\"hello\"}}}},\
         \"viewer\":{{\"handle\":\"{}\"}}}}}}",
        ada.handle
    );
    assert_eq!(text(&ada, query, json!({ "id": conversation })).await, expected);
}

#[tokio::test]
async fn what_the_specification_calls_invalid_is_refused() {
    let app = TestApp::start().await;
    let (ada, _bob, conversation) = app.pair().await;
    let input = format!("conversationId: \"{conversation}\", body: \"x\"");
    for query in [
        "{ viewer { id: handle id } }".to_owned(),
        "{ user(handle: \"a\") { id } user(handle: \"b\") { id } }".to_owned(),
        "query($x: String!) { node(id: $x) { id } }".to_owned(),
        "query($x: ID) { node(id: $x) { id } }".to_owned(),
        "query($x: String!) { nodes(ids: $x) { id } }".to_owned(),
        format!("mutation {{ sendMessage(input: {{ {input}, body: \"y\" }}) {{ cursor }} }}"),
        "query($x: Int) { cursor }".to_owned(),
        "{ cursor } query A { cursor }".to_owned(),
    ] {
        let response = ada.post(&query, json!({ "x": "x" })).await;
        assert_eq!(code(&response), "GRAPHQL_VALIDATION_FAILED", "{query} {response}");
        assert!(response.get("data").is_none(), "{query} {response}");
    }
}

#[tokio::test]
async fn what_the_specification_calls_valid_is_executed() {
    let app = TestApp::start().await;
    let (ada, _bob, conversation) = app.pair().await;
    for (literal, body) in [
        (r#""\ud83d\ude00""#, "😀"),
        (r#""\u{1F600}""#, "😀"),
        (r#""""a \""" b""""#, "a \"\"\" b"),
        ("\"\"\"\n  two\n    lines\n\"\"\"", "two\n  lines"),
    ] {
        let send = format!(
            "mutation {{ sendMessage(input: {{ conversationId: \"{conversation}\", body: {literal} }}) {{ message {{ body }} }} }}"
        );
        assert_eq!(ada.data(&send, json!({})).await["sendMessage"]["message"]["body"], body);
    }
    let page =
        "query($id: ID!, $n: Int) { conversation(id: $id) { messages(first: $n) { nodes { body } } } }";
    let data = ada.data(page, json!({ "id": conversation, "n": 2.0 })).await;
    assert_eq!(data["conversation"]["messages"]["nodes"].as_array().unwrap().len(), 2);
    let absent = ada.data(page, json!({ "id": conversation })).await;
    assert_eq!(absent["conversation"]["messages"]["nodes"].as_array().unwrap().len(), 4);
    for query in ["{ node(id: 12345678901234567890123) { id } }", "{ node(id: 7) { id } }"] {
        assert_eq!(ada.data(query, json!({})).await, json!({ "node": null }), "{query}");
    }
}

#[tokio::test]
async fn a_field_that_fails_is_null_and_takes_along_what_may_not_be_null() {
    let app = TestApp::start().await;
    let (ada, _bob, conversation) = app.pair().await;
    ada.send(&conversation, "hello").await;
    let query = format!(
        "{{ viewer {{ handle }} conversation(id: \"{conversation}\") {{ id lastMessage {{ receipts(first: -1) {{ nodes {{ status }} }} }} }} }}"
    );
    let response = ada.post(&query, json!({})).await;
    let data = json!({ "viewer": { "handle": ada.handle }, "conversation": { "id": conversation, "lastMessage": null } });
    assert_eq!(response["data"], data, "{response}");
    assert_eq!(response["errors"][0]["path"], json!(["conversation", "lastMessage", "receipts"]));
    let query = format!(
        "{{ viewer {{ handle }} conversation(id: \"{conversation}\") {{ messages(first: -1) {{ nodes {{ id }} }} }} }}"
    );
    assert_eq!(ada.post(&query, json!({})).await["data"]["conversation"], Value::Null);
}

#[tokio::test]
async fn the_schema_is_answered_beside_other_fields() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let query = "query($name: String!) { a: __type(name: $name) { kind fields { name } } viewer { handle } \
         __schema { queryType { name } } b: __type(name: \"Nothing\") { name } }";
    let fields = ["createdAt", "displayName", "externalId", "handle", "id", "shareDelivered", "shareRead"];
    let fields = fields.map(|name| json!({ "name": name }));
    let data = ada.data(query, json!({ "name": "User" })).await;
    assert_eq!(data["a"], json!({ "kind": "OBJECT", "fields": fields }));
    assert_eq!(data["viewer"]["handle"], ada.handle);
    assert_eq!(data["__schema"]["queryType"]["name"], "Query");
    assert_eq!(data["b"], Value::Null);
}
