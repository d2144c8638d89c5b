//! Behind the router of a federation: `_service`, and `_entities` with what a viewer may see and with representations
//! that are none. tests/clients composes the subgraph and asks through routers.

use herald::accounts::Scope;
use herald::config::Switch;
use serde_json::{Value, json};

use crate::support::{TestApp, User, code};

const ENTITIES: &str = "query($r: [_Any!]!) { _entities(representations: $r) { __typename
    ... on User { id handle } ... on Conversation { id } ... on Message { id body } } }";

async fn federated() -> TestApp {
    TestApp::with(|setup| setup.args.federation = true).await
}

async fn entities(user: &User, representations: &Value) -> Value {
    user.data(ENTITIES, json!({ "r": representations })).await["_entities"].take()
}

fn of(ty: &str, id: &str) -> Value {
    json!({ "__typename": ty, "id": id })
}

#[tokio::test]
async fn the_service_tells_its_schema_with_the_keys_also_without_introspection() {
    let app = TestApp::with(|setup| {
        setup.args.federation = true;
        setup.args.introspection = Switch::Off;
    })
    .await;
    let answered = app.post("{ _service { sdl __typename } }", json!({})).await;
    let sdl = answered["data"]["_service"]["sdl"].as_str().unwrap_or_else(|| panic!("{answered}"));
    assert_eq!(sdl, herald::graphql::subgraph_sdl());
    for line in [
        "type User implements Node @key(fields: \"id\") @key(fields: \"externalId\") {",
        "type Conversation implements Node @key(fields: \"id\") {",
        "type Message implements Node @key(fields: \"id\") {",
        "type PageInfo @shareable {",
    ] {
        assert!(sdl.lines().any(|known| known == line), "{line}\n{sdl}");
    }
    let without = sdl.lines().skip(1).collect::<Vec<_>>().join("\n");
    let without = [" @key(fields: \"id\")", " @key(fields: \"externalId\")", " @shareable"]
        .iter()
        .fold(without, |sdl, directive| sdl.replace(directive, ""));
    assert_eq!(without.trim_end(), herald::graphql::sdl().trim_end());
    assert_eq!(
        code(&app.post("{ __schema { queryType { name } } }", json!({})).await),
        "INTROSPECTION_DISABLED"
    );
}

#[tokio::test]
async fn without_the_flag_there_is_nothing_of_a_federation() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for query in ["{ _service { sdl } }", "{ _entities(representations: []) { __typename } }"] {
        assert_eq!(ada.refused(query, json!({})).await, "GRAPHQL_VALIDATION_FAILED");
    }
    let types = app.post("{ __schema { types { name } } }", json!({})).await.to_string();
    assert!(
        types.contains("\"Message\"") && !types.contains("_Entity") && !types.contains("_Any"),
        "{types}"
    );
}

#[tokio::test]
async fn entities_come_in_the_order_of_their_representations_and_null_where_the_viewer_sees_nothing() {
    let app = federated().await;
    let (ada, bob, conversation) = app.pair().await;
    let message = ada.send(&conversation, "for us two").await;
    let cat = app.user("cat").await;
    let nobody = "usr_00000000000000000000000000000007";
    let asked = json!([
        of("Message", &message),
        of("User", &bob.id),
        of("User", nobody),
        of("Conversation", &conversation),
        // Fields of other subgraphs may come with the key.
        { "__typename": "User", "id": ada.id, "avatarUrl": ["any", { "thing": null }] },
        of("User", &bob.id),
    ]);
    let shown = |user: &User| json!({ "__typename": "User", "id": user.id, "handle": user.handle });
    let in_it = json!([
        { "__typename": "Message", "id": message, "body": "for us two" },
        shown(&bob),
        null,
        { "__typename": "Conversation", "id": conversation },
        shown(&ada),
        shown(&bob),
    ]);
    assert_eq!(entities(&bob, &asked).await, in_it);
    // Somebody else's are null, as `node` has them.
    let outside = json!([null, shown(&bob), null, null, shown(&ada), shown(&bob)]);
    assert_eq!(entities(&cat, &asked).await, outside);
    // Whoever has left goes on seeing what was then.
    bob.leave(&conversation).await;
    let later = ada.send(&conversation, "alone").await;
    assert_eq!(
        entities(&bob, &json!([of("Message", &message), of("Message", &later)])).await[1],
        Value::Null
    );
    assert_eq!(code(&app.post(ENTITIES, json!({ "r": asked })).await), "UNAUTHENTICATED");
}

