//! Documents that ask for too much or that are not valid. Each gets an error, herald executes nothing of it, and goes
//! on.

use herald::config::Switch;
use serde_json::{Value, json};

use crate::support::{Reply, TestApp, User, code, request};

const JSON: &str = "application/json";
const RESPONSE: &str = "application/graphql-response+json";

/// What graphql-js 16 asks with `getIntrospectionQuery()`, as most tools do.
const INTROSPECTION: &str = "
    query IntrospectionQuery {
      __schema {
        queryType { name kind }
        mutationType { name kind }
        subscriptionType { name kind }
        types { ...FullType }
        directives { name description locations args { ...InputValue } }
      }
    }
    fragment FullType on __Type {
      kind
      name
      description
      fields(includeDeprecated: true) {
        name
        description
        args { ...InputValue }
        type { ...TypeRef }
        isDeprecated
        deprecationReason
      }
      inputFields { ...InputValue }
      interfaces { ...TypeRef }
      enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
      possibleTypes { ...TypeRef }
    }
    fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue }
    fragment TypeRef on __Type {
      kind
      name
      ofType { name kind ofType { name kind ofType { name kind ofType { name kind ofType { name kind
        ofType { name kind ofType { name kind ofType { name kind ofType { name kind } } } } } } } } }
    }";

/// A document that sends a message to the conversation `$id`, and selects this of the answer.
fn sending(selection: &str) -> String {
    let send = "sendMessage(input: { conversationId: $id, body: \"sent\" })";
    format!("mutation($id: ID!) {{ {send} {{ {selection} }} }}")
}

/// `outer` around `outer` around … `inner`.
fn nested(outer: &str, times: usize, inner: &str) -> String {
    let braces = outer.matches('{').count() * times;
    format!("{}{inner}{}", outer.repeat(times), "}".repeat(braces))
}

/// A document that sends `count` messages, each under its alias.
fn aliases(count: usize) -> String {
    let send = "sendMessage(input: { conversationId: $id, body: \"sent\" }) { cursor }";
    let sends: Vec<_> = (0..count).map(|n| format!("a{n}: {send}")).collect();
    format!("mutation($id: ID!) {{ {} }}", sends.join(" "))
}

/// Asks about a conversation, accepting `accept`.
async fn ask(user: &User, accept: &str, query: &str, conversation: &str) -> Reply {
    let bearer = format!("Bearer {}", user.token);
    let headers = [("content-type", JSON), ("accept", accept), ("authorization", bearer.as_str())];
    let body = json!({ "query": query, "variables": { "id": conversation } }).to_string();
    request(user.address, "POST", "/graphql", &headers, body.as_bytes()).await
}

/// How many messages a conversation has.
async fn count(user: &User, conversation: &str) -> usize {
    let all = "query($id: ID!) { conversation(id: $id) { messages(last: 200) { nodes { id } } } }";
    let data = user.data(all, json!({ "id": conversation })).await;
    data["conversation"]["messages"]["nodes"].as_array().unwrap().len()
}

/// Whether a response is a refusal, with nothing beside it and no fault of herald's behind it.
fn is_refusal(response: &Value) -> bool {
    response.get("data").is_none() && !["INTERNAL", "UNAVAILABLE"].contains(&code(response))
}

/// Makes sure that herald goes on.
async fn lives(app: &TestApp) {
    assert_eq!(app.post("{ __typename }", json!({})).await, json!({ "data": { "__typename": "Query" } }));
}

