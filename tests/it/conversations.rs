//! Conversations: who takes part, in which order they are listed, and what an outsider learns of them.

use serde_json::{Value, json};

use crate::support::{TestApp, User, code, request};

const START: &str = "mutation($input: StartConversationInput!) {
    startConversation(input: $input) {
        conversation { id title participants { nodes { user { handle } } } }
    }
}";
const ADD: &str = "mutation($id: ID!, $handles: [String!]!) {
    addParticipants(input: { conversationId: $id, handles: $handles }) { conversation { id } cursor }
}";
const LEAVE: &str = "mutation($id: ID!) { leaveConversation(input: { conversationId: $id }) { cursor } }";
const SEND: &str = r#"mutation($id: ID!) {
    sendMessage(input: { conversationId: $id, body: "let me in" }) { message { id } }
}"#;
const CONVERSATION: &str = "query($id: ID!) { conversation(id: $id) { id title } }";
const PARTICIPANTS: &str = "query($id: ID!) {
    conversation(id: $id) { participants { nodes { user { handle } } } }
}";
const LIST: &str = "query($first: Int, $last: Int, $after: String, $before: String) {
    conversations(first: $first, last: $last, after: $after, before: $before) {
        edges { cursor node { id } }
        nodes { id }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
}";
const NODES: &str = "query($ids: [ID!]!) {
    nodes(ids: $ids) {
        __typename id
        ... on User { handle }
        ... on Conversation { title }
        ... on Message { body }
    }
}";

/// An id that looks like a conversation's and is none.
const NOWHERE: &str = "cnv_0123456789abcdef0123456789abcdef";

/// The field that a response complains of.
fn bad_field(response: &Value) -> &str {
    assert_eq!(code(response), "BAD_INPUT", "{response}");
    response["errors"][0]["extensions"]["field"].as_str().unwrap()
}

/// What each node of a list has at `path`.
fn each(nodes: &Value, path: &str) -> Vec<String> {
    let nodes = nodes.as_array().unwrap().iter();
    nodes.map(|node| node.pointer(path).unwrap().as_str().unwrap().to_owned()).collect()
}

/// The handles of those who take part now.
async fn participants(viewer: &User, conversation: &str) -> Vec<String> {
    let data = viewer.data(PARTICIPANTS, json!({ "id": conversation })).await;
    each(&data["conversation"]["participants"]["nodes"], "/user/handle")
}

/// A page of the viewer's conversations: their ids, and what the page says of itself.
async fn page(viewer: &User, arguments: Value) -> (Vec<String>, Value) {
    let mut data = viewer.data(LIST, arguments).await;
    let mut page = data["conversations"].take();
    let ids = each(&page["nodes"], "/id");
    assert_eq!(each(&page["edges"], "/node/id"), ids);
    assert_eq!(page["edges"][0]["cursor"], page["pageInfo"]["startCursor"]);
    (ids, page["pageInfo"].take())
}

/// The status and the very bytes of an answer.
async fn bytes(user: &User, query: &str, variables: Value) -> (u16, String) {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let bearer = format!("Bearer {}", user.token);
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let reply = request(user.address, "POST", "/graphql", &headers, body.as_bytes()).await;
    (reply.status, reply.body)
}

#[tokio::test]
async fn a_conversation_is_started_with_others_each_of_whom_is_in_it_once() {
    let app = TestApp::start().await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let handles = [&bob.handle, &carol.handle, &bob.handle, &ada.handle];
    let input = json!({ "title": "Tea ☕", "participantHandles": handles });
    let data = ada.data(START, json!({ "input": input })).await;
    let conversation = &data["startConversation"]["conversation"];
    assert_eq!(conversation["title"], "Tea ☕");
    let mut present = each(&conversation["participants"]["nodes"], "/user/handle");
    present.sort();
    assert_eq!(present, [ada.handle.as_str(), &bob.handle, &carol.handle]);

    let untitled = json!({ "input": { "participantHandles": [bob.handle] } });
    let data = ada.data(START, untitled).await;
    assert_eq!(data["startConversation"]["conversation"]["title"], Value::Null);
}