#[tokio::test]
async fn representations_and_fragments_may_be_written_in_the_document() {
    let app = federated().await;
    let ada = app.user("ada").await;
    let query = "query($id: ID!) {
        one: _entities(representations: { __typename: \"User\", id: $id }) { ...named ... on User { h: handle } }
        two: _entities(representations: [{ __typename: \"User\", id: $id }]) { ... on Node { id } } }
        fragment named on User { handle }";
    let answered = ada.data(query, json!({ "id": ada.id })).await;
    assert_eq!(
        answered,
        json!({ "one": [{ "handle": ada.handle, "h": ada.handle }], "two": [{ "id": ada.id }] })
    );
}

#[tokio::test]
async fn users_by_external_id_are_for_services_and_for_the_user() {
    let app = federated().await;
    let service = app.service("crm", &[Scope::Provision, Scope::Read]).await;
    let upsert = "mutation { upsertUsers(input: { users: [
        { externalId: \"42\", handle: \"ada\" }, { externalId: \"43\", handle: \"lin\" } ] }) { created } }";
    service.data(upsert, json!({})).await;
    let external = |id: &str| json!({ "__typename": "User", "externalId": id });
    let asked = json!([external("43"), external("nobody"), external("42")]);
    let handles = async |user: &User| {
        let found = entities(user, &asked).await;
        found.as_array().unwrap().iter().map(|found| found["handle"].clone()).collect::<Vec<_>>()
    };
    let (ada, lin) = (json!("ada"), json!("lin"));
    // The service itself, and whoever it acts for.
    assert_eq!(handles(&service).await, [lin.clone(), Value::Null, ada.clone()]);
    let acting = service.acting_as("external:42");
    assert_eq!(handles(&acting).await, [lin, Value::Null, ada]);
    // Others find nobody by it.
    let bob = app.user("bob").await;
    assert_eq!(handles(&bob).await, [Value::Null, Value::Null, Value::Null]);
    // Conversations are somebody's, and the scope `read` is needed.
    let refused =
        service.post(ENTITIES, json!({ "r": [of("Conversation", &format!("cnv_{:032}", 7))] })).await;
    assert_eq!(refused["errors"][0]["extensions"]["field"], "X-Act-As", "{refused}");
    let lacking = app.service("push", &[Scope::Send]).await;
    assert_eq!(lacking.refused(ENTITIES, json!({ "r": asked })).await, "FORBIDDEN");
}

#[tokio::test]
async fn a_representation_that_is_none_is_null_with_an_error_and_the_others_are_answered() {
    let app = federated().await;
    let (ada, _, conversation) = app.pair().await;
    let long = "x".repeat(100_000);
    for (bad, field) in [
        (json!("usr_7"), ""),
        (json!(7), ""),
        (json!([]), ""),
        (json!({}), ".__typename"),
        (json!({ "id": ada.id }), ".__typename"),
        (json!({ "__typename": 7, "id": ada.id }), ".__typename"),
        (json!({ "__typename": "Query" }), ".__typename"),
        (json!({ "__typename": "Session", "id": ada.id }), ".__typename"),
        (json!({ "__typename": long, "id": ada.id }), ".__typename"),
        (json!({ "__typename": "User" }), ""),
        (json!({ "__typename": "User", "id": null, "externalId": null }), ""),
        (json!({ "__typename": "User", "id": 7 }), ""),
        (json!({ "__typename": "User", "id": { "id": ada.id } }), ""),
        (json!({ "__typename": "User", "externalId": "" }), ".externalId"),
        (json!({ "__typename": "User", "externalId": long }), ".externalId"),
        (json!({ "__typename": "Message" }), ""),
        (json!({ "__typename": "Message", "externalId": "42" }), ""),
        (of("User", &conversation), ".id"),
        (of("Conversation", &ada.id), ".id"),
        (of("Message", &conversation), ".id"),
        (of("User", ""), ".id"),
        (of("User", "usr_\0"), ".id"),
        (of("User", &long), ".id"),
    ] {
        let good = of("User", &ada.id);
        let answered = ada.post(ENTITIES, json!({ "r": [good, bad, good] })).await;
        let shown: String = bad.to_string().chars().take(80).collect();
        let error = &answered["errors"][0];
        assert_eq!(code(&answered), "BAD_INPUT", "{shown}");
        assert_eq!(error["extensions"]["field"], format!("representations[1]{field}"), "{shown}");
        assert_eq!(error["path"], json!(["_entities", 1]), "{shown}");
        assert_eq!(answered["errors"].as_array().unwrap().len(), 1, "{shown}");
        assert!(error["message"].as_str().unwrap().len() < 200, "{shown}");
        let found = &answered["data"]["_entities"];
        assert_eq!(
            (&found[0]["id"], &found[1], &found[2]["id"]),
            (&json!(ada.id), &Value::Null, &json!(ada.id))
        );
    }
}

#[tokio::test]
async fn representations_are_counted_before_anything_is_loaded() {
    let app = TestApp::with(|setup| {
        setup.args.federation = true;
        setup.args.limits.page_size = 10;
        setup.args.limits.max_page_size = 10;
        setup.args.limits.max_complexity = 1_000;
    })
    .await;
    let ada = app.user("ada").await;
    let many = |number: usize| json!({ "r": vec![of("User", &ada.id); number] });
    assert_eq!(ada.data(ENTITIES, many(10)).await["_entities"].as_array().unwrap().len(), 10);
    let refused = ada.post(ENTITIES, many(11)).await;
    assert_eq!(code(&refused), "BAD_INPUT");
    assert_eq!(refused["errors"][0]["extensions"]["field"], "representations");
    assert_eq!(refused["data"], Value::Null);
    // Each of them costs what is selected of it.
    assert_eq!(ada.refused(ENTITIES, many(400)).await, "LIMIT_EXCEEDED");
    // Null is no representation, and neither are too many lists inside one another.
    assert_eq!(ada.refused(ENTITIES, json!({ "r": [null] })).await, "GRAPHQL_VALIDATION_FAILED");
    let deep = "[".repeat(200) + &"]".repeat(200);
    let body = format!("{{\"query\":{},\"variables\":{{\"r\":[{deep}]}}}}", json!(ENTITIES));
    let headers = [("content-type", "application/json")];
    assert_eq!(app.request("POST", "/graphql", &headers, body.as_bytes()).await.status, 400);
}