#[tokio::test]
async fn a_document_beyond_a_limit_is_refused_and_nothing_of_it_is_done() {
    let app = TestApp::start().await;
    let (ada, _bob, conversation) = app.pair().await;
    let around = |outer: &str, times| sending(&format!("message {{ {} }}", nested(outer, times, "id ")));
    let depth = |times| around("conversation { lastMessage { ", times);
    let pages =
        |first: &str, times| around(&format!("conversation {{ messages(first: {first}) {{ nodes {{ "), times);
    let inline = |times| sending(&nested("... { ", times, "cursor "));
    let fields = |field: &str, times| sending(&field.repeat(times));
    let comment = |length| format!("{} #{}", sending("cursor"), "x".repeat(length));
    for (limit, within, beyond) in [
        ("depth", depth(8), depth(9)),
        ("nesting, in fragments", inline(5), inline(70)),
        ("complexity", pages("200", 1), pages("200", 3)),
        ("complexity, beyond all numbers", pages("1", 3), pages("2000000000", 3)),
        ("aliases", aliases(50), aliases(51)),
        ("directives", fields("cursor @include(if: true) ", 50), fields("cursor @include(if: true) ", 51)),
        ("tokens", fields("cursor ", 1_000), fields("cursor ", 4_100)),
        ("characters", comment(1_000), comment(33_000)),
    ] {
        let before = count(&ada, &conversation).await;
        for accept in [JSON, RESPONSE] {
            let reply = ask(&ada, accept, &beyond, &conversation).await;
            assert_eq!((reply.status, code(&reply.json())), (400, "LIMIT_EXCEEDED"), "{limit}: {reply:?}");
            assert!(is_refusal(&reply.json()), "{limit}: {reply:?}");
        }
        assert_eq!(count(&ada, &conversation).await, before, "{limit}");
        ada.data(&within, json!({ "id": conversation })).await;
        assert!(count(&ada, &conversation).await > before, "{limit}");
    }
}

#[tokio::test]
async fn the_limits_hold_on_a_socket_too() {
    let app = TestApp::start().await;
    let (ada, _bob, conversation) = app.pair().await;
    let mut phone = ada.socket("phone").await;
    phone.subscribe("1", &aliases(51), json!({ "id": conversation })).await;
    assert_eq!(phone.refused("1").await, "LIMIT_EXCEEDED");
    let deep = nested("conversation { lastMessage { ", 10, "id ");
    let deep = format!("subscription {{ messageSent {{ message {{ {deep} }} }} }}");
    phone.subscribe("1", &deep, json!({})).await;
    assert_eq!(phone.refused("1").await, "LIMIT_EXCEEDED");
    phone.subscribe("1", "{ viewer { id } }", json!({})).await;
    assert_eq!(phone.next("1").await["viewer"]["id"], ada.id);
    assert_eq!(count(&ada, &conversation).await, 0);
}

#[tokio::test]
async fn a_fragment_that_spreads_itself_is_an_error() {
    let app = TestApp::start().await;
    for query in [
        "{ ...a } fragment a on Query { ...a }",
        "{ ...a } fragment a on Query { ...b } fragment b on Query { viewer { id } ...a }",
        "{ __typename } fragment a on Query { ...a }",
        "{ viewer { ...u } } fragment u on User { id ... on User { ...u } }",
        "{ conversation(id: 1) { ...c } } fragment c on Conversation { lastMessage { conversation { ...c } } }",
    ] {
        let response = app.post(query, json!({})).await;
        assert!(is_refusal(&response), "{query} {response}");
        lives(&app).await;
    }
}

#[tokio::test]
async fn fragments_that_explode_when_they_are_spread_are_spread_once_or_refused() {
    let app = TestApp::start().await;
    let doubling = |times: usize, innermost: &str| {
        let twice = |n| format!("fragment f{n} on Query {{ ...f{next} ...f{next} }}", next = n + 1);
        let fragments: Vec<_> = (0..times).map(twice).collect();
        format!("{{ ...f0 }} {} fragment f{times} on Query {{ {innermost} }}", fragments.join(" "))
    };
    for (query, is_refused) in [
        (doubling(200, "__typename"), true),
        (doubling(60, "__typename"), false),
        // These select no field at all, however often they are spread.
        (doubling(60, "...nowhere"), true),
        (doubling(60, "... on User { ...nowhere }"), true),
    ] {
        let response = app.post(&query, json!({})).await;
        assert_eq!(is_refusal(&response), is_refused, "{query} {response}");
    }
    lives(&app).await;
}

