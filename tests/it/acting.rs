//! Services that act for somebody: on each transport, with which scopes, for whom, and what others are told.

use herald::accounts::Scope;
use serde_json::{Value, json};

use crate::support::{Open, Socket, TestApp, User, code};

const FOLLOW: &str = "subscription($after: Cursor) { events(after: $after) {
    via ... on MessageSent { message { body sender { handle } } } } }";

const ALL: [Scope; 3] = [Scope::Provision, Scope::Send, Scope::Read];

const VIEWER: &str = "{ viewer { handle } }";

/// The values of `X-Act-As` that name a user.
fn names(user: &User) -> [String; 2] {
    [user.id.clone(), format!("handle:{}", user.handle)]
}

async fn disable(service: &User, user: &User, disabled: bool) {
    let disable = "mutation($input: UserDisabledInput!) { setUserDisabled(input: $input) { user { id } } }";
    let input = json!({ "userId": user.id, "disabled": disabled });
    service.data(disable, json!({ "input": input })).await;
}

#[tokio::test]
async fn it_is_done_by_post_and_by_get_for_users_by_each_of_their_names() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let service = app.service("crm", &ALL).await;
    let upsert = "mutation { upsertUsers(input: { users: [
        { externalId: \"https://id.example/42?a=b c\", handle: \"lin\" } ] }) { users { id } } }";
    service.data(upsert, json!({})).await;
    let external = "external:https://id.example/42?a=b c".to_owned();
    for (name, handle) in
        names(&ada).map(|name| (name, ada.handle.as_str())).into_iter().chain([(external, "lin")])
    {
        let acting = service.acting_as(&name);
        assert_eq!(acting.data(VIEWER, json!({})).await["viewer"]["handle"], handle, "{name}");
        let bearer = format!("Bearer {}", service.token);
        let headers = [("authorization", bearer.as_str()), ("x-act-as", name.as_str())];
        let reply = app.request("GET", "/graphql?query=%7Bviewer%7Bhandle%7D%7D", &headers, b"").await;
        assert_eq!(reply.json()["data"]["viewer"]["handle"], handle, "{name}");
    }
}

#[tokio::test]
async fn a_service_sends_for_somebody_and_everybody_is_told_by_which_service() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let acting = app.service("crm", &ALL).await.acting_as(&ada.id);
    let (mut adas, mut bobs) = (ada.socket("desk").await, bob.socket("desk").await);
    let (mut own, mut other) = (acting.socket("desk").await, acting.socket("other").await);
    for socket in [&mut adas, &mut bobs, &mut own, &mut other] {
        socket.follow("e", FOLLOW).await;
    }
    acting.on("desk").send(&conversation, "for ada").await;
    ada.on("tablet").send(&conversation, "by ada").await;
    let told = |via: Value, body: &str| json!({ "via": via, "message": { "body": body, "sender": { "handle": ada.handle } } });
    // Ada's own desk is told too: the service has a session of its own, whatever it calls its connection.
    for socket in [&mut adas, &mut bobs, &mut other] {
        assert_eq!(socket.next("e").await["events"], told(json!("crm"), "for ada"));
        assert_eq!(socket.next("e").await["events"], told(Value::Null, "by ada"));
    }
    assert_eq!(own.next("e").await["events"], told(Value::Null, "by ada"));
}

#[tokio::test]
async fn a_service_follows_for_somebody_as_server_sent_events_and_in_parts() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let acting = app.service("crm", &[Scope::Read]).await.acting_as(&names(&bob)[1]);
    let body = json!({ "query": FOLLOW }).to_string();
    let json = ("content-type", "application/json");
    let events = ("accept", "text/event-stream");
    let parts = ("accept", "multipart/mixed;subscriptionSpec=1.0,application/json");
    let mut events = Open::request(&acting, "POST", "/graphql", &[json, events], &body).await;
    let mut parts = Open::request(&acting, "POST", "/graphql", &[json, parts], &body).await;
    events.block().await.expect("a beginning");
    parts.through("{}\r\n--graphql").await.expect("a beginning");
    ada.send(&conversation, "hello").await;
    assert_eq!(events.next().await.0["events"]["message"]["body"], "hello");
    assert!(parts.through("--graphql").await.unwrap().contains("\"hello\""));
}

