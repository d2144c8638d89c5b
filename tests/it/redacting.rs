//! Redacting a message: who may, who is told, and that nothing is left of what it said.

use herald::accounts::Scope;
use sea_orm::{ConnectionTrait, Database};
use serde_json::{Value, json};

use crate::command_line::run;
use crate::support::{TestApp, User, code, until};

const FOLLOW: &str = "subscription($after: Cursor) { events(after: $after) {
    __typename
    ... on MessageSent { message { id body metadata redactedAt } }
    ... on MessageRedacted { at redactedBy { handle } message { id body metadata redactedAt } }
} }";

const SECRET: &str = "the secret of the lighthouse keeper";

async fn redact(user: &User, message: &str) -> Value {
    let redact = "mutation($id: ID!) { redactMessage(input: { messageId: $id }) {
        cursor message { id body metadata redactedAt sender { handle } } } }";
    user.post(redact, json!({ "id": message })).await
}

async fn send(user: &User, conversation: &str, body: &str, metadata: &Value, key: &str) -> Value {
    let send = "mutation($input: SendMessageInput!) { sendMessage(input: $input) {
        cursor message { id body metadata redactedAt } } }";
    let input = json!({
        "conversationId": conversation, "body": body, "metadata": metadata, "idempotencyKey": key
    });
    user.post(send, json!({ "input": input })).await
}

fn id(sent: &Value) -> &str {
    sent["data"]["sendMessage"]["message"]["id"].as_str().unwrap()
}

#[tokio::test]
async fn everybody_who_sees_the_message_is_told_and_sees_nothing_of_it_any_more() {
    let mut app = TestApp::start().await;
    let (ada, bob, cleo) = (app.user("ada").await, app.user("bob").await, app.user("cleo").await);
    let room = ada.start(&[&bob]).await;
    let start = ada.cursor().await;
    let (mut adas, mut bobs) = (ada.socket("desk").await, bob.socket("desk").await);
    adas.follow_after("e", FOLLOW, &start).await;
    bobs.follow_after("e", FOLLOW, &start).await;
    let sent = send(&ada, &room, SECRET, &json!({ "mood": SECRET }), "k").await;
    let told = bobs.next("e").await;
    assert_eq!(told["events"]["message"]["body"], SECRET);
    assert_eq!(told["events"]["message"]["metadata"]["mood"], SECRET);
    assert_eq!(adas.next("e").await, told);
    // She did not see it, so she is not told of it.
    ada.add(&room, &[&cleo]).await;
    let joined = cleo.cursor().await;
    assert_eq!(bobs.next("e").await["events"]["__typename"], "ParticipantsJoined");

    let redacted = redact(&ada.on("desk"), id(&sent)).await;
    let message = &redacted["data"]["redactMessage"]["message"];
    assert_eq!((&message["body"], &message["metadata"]), (&json!(""), &Value::Null), "{redacted}");
    let told = bobs.next("e").await;
    assert_eq!(told["events"]["__typename"], "MessageRedacted");
    assert_eq!(told["events"]["redactedBy"]["handle"], ada.handle);
    assert_eq!(told["events"]["message"]["id"], id(&sent));
    assert_eq!(told["events"]["message"]["body"], "");
    assert_eq!(told["events"]["message"]["redactedAt"], told["events"]["at"]);
    // Whoever comes back finds the event that it was sent, without what it said: in memory, and after a restart.
    for restarts in [false, true] {
        if restarts {
            app.restart().await;
        }
        let mut again = bob.at(app.address).socket("phone").await;
        again.follow_after("e", FOLLOW, &start).await;
        let told = again.next("e").await;
        assert_eq!(
            (&told["events"]["__typename"], &told["events"]["message"]["body"]),
            (&json!("MessageSent"), &json!(""))
        );
        assert_eq!(again.next("e").await["events"]["__typename"], "ParticipantsJoined");
        assert_eq!(again.next("e").await["events"]["__typename"], "MessageRedacted");
    }
    let (ada, cleo) = (ada.at(app.address), cleo.at(app.address));
    ada.send(&room, "next").await;
    let mut cleos = cleo.socket("desk").await;
    cleos.follow_after("e", FOLLOW, &joined).await;
    assert_eq!(cleos.next("e").await["events"]["message"]["body"], "next");
    // To repeat it changes nothing.
    let cursor = ada.cursor().await;
    assert_eq!(redact(&ada, id(&sent)).await["data"]["redactMessage"]["message"], *message);
    assert_eq!(ada.cursor().await, cursor);
}