#[tokio::test]
async fn deeply_nested_values_and_selections_are_an_error() {
    let app = TestApp::start().await;
    let brackets = |open: &str, times, inner: &str, close: &str| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    for times in [70, 5_000] {
        let (lists, objects) = (brackets("[", times, "1", "]"), brackets("{a:", times, "1", "}"));
        for query in [
            format!("{{ node(id: {lists}) {{ id }} }}"),
            format!("{{ nodes(ids: {lists}) {{ id }} }}"),
            format!("{{ node(id: {objects}) {{ id }} }}"),
            format!("mutation {{ login(input: {objects}) {{ token }} }}"),
            format!("query($a: [Int] = {lists}) {{ __typename @skip(if: $a) }}"),
            format!("query($a: {}) {{ __typename @skip(if: $a) }}", brackets("[", times, "Int", "]")),
            brackets("{ a ", times, "", "}"),
            brackets("{ ...", times, "{ __typename }", "}"),
            brackets("(", times, "", ""),
            brackets("[", times, "", ""),
        ] {
            let response = app.post(&query, json!({})).await;
            assert!(is_refusal(&response), "{query} {response}");
        }
    }
    let lists = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let objects = (0..100).fold(json!(1), |inner, _| json!({ "a": inner }));
    for query in [
        "query($a: ID!) { node(id: $a) { id } }",
        "query($a: [ID!]!) { nodes(ids: $a) { id } }",
        "mutation($a: LoginInput!) { login(input: $a) { token } }",
    ] {
        for value in [&lists, &objects] {
            let response = app.post(query, json!({ "a": value })).await;
            assert!(is_refusal(&response), "{query} {response}");
        }
    }
    lives(&app).await;
}

#[tokio::test]
async fn a_number_that_is_no_int_is_an_error() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let refused = |response: Value, value: &str| {
        assert!(["GRAPHQL_VALIDATION_FAILED", "BAD_INPUT"].contains(&code(&response)), "{value}: {response}");
        assert!(response["data"].is_null(), "{value}: {response}");
    };
    for literal in ["2147483648", "-2147483649", "99999999999999999999", "1.5", "1e3", "\"5\"", "true", "[5]"]
    {
        let query = format!("{{ conversations(first: {literal}) {{ nodes {{ id }} }} }}");
        refused(ada.post(&query, json!({})).await, literal);
    }
    for value in [
        json!(2_147_483_648_u32),
        json!(-2_147_483_649_i64),
        json!(u64::MAX),
        json!(1.5),
        json!(1e300),
        json!("5"),
        json!([5]),
    ] {
        let query = "query($first: Int) { conversations(first: $first) { nodes { id } } }";
        refused(ada.post(query, json!({ "first": value })).await, &value.to_string());
    }
    lives(&app).await;
}

#[tokio::test]
async fn nothing_is_done_when_a_value_is_missing_or_does_not_fit() {
    let app = TestApp::start().await;
    let (ada, _bob, conversation) = app.pair().await;
    let send = "sendMessage(input: { conversationId: $id, body: \"sent\" })";
    let page = |first: &str| {
        format!("message {{ conversation {{ messages(first: {first}) {{ nodes {{ id }} }} }} }}")
    };
    let other = "sendMessage(input: { conversationId: $id, body: $body }) { cursor }";
    for query in [
        format!("mutation($id: ID!, $body: String!) {{ {send} {{ cursor }} other: {other} }}"),
        format!("mutation($id: ID!, $yes: Boolean!) {{ {send} {{ cursor @include(if: $yes) }} }}"),
        format!("mutation($id: ID!, $first: Int!) {{ {send} {{ {} }} }}", page("$first")),
        sending(&page("2147483648")),
        sending(&page("1.5")),
    ] {
        let response = ada.post(&query, json!({ "id": conversation })).await;
        assert_eq!(count(&ada, &conversation).await, 0, "{query}");
        assert!(is_refusal(&response), "{query} {response}");
    }
}

#[tokio::test]
async fn a_type_that_there_is_not_is_an_error_like_any_other() {
    let app = TestApp::start().await;
    for query in [
        "query($a: Nonsense) { __typename @skip(if: $a) }",
        "query($a: Nonsense = 1) { __typename @skip(if: $a) }",
        "query($a: [Nonsense] = [1]) { __typename @skip(if: $a) }",
        "{ __typename } fragment f on Nonsense { id }",
        "{ ... on Nonsense { id } }",
    ] {
        let response = app.post(query, json!({})).await;
        assert!(is_refusal(&response), "{query} {response}");
    }
    let mut phone = app.user("ada").await.socket("phone").await;
    phone
        .subscribe("1", "subscription($a: [Nonsense] = [1]) { events(after: $a) { cursor } }", json!({}))
        .await;
    assert_eq!(phone.refused("1").await, "GRAPHQL_VALIDATION_FAILED");
    lives(&app).await;
}