#[tokio::test]
async fn the_header_of_a_websocket_counts_where_its_payload_says_nothing() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let service = app.service("crm", &[Scope::Read]).await;
    let bearer = format!("Bearer {}", service.token);
    let headers = [("authorization", bearer.as_str()), ("x-act-as", ada.id.as_str())];
    for (payload, expected) in [
        (json!({}), json!(ada.handle)),
        (json!({ "actAs": bob.id }), json!(bob.handle)),
        // Another credential makes another caller, who acts for nobody.
        (json!({ "authorization": bearer }), Value::Null),
    ] {
        let mut socket = Socket::connect(app.address, &headers).await.unwrap();
        socket.send(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.receive().await["type"], "connection_ack");
        socket.subscribe("v", VIEWER, json!({})).await;
        let viewer = socket.next("v").await["viewer"].take();
        assert_eq!(viewer.get("handle").unwrap_or(&Value::Null), &expected);
    }
}

#[tokio::test]
async fn reading_and_sending_for_somebody_need_their_own_scopes() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let send = "mutation($id: ID!) { sendMessage(input: { conversationId: $id, body: \"x\" }) { cursor } }";
    let read = app.service("reader", &[Scope::Read, Scope::Provision]).await.acting_as(&ada.id);
    let refused = read.post(send, json!({ "id": conversation })).await;
    assert_eq!(code(&refused), "FORBIDDEN");
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("`send`"), "{refused}");
    read.data(VIEWER, json!({})).await;
    let sender = app.service("sender", &[Scope::Send]).await.acting_as(&ada.id);
    sender.data(send, json!({ "id": conversation })).await;
    let refused = sender.post(VIEWER, json!({})).await;
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("`read`"), "{refused}");
    let mut socket = sender.socket("desk").await;
    socket.subscribe("e", FOLLOW, json!({})).await;
    assert_eq!(socket.refused("e").await, "FORBIDDEN");
    // Of a conversation in which ada takes no part, the service sees for her what she sees: nothing.
    let theirs = bob.start(&[&app.user("carol").await]).await;
    let query = "query($id: ID!) { conversation(id: $id) { id } }";
    assert_eq!(read.data(query, json!({ "id": theirs })).await["conversation"], Value::Null);
}