#[tokio::test]
async fn a_conversation_needs_somebody_else_whom_the_server_knows() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let nobody = "nobody-at-all".to_owned();
    for handles in [
        json!([]),
        json!([ada.handle]),
        json!([ada.handle, ada.handle]),
        json!([nobody]),
        json!([bob.handle, nobody]),
        json!([bob.handle, "Not A Handle"]),
        json!([bob.handle.to_uppercase()]),
    ] {
        let refused = ada.post(START, json!({ "input": { "participantHandles": handles } })).await;
        assert_eq!(bad_field(&refused), "participantHandles", "{handles}");
    }
    for title in ["", "  ", "a\0b", "two\nlines", &"x".repeat(201)] {
        let input = json!({ "title": title, "participantHandles": [bob.handle] });
        assert_eq!(bad_field(&ada.post(START, json!({ "input": input })).await), "title", "{title:?}");
    }
    assert_eq!(page(&ada, json!({})).await.0, Vec::<String>::new());
}

#[tokio::test]
async fn participants_are_those_who_take_part_now_in_the_order_in_which_they_joined() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let (carol, dave) = (app.user("carol").await, app.user("dave").await);
    // Every participant may add others, not only the user who started the conversation.
    bob.add(&conversation, &[&dave]).await;
    dave.add(&conversation, &[&carol]).await;
    assert_eq!(participants(&ada, &conversation).await[2..], [dave.handle.as_str(), &carol.handle]);

    bob.leave(&conversation).await;
    let present = [ada.handle.as_str(), &dave.handle, &carol.handle];
    assert_eq!(participants(&carol, &conversation).await, present);
    ada.add(&conversation, &[&bob]).await;
    let present = [ada.handle.as_str(), &dave.handle, &carol.handle, &bob.handle];
    assert_eq!(participants(&bob, &conversation).await, present);
}

#[tokio::test]
async fn adding_someone_who_takes_part_already_changes_nothing() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let (before, present) = (ada.cursor().await, participants(&ada, &conversation).await);
    let handles = [&bob.handle, &ada.handle, &bob.handle];
    let data = ada.data(ADD, json!({ "id": conversation, "handles": handles })).await;
    assert_eq!(data["addParticipants"]["conversation"]["id"], conversation);
    assert_eq!(data["addParticipants"]["cursor"], before, "nothing was appended to the log");
    assert_eq!(participants(&ada, &conversation).await, present);

    let handles = ["nobody-at-all"];
    let refused = ada.post(ADD, json!({ "id": conversation, "handles": handles })).await;
    assert_eq!(bad_field(&refused), "handles");
}

#[tokio::test]
async fn whoever_leaves_has_no_part_in_it_any_more() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let id = json!({ "id": conversation });
    bob.leave(&conversation).await;
    assert_eq!(bob.data(CONVERSATION, id.clone()).await, json!({ "conversation": null }));
    assert!(page(&bob, json!({})).await.0.is_empty());
    assert_eq!(bob.refused(LEAVE, id.clone()).await, "NOT_FOUND");
    assert_eq!(bob.refused(SEND, id).await, "NOT_FOUND");
    assert_eq!(participants(&ada, &conversation).await, [ada.handle.as_str()]);
}

#[tokio::test]
async fn the_conversation_of_others_looks_like_one_that_does_not_exist() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let (mallory, carol) = (app.user("mallory").await, app.user("carol").await);
    for query in [CONVERSATION, "query($id: ID!) { node(id: $id) { id } }", ADD, LEAVE, SEND] {
        let ask = async |id: &str| {
            // Only one of these inputs has handles.
            let mut variables = json!({ "id": id });
            if query == ADD {
                variables["handles"] = json!([mallory.handle, carol.handle]);
            }
            bytes(&mallory, query, variables).await
        };
        let unknown = ask(NOWHERE).await;
        assert!(unknown.1.contains("null") || unknown.1.contains("NOT_FOUND"), "{unknown:?}");
        assert_eq!(ask(&conversation).await, unknown, "{query}");
        assert_eq!(ask("not an id").await, unknown, "{query}");
    }
    let mut socket = mallory.socket("desk").await;
    let follow = "subscription($id: ID!) { events(conversationId: $id) { cursor } }";
    for id in [NOWHERE, &conversation, "not an id"] {
        socket.subscribe("s", follow, json!({ "id": id })).await;
        assert_eq!(socket.refused("s").await, "NOT_FOUND", "{id}");
    }
    let mut present = participants(&ada, &conversation).await;
    present.sort();
    assert_eq!(present, [ada.handle, bob.handle], "nobody got in");
}