// Answers are kept for who comes back soon: also those of other events that showed the text.
#[tokio::test]
async fn whoever_comes_back_right_after_sees_nothing_of_it_in_any_event() {
    let follow = "subscription($after: Cursor) { events(after: $after) {
        __typename
        ... on MessageSent { message { body } conversation { lastMessage { body } } }
        ... on StatusChanged { message { body } conversation { lastMessage { body } } }
        ... on MessageUndeliverable { message { body } }
        ... on ConversationRenamed { conversation { lastMessage { body } } }
    } }";
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let start = ada.cursor().await;
    let mut first = ada.socket("desk").await;
    first.follow_after("e", follow, &start).await;
    let sent = ada.send(&room, SECRET).await;
    bob.mark_read(&sent).await;
    let rename =
        "mutation($id: ID!) { renameConversation(input: { conversationId: $id, title: \"x\" }) { cursor } }";
    ada.data(rename, json!({ "id": room })).await;
    for kind in ["MessageSent", "StatusChanged", "ConversationRenamed"] {
        let told = first.next("e").await;
        assert_eq!(told["events"]["__typename"], kind);
        assert!(told.to_string().contains(SECRET), "{told}");
    }
    redact(&ada.on("phone"), &sent).await;
    assert_eq!(first.next("e").await["events"]["__typename"], "MessageRedacted");
    let mut again = ada.socket("tablet").await;
    again.follow_after("e", follow, &start).await;
    for kind in ["MessageSent", "StatusChanged", "ConversationRenamed", "MessageRedacted"] {
        let told = again.next("e").await;
        assert_eq!(told["events"]["__typename"], kind);
        assert!(!told.to_string().contains(SECRET), "{told}");
    }
}

#[tokio::test]
async fn the_sender_and_an_owner_may_and_nobody_else() {
    let app = TestApp::start().await;
    let (ada, bob, cleo) = (app.user("ada").await, app.user("bob").await, app.user("cleo").await);
    let room = ada.start(&[&bob]).await;
    let (adas, bobs) = (ada.send(&room, "from ada").await, bob.send(&room, "from bob").await);
    assert_eq!(code(&redact(&bob, &adas).await), "FORBIDDEN");
    assert_eq!(code(&redact(&cleo, &adas).await), "NOT_FOUND");
    assert_eq!(code(&redact(&ada, "msg_1").await), "NOT_FOUND");
    assert!(redact(&ada, &bobs).await.get("errors").is_none(), "an owner");
    let (mut more, mut last) = (Vec::new(), String::new());
    for body in ["one", "two"] {
        more.push(ada.send(&room, body).await);
        last = bob.send(&room, body).await;
    }
    ada.add(&room, &[&cleo]).await;
    assert_eq!(code(&redact(&cleo, &adas).await), "NOT_FOUND", "she did not see it");
    let mut socket = bob.socket("desk").await;
    socket.follow_after("e", FOLLOW, &bob.cursor().await).await;
    ada.leave(&room).await;
    assert_eq!(code(&redact(&ada, &last).await), "NOT_FOUND", "she owns it no more");
    assert!(redact(&ada, &adas).await.get("errors").is_none(), "the sender, who has left");
    assert_eq!(socket.next("e").await["events"]["__typename"], "ParticipantLeft");
    assert_eq!(socket.next("e").await["events"]["redactedBy"]["handle"], ada.handle);
    bob.leave(&room).await;
    assert!(redact(&cleo, &more[0]).await.get("errors").is_none(), "the owner of now, who did not see it");
    assert!(redact(&bob, &last).await.get("errors").is_none(), "the sender, who has left");
    let (succeeded, text) = run(&["check", "--database", &app.database.url], "").await;
    assert!(succeeded, "{text}");
}