#[tokio::test]
async fn a_service_that_may_only_send_reads_nothing_by_what_it_is_answered() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let start = "mutation($handles: [String!]!) { startConversation(input: { participantHandles: $handles,
        distinct: true }) { conversation { id messages(last: 5) { nodes { body } } } } }";
    let data = ada.data(start, json!({ "handles": [bob.handle] })).await;
    let conversation = data["startConversation"]["conversation"]["id"].as_str().unwrap().to_owned();
    bob.send(&conversation, "a secret").await;
    let sender = app.service("sender", &[Scope::Send]).await;
    let acting = sender.acting_as(&ada.id);
    let send = "mutation($id: ID!) { sendMessage(input: { conversationId: $id, body: \"mine\" }) {
        message { id body status } } }";
    let data = acting.data(send, json!({ "id": conversation })).await;
    assert_eq!(data["sendMessage"]["message"]["body"], "mine");
    let mark = "mutation($id: ID!) { markRead(input: { conversationId: $id }) { message { body } } }";
    let by_last = "mutation($handles: [String!]!) { startConversation(input: { participantHandles: $handles,
        distinct: true }) { conversation { lastMessage { conversation { firstUnread { body } } } } } }";
    let report = "mutation($id: ID!, $user: ID!) {
        reportUndeliverable(input: { messageId: $id, userId: $user, reason: \"away\" }) { message { body } } }";
    let message = bob.send(&conversation, "another secret").await;
    for (service, query, variables) in [
        (&acting, start, json!({ "handles": [bob.handle] })),
        (&acting, by_last, json!({ "handles": [bob.handle] })),
        (&acting, mark, json!({ "id": conversation })),
        (&sender, report, json!({ "id": message, "user": ada.id })),
    ] {
        let refused = service.post(query, variables).await;
        assert!(!refused.to_string().contains("secret"), "{refused}");
        assert_eq!(code(&refused), "FORBIDDEN", "{query}: {refused}");
        assert!(refused["errors"][0]["message"].as_str().unwrap().contains("`read`"), "{refused}");
    }
}

#[tokio::test]
async fn acting_for_nobody_and_acting_by_a_user_are_refused() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let service = app.service("crm", &ALL).await;
    disable(&service, &bob, true).await;
    let nobody = "usr_00000000000000000000000000000007".to_owned();
    for (user, expected, status) in [
        (service.acting_as(&nobody), "BAD_INPUT", 400),
        (service.acting_as("handle:nobody"), "BAD_INPUT", 400),
        (service.acting_as("external:nobody"), "BAD_INPUT", 400),
        (service.acting_as("somebody"), "BAD_INPUT", 400),
        (service.acting_as(""), "BAD_INPUT", 400),
        (service.acting_as(&bob.id), "ACCOUNT_DISABLED", 403),
        (ada.acting_as(&ada.id), "FORBIDDEN", 403),
        (User { token: String::new(), ..ada.clone() }.acting_as(&ada.id), "FORBIDDEN", 403),
    ] {
        let bearer = format!("Bearer {}", user.token);
        let acts_as = user.acts_as.clone().unwrap();
        let mut headers = vec![("content-type", "application/json"), ("x-act-as", acts_as.as_str())];
        if !user.token.is_empty() {
            headers.push(("authorization", &bearer));
        }
        let body = json!({ "query": VIEWER }).to_string();
        let reply = app.request("POST", "/graphql", &headers, body.as_bytes()).await;
        assert_eq!((reply.status, code(&reply.json())), (status, expected), "{acts_as:?}");
        let mut socket = app.socket().await;
        let mut payload = json!({ "actAs": acts_as });
        if !user.token.is_empty() {
            payload["authorization"] = json!(bearer);
        }
        socket.send(json!({ "type": "connection_init", "payload": payload })).await;
        let closed = socket.closed().await;
        assert_eq!(closed.code, 4403, "{acts_as:?}");
        assert!(closed.reason.starts_with("Forbidden: "), "{closed:?}");
    }
}

#[tokio::test]
async fn what_was_opened_for_somebody_ends_with_the_key_and_with_the_user() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let service = app.service("crm", &ALL).await;
    let there = app.elsewhere().await;
    let mut for_ada = service.acting_as(&ada.id).at(there).socket("desk").await;
    let mut for_bob = service.acting_as(&bob.id).at(there).socket("desk").await;
    disable(&service, &ada, true).await;
    assert_eq!(for_ada.closed().await.code, 4403);
    for_bob.subscribe("v", VIEWER, json!({})).await;
    assert_eq!(for_bob.next("v").await["viewer"]["handle"], bob.handle);
    disable(&service, &ada, false).await;
    let for_ada = service.acting_as(&ada.id).at(there);
    let (json, events) = (("content-type", "application/json"), ("accept", "text/event-stream"));
    let body = json!({ "query": FOLLOW }).to_string();
    let mut stream = Open::request(&for_ada, "POST", "/graphql", &[json, events], &body).await;
    let mut for_ada = for_ada.socket("desk").await;
    app.revoke("crm").await;
    assert_eq!(stream.refused().await, "UNAUTHENTICATED");
    assert_eq!(for_ada.closed().await.code, 4403);
    assert_eq!(for_bob.closed().await.code, 4403);
}