#[tokio::test]
async fn the_latest_activity_comes_first_and_a_mark_is_none() {
    let app = TestApp::start().await;
    let (ada, bob, oldest) = app.pair().await;
    let middle = ada.start(&[&bob]).await;
    let newest = ada.start(&[&bob]).await;
    let list = async || page(&ada, json!({})).await.0;
    assert_eq!(list().await, [newest.as_str(), &middle, &oldest]);

    let message = bob.send(&oldest, "up").await;
    assert_eq!(list().await, [oldest.as_str(), &newest, &middle]);
    let other = ada.send(&middle, "up").await;
    assert_eq!(list().await, [middle.as_str(), &oldest, &newest]);

    ada.mark_delivered(&message).await;
    ada.mark_read(&message).await;
    bob.mark_read(&other).await;
    assert_eq!(list().await, [middle.as_str(), &oldest, &newest]);
}

#[tokio::test]
async fn pages_lead_through_the_whole_list_from_either_end() {
    let app = TestApp::start().await;
    let (ada, bob, first) = app.pair().await;
    let mut all = vec![first];
    for _ in 1..5 {
        all.insert(0, ada.start(&[&bob]).await);
    }
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    for (size, next, previous) in [(2, true, false), (2, true, true), (1, false, true)] {
        let (ids, info) = page(&ada, json!({ "first": 2, "after": after })).await;
        assert_eq!(ids.len(), size);
        assert_eq!((&info["hasNextPage"], &info["hasPreviousPage"]), (&json!(next), &json!(previous)));
        seen.extend(ids);
        after = info["endCursor"].clone();
    }
    assert_eq!(seen, all);

    let (mut seen, mut before) = (Vec::new(), Value::Null);
    for (size, next, previous) in [(2, false, true), (2, true, true), (1, true, false)] {
        let (ids, info) = page(&ada, json!({ "last": 2, "before": before })).await;
        assert_eq!(ids.len(), size);
        assert_eq!((&info["hasNextPage"], &info["hasPreviousPage"]), (&json!(next), &json!(previous)));
        seen.splice(0..0, ids);
        before = info["startCursor"].clone();
    }
    assert_eq!(seen, all);

    let (ids, info) = page(&ada, json!({ "first": 5 })).await;
    assert_eq!((ids, &info["hasNextPage"]), (all, &json!(false)), "a page that is just full is the last");
    assert!(page(&ada, json!({ "first": 0 })).await.0.is_empty());
}

#[tokio::test]
async fn pages_that_make_no_sense_are_refused() {
    let app = TestApp::start().await;
    let (ada, _, conversation) = app.pair().await;
    let ask = "query($id: ID!) { conversation(id: $id) { participants { pageInfo { endCursor } } } }";
    let data = ada.data(ask, json!({ "id": conversation })).await;
    let of_another_list = &data["conversation"]["participants"]["pageInfo"]["endCursor"];
    for (arguments, field) in [
        (json!({ "first": -1 }), "first"),
        (json!({ "first": 201 }), "first"),
        (json!({ "first": 1, "last": 1 }), "first"),
        (json!({ "last": -1 }), "last"),
        (json!({ "last": 201 }), "last"),
        (json!({ "after": "garbage" }), "after"),
        (json!({ "after": "" }), "after"),
        (json!({ "after": of_another_list }), "after"),
        (json!({ "before": "\0" }), "before"),
    ] {
        assert_eq!(bad_field(&ada.post(LIST, arguments.clone()).await), field, "{arguments}");
    }
}