#[tokio::test]
async fn marks_and_counts_go_on_and_a_repeated_send_finds_what_is_left() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let sent = send(&ada, &room, SECRET, &Value::Null, "k").await;
    redact(&ada, id(&sent)).await;
    bob.mark_read(id(&sent)).await;
    let query = "query($id: ID!) { message(id: $id) { body status readCount redactedAt } }";
    let message = ada.data(query, json!({ "id": id(&sent) })).await["message"].take();
    assert_eq!(
        (&message["body"], &message["status"], &message["readCount"]),
        (&json!(""), &json!("READ"), &json!(1))
    );
    for body in [SECRET, "what it said is gone"] {
        let again = send(&ada, &room, body, &Value::Null, "k").await;
        assert_eq!(id(&again), id(&sent));
        assert_eq!(again["data"]["sendMessage"]["message"]["redactedAt"], message["redactedAt"]);
    }
    let other = ada.start(&[&bob]).await;
    assert_eq!(code(&send(&ada, &other, SECRET, &Value::Null, "k").await), "IDEMPOTENCY_KEY_REUSED");
}

#[tokio::test]
async fn whoever_left_before_sees_nothing_of_it_either() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let start = bob.cursor().await;
    let sent = send(&ada, &room, SECRET, &Value::Null, "k").await;
    bob.leave(&room).await;
    redact(&ada, id(&sent)).await;
    let mut socket = bob.socket("desk").await;
    socket.follow_after("e", FOLLOW, &start).await;
    let told = socket.next("e").await;
    assert_eq!(told["events"]["message"]["body"], "");
    assert!(told["events"]["message"]["redactedAt"].is_string());
    assert_eq!(socket.next("e").await["events"]["__typename"], "ParticipantLeft");
}

#[tokio::test]
async fn other_nodes_forget_it_too() {
    let app = TestApp::start().await;
    if app.database.file().is_some() {
        return;
    }
    let (ada, bob, room) = app.pair().await;
    let start = bob.cursor().await;
    let there = bob.at(app.another_node().await);
    let sent = send(&ada, &room, SECRET, &Value::Null, "k").await;
    let mut socket = there.socket("desk").await;
    socket.follow_after("e", FOLLOW, &start).await;
    assert_eq!(socket.next("e").await["events"]["message"]["body"], SECRET);
    redact(&ada, id(&sent)).await;
    assert_eq!(socket.next("e").await["events"]["__typename"], "MessageRedacted");
    let mut again = there.socket("phone").await;
    again.follow_after("e", FOLLOW, &start).await;
    assert_eq!(again.next("e").await["events"]["message"]["body"], "");
    assert_eq!(id(&send(&ada.at(there.address), &room, SECRET, &Value::Null, "k").await), id(&sent));
}

#[tokio::test]
async fn soon_nothing_of_it_is_left_in_the_files_of_sqlite() {
    let mut app = TestApp::start().await;
    let Some(file) = app.database.file() else { return };
    let (ada, bob, room) = app.pair().await;
    let long = format!("{SECRET} {}", "tells on and on ".repeat(500));
    let mut sent = Vec::new();
    for (body, key) in [(SECRET, "short"), (long.as_str(), "long")] {
        let answer = send(&ada, &room, body, &json!({ "kept": SECRET }), key).await;
        sent.push(id(&answer).to_owned());
        ada.send(&room, "something else").await;
    }
    // The texts are in the file, and not only in the WAL.
    let checkpoint = async || {
        let database = Database::connect(&app.database.url).await.unwrap();
        database.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
        database.close().await.unwrap();
    };
    let found = || {
        let folder = file.parent().unwrap();
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.is_file()).any(|path| {
            let bytes = std::fs::read(path).unwrap();
            bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
        })
    };
    checkpoint().await;
    assert!(found());
    for message in &sent {
        assert!(redact(&ada, message).await.get("errors").is_none());
    }
    until(async || !found()).await;
    drop(bob);
    app.stop().await;
    assert!(!found());
}