#[tokio::test]
async fn the_schema_tells_about_itself_unless_it_is_switched_off() {
    let open = TestApp::start().await;
    let closed = TestApp::with(|setup| setup.args.introspection = Switch::Off).await;
    let schema = open.post(INTROSPECTION, json!({})).await;
    assert!(schema.get("errors").is_none(), "{schema}");
    let schema = &schema["data"]["__schema"];
    assert_eq!(schema["subscriptionType"], json!({ "name": "Subscription", "kind": "OBJECT" }));
    let types = schema["types"].as_array().unwrap();
    let message = types.iter().find(|ty| ty["name"] == "Message").unwrap();
    let fields: Vec<_> = message["fields"].as_array().unwrap().iter().map(|field| &field["name"]).collect();
    assert!(["status", "recipientCount", "receipts"].iter().all(|name| fields.contains(&&json!(name))));

    for query in [
        INTROSPECTION,
        "{ __schema { queryType { name } } }",
        "{ s: __schema { queryType { name } } }",
        "{ __type(name: \"User\") { name } }",
        "{ ...f } fragment f on Query { ... { __type(name: \"User\") { name } } }",
    ] {
        let response = closed.post(query, json!({})).await;
        assert_eq!(code(&response), "INTROSPECTION_DISABLED");
        assert!(is_refusal(&response), "{response}");
    }
    lives(&closed).await;
}

#[tokio::test]
async fn the_operation_is_the_one_that_is_named() {
    let app = TestApp::start().await;
    let two = "query A { a: __typename } query B { b: __typename }";
    let headers = [("content-type", JSON)];
    for (query, name, expected) in [
        (two, Some("A"), Some("a")),
        (two, Some("B"), Some("b")),
        (two, Some("C"), None),
        (two, None, None),
        ("query A { a: __typename }", None, Some("a")),
        ("query A { a: __typename }", Some("A"), Some("a")),
        ("query A { a: __typename }", Some("B"), None),
        ("{ a: __typename }", Some("A"), None),
        ("fragment f on Query { __typename }", None, None),
    ] {
        let body = json!({ "query": query, "operationName": name }).to_string();
        let response = app.request("POST", "/graphql", &headers, body.as_bytes()).await.json();
        match expected {
            Some(alias) => assert_eq!(response, json!({ "data": { alias: "Query" } }), "{body}"),
            None => assert!(is_refusal(&response), "{body} {response}"),
        }
    }
}

#[tokio::test]
async fn only_the_operation_that_is_executed_costs() {
    let app = TestApp::with(|setup| setup.args.limits.max_complexity = 500).await;
    let (ada, _, conversation) = app.pair().await;
    // GraphiQL sends the whole text of the editor, and the name of the operation that was clicked.
    let document = "
        query Cheap($id: ID!) { conversation(id: $id) { id } }
        query Dear($id: ID!, $first: Int!) { conversation(id: $id) { messages(first: $first) { nodes { id body } } } }
        query Several($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    let ask = async |name: &str, variables: Value| {
        let body = json!({ "query": document, "operationName": name, "variables": variables }).to_string();
        let bearer = format!("Bearer {}", ada.token);
        let headers = [("content-type", "application/json"), ("authorization", &bearer)];
        app.request("POST", "/graphql", &headers, body.as_bytes()).await.json()
    };
    for _ in 0..2 {
        let cheap = ask("Cheap", json!({ "id": conversation })).await;
        assert_eq!(cheap["data"]["conversation"]["id"], conversation.as_str(), "{cheap}");
        assert_eq!(ask("Several", json!({ "ids": [] })).await, json!({ "data": { "nodes": [] } }));
        let dear = ask("Dear", json!({ "id": conversation, "first": 200 })).await;
        assert_eq!(code(&dear), "LIMIT_EXCEEDED");
    }
}

#[tokio::test]
async fn times_without_end_are_as_good_as_long_ones() {
    let app = TestApp::with(|setup| {
        let limits = &mut setup.args.limits;
        limits.poll_interval = u64::MAX;
        limits.ping_interval = u64::MAX;
        limits.request_timeout = u64::MAX;
        limits.keep_alive_timeout = u64::MAX;
        limits.init_timeout = u64::MAX;
        limits.write_timeout = u64::MAX;
        limits.checkpoint_interval = u64::MAX;
        limits.anonymous_timeout = u64::MAX;
    })
    .await;
    let (ada, bob, conversation) = app.pair().await;
    let mut socket = bob.socket("desk").await;
    socket
        .follow("m", "subscription($after: Cursor) { messageSent(after: $after) { message { body } } }")
        .await;
    ada.send(&conversation, "hello").await;
    assert_eq!(socket.next("m").await["messageSent"]["message"]["body"], "hello");
}