#[tokio::test]
async fn pages_too_large_to_count_are_refused_before_they_are_read() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for query in [
        "{ conversations(first: 1000000000) { nodes { id } } }",
        "{ conversations(last: 2147483647) { nodes { id } } }",
        // Their product does not fit into 64 bits.
        "{ conversations(first: 2147483647) { nodes { messages(first: 2147483647) { nodes {
            receipts(first: 2147483647) { nodes { status } }
        } } } } }",
    ] {
        let refused = ada.post(query, json!({})).await;
        assert!(["BAD_INPUT", "LIMIT_EXCEEDED"].contains(&code(&refused)), "{query}\n{refused}");
    }
}

#[tokio::test]
async fn a_conversation_holds_as_many_as_the_operator_allows() {
    let app = TestApp::with(|setup| setup.args.limits.max_participants = 3).await;
    let (ada, bob, conversation) = app.pair().await;
    let (carol, dave) = (app.user("carol").await, app.user("dave").await);
    let handles = [&bob.handle, &carol.handle, &dave.handle];
    let refused = ada.post(START, json!({ "input": { "participantHandles": handles } })).await;
    assert_eq!(bad_field(&refused), "participantHandles");

    let handles = [&carol.handle, &dave.handle];
    let refused = ada.post(ADD, json!({ "id": conversation, "handles": handles })).await;
    assert_eq!(bad_field(&refused), "handles");
    assert_eq!(participants(&ada, &conversation).await.len(), 2, "all or none of them");
    ada.add(&conversation, &[&carol, &bob]).await;
    let too_many = json!({ "id": conversation, "handles": [dave.handle] });
    assert_eq!(bad_field(&ada.post(ADD, too_many).await), "handles");
    // A participant who leaves makes room for another.
    carol.leave(&conversation).await;
    ada.add(&conversation, &[&dave]).await;
    assert_eq!(participants(&dave, &conversation).await.len(), 3);
}

#[tokio::test]
async fn everything_with_an_id_is_found_by_it_by_those_who_may_see_it() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mallory = app.user("mallory").await;
    let message = ada.send(&conversation, "hello").await;
    let unknown = message.replace(|c: char| c.is_ascii_digit(), "0");
    let ids = json!([
        message,
        bob.id,
        conversation,
        unknown,
        NOWHERE,
        "usr_",
        "",
        "nonsense",
        conversation.to_uppercase(),
        conversation.replace("cnv_", "msg_"),
        "ses_0123456789abcdef0123456789abcdef",
        message
    ]);
    let the_message = json!({ "__typename": "Message", "id": message, "body": "hello" });
    let bob_himself = json!({ "__typename": "User", "id": bob.id, "handle": bob.handle });
    let theirs = json!({ "__typename": "Conversation", "id": conversation, "title": null });
    let mut expected = vec![Value::Null; 12];
    expected[0] = the_message.clone();
    expected[1] = bob_himself.clone();
    expected[2] = theirs;
    expected[11] = the_message;
    assert_eq!(ada.data(NODES, json!({ "ids": ids })).await["nodes"], Value::Array(expected));

    let mut expected = vec![Value::Null; 12];
    expected[1] = bob_himself;
    assert_eq!(mallory.data(NODES, json!({ "ids": ids })).await["nodes"], Value::Array(expected));
    let ids = vec![bob.id; 201];
    assert_eq!(bad_field(&ada.post(NODES, json!({ "ids": ids })).await), "ids");
}

#[tokio::test]
async fn a_user_is_found_by_exact_handle() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let find = "query($handle: String!) { user(handle: $handle) { id handle displayName } }";
    let found = ada.data(find, json!({ "handle": bob.handle })).await;
    let expected = json!({ "id": bob.id, "handle": bob.handle, "displayName": bob.handle });
    assert_eq!(found["user"], expected);
    for handle in ["bob", "nobody", &bob.handle.to_uppercase(), "", "%", "bob\0"] {
        assert_eq!(ada.data(find, json!({ "handle": handle })).await["user"], Value::Null, "{handle:?}");
    }
}