#[tokio::test]
async fn a_service_redacts_any_message_as_its_sender() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let (moderator, reader) =
        (app.service("moderator", &[Scope::Send]).await, app.service("reader", &[Scope::Read]).await);
    let follow = "subscription($after: Cursor) { events(after: $after) {
        ... on MessageRedacted { via redactedBy { handle } message { body } } } }";
    let mut bobs = bob.socket("desk").await;
    bobs.follow("e", follow).await;
    let by_ada = ada.send(&room, SECRET).await;
    let by_bob = bob.send(&room, SECRET).await;
    // Also of who has left, and where nobody is left.
    ada.leave(&room).await;
    let short =
        "mutation($id: ID!) { redactMessage(input: { messageId: $id }) { message { id redactedAt } } }";
    assert_eq!(reader.refused(short, json!({ "id": by_ada })).await, "FORBIDDEN");
    let nothing = "msg_00000000000000000000000000000000";
    assert_eq!(moderator.refused(short, json!({ "id": nothing })).await, "NOT_FOUND");
    let redacted = moderator.data(short, json!({ "id": by_ada })).await["redactMessage"]["message"].take();
    assert!(redacted["id"] == by_ada && !redacted["redactedAt"].is_null(), "{redacted}");
    let told =
        json!({ "via": "moderator", "redactedBy": { "handle": ada.handle }, "message": { "body": "" } });
    let mut event = json!({});
    while event == json!({}) {
        event = bobs.next("e").await["events"].take();
    }
    assert_eq!(event, told);
    assert_eq!(moderator.data(short, json!({ "id": by_ada })).await["redactMessage"]["message"], redacted);
    bob.leave(&room).await;
    let redacted = moderator.data(short, json!({ "id": by_bob })).await["redactMessage"]["message"].take();
    assert!(!redacted["redactedAt"].is_null(), "{redacted}");
    // Whoever it acts for is held to what people may.
    let message = ada.send(&ada.start(&[&bob]).await, SECRET).await;
    let acting = moderator.acting_as(&bob.id);
    assert_eq!(acting.refused(short, json!({ "id": message })).await, "FORBIDDEN");
    moderator.acting_as(&ada.id).data(short, json!({ "id": message })).await;
}

#[tokio::test]
async fn metadata_of_a_message_is_kept_as_it_is_and_compared_when_a_send_is_repeated() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let metadata = json!({ "b": [1, 2.5, null, true, "\u{0}\u{1f54a}"], "a": { "nested": {} } });
    let sent = send(&ada, &room, "hello", &metadata, "k").await;
    assert_eq!(sent["data"]["sendMessage"]["message"]["metadata"], metadata);
    let query = "query($id: ID!) { conversation(id: $id) { lastMessage { metadata } } }";
    assert_eq!(
        bob.data(query, json!({ "id": room })).await["conversation"]["lastMessage"]["metadata"],
        metadata
    );
    assert_eq!(id(&send(&ada, &room, "hello", &metadata, "k").await), id(&sent));
    for other in [json!({}), Value::Null] {
        assert_eq!(code(&send(&ada, &room, "hello", &other, "k").await), "IDEMPOTENCY_KEY_REUSED");
    }
    // As a literal, and with a variable in it.
    let literal = "mutation($id: ID!, $x: JSON) { sendMessage(input: { conversationId: $id, body: \"x\",
        metadata: { list: [1, \"two\", $x], flag: true } }) { message { metadata } } }";
    let data = ada.data(literal, json!({ "id": room, "x": { "y": 3 } })).await;
    assert_eq!(
        data["sendMessage"]["message"]["metadata"],
        json!({ "list": [1, "two", { "y": 3 }], "flag": true })
    );
    // Too large, and too deep.
    let deep = (0..17).fold(json!(1), |inner, _| json!([inner]));
    for wrong in [json!("x".repeat(4_095)), deep] {
        let refused = send(&ada, &room, "hello", &wrong, "other").await;
        assert_eq!(code(&refused), "BAD_INPUT");
        assert_eq!(refused["errors"][0]["extensions"]["field"], "metadata");
    }
}
