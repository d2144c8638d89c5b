//! Owners and members: who owns a conversation, who may remove people, who is told, and what the removed see.

use herald::metrics::METRICS;
use serde_json::{Value, json};

use crate::support::{Hold, TestApp, User, code, until};

const FOLLOW: &str = "subscription($after: Cursor, $id: ID) { events(after: $after, conversationId: $id) {
    __typename
    ... on MessageSent { message { body } }
    ... on ParticipantsRemoved { removedBy { handle } users { handle } conversation { participants { nodes {
        user { handle } role
    } } } }
    ... on ParticipantLeft { user { handle } newOwner { handle } conversation { myRole } }
} }";

async fn remove(user: &User, conversation: &str, others: &[&User]) -> Value {
    let handles: Vec<_> = others.iter().map(|user| &user.handle).collect();
    let remove = "mutation($input: ParticipantsInput!) { removeParticipants(input: $input) {
        conversation { participants { nodes { user { handle } role } } } cursor } }";
    user.post(remove, json!({ "input": { "conversationId": conversation, "handles": handles } })).await
}

/// The handle of everybody in a conversation with their role, in the order of joining, and the viewer's own role.
async fn roles(viewer: &User, conversation: &str) -> (Vec<(String, String)>, String) {
    let query = "query($id: ID!) { conversation(id: $id) { myRole participants { nodes { role user { handle } } } } }";
    let data = viewer.data(query, json!({ "id": conversation })).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let nodes = data["conversation"]["participants"]["nodes"].as_array().unwrap();
    let roles = nodes.iter().map(|node| (text(&node["user"]["handle"]), text(&node["role"]))).collect();
    (roles, text(&data["conversation"]["myRole"]))
}

fn owners(roles: &[(String, String)]) -> Vec<&str> {
    roles.iter().filter(|(_, role)| role == "OWNER").map(|(handle, _)| handle.as_str()).collect()
}

#[tokio::test]
async fn everybody_is_told_and_for_the_removed_it_is_the_last_event() {
    let app = TestApp::start().await;
    let (ada, bob, cleo) = (app.user("ada").await, app.user("bob").await, app.user("cleo").await);
    let room = ada.start(&[&bob, &cleo]).await;
    let start = ada.cursor().await;
    let (mut bobs, mut cleos) = (bob.socket("desk").await, cleo.socket("desk").await);
    bobs.follow_after("e", FOLLOW, &start).await;
    cleos.subscribe("e", FOLLOW, json!({ "after": start, "id": room })).await;

    let removed = remove(&ada.on("desk"), &room, &[&cleo, &cleo]).await;
    let left = &removed["data"]["removeParticipants"]["conversation"]["participants"]["nodes"];
    assert_eq!(left.as_array().unwrap().len(), 2, "{removed}");
    ada.send(&room, "among us").await;
    for socket in [&mut bobs, &mut cleos] {
        let told = socket.next("e").await;
        let event = &told["events"];
        assert_eq!(event["__typename"], "ParticipantsRemoved", "{told}");
        assert_eq!(event["removedBy"]["handle"], ada.handle);
        assert_eq!(event["users"], json!([{ "handle": cleo.handle }]));
        let present = &event["conversation"]["participants"]["nodes"];
        assert!(!present.to_string().contains(&cleo.handle), "{told}");
    }
    assert_eq!(bobs.next("e").await["events"]["message"]["body"], "among us");
    // The subscription to this one conversation ends, and the conversation is gone for her.
    assert_eq!(cleos.receive().await["type"], "complete");
    let query = "query($id: ID!) { conversation(id: $id) { id } conversations { nodes { id } } }";
    let data = cleo.data(query, json!({ "id": room })).await;
    assert_eq!(data, json!({ "conversation": null, "conversations": { "nodes": [] } }));

    // On replay it is the same, and nothing comes after it.
    let mut again = cleo.socket("phone").await;
    again.follow_after("e", FOLLOW, &start).await;
    assert_eq!(again.next("e").await["events"]["__typename"], "ParticipantsRemoved");
    ada.add(&room, &[&cleo]).await;
    assert_eq!(again.next("e").await["events"]["__typename"], "ParticipantsJoined");
    // To remove somebody who takes no part changes nothing.
    remove(&ada, &room, &[&cleo]).await;
    let cursor = ada.cursor().await;
    assert!(remove(&ada, &room, &[&cleo]).await.get("errors").is_none());
    assert_eq!(ada.cursor().await, cursor);
}

#[tokio::test]
async fn only_an_owner_removes_and_nobody_themselves() {
    let app = TestApp::start().await;
    let (ada, bob, cleo) = (app.user("ada").await, app.user("bob").await, app.user("cleo").await);
    let room = ada.start(&[&bob]).await;
    assert_eq!(code(&remove(&bob, &room, &[&ada]).await), "FORBIDDEN");
    let oneself = remove(&ada, &room, &[&bob, &ada]).await;
    assert_eq!(
        (code(&oneself), &oneself["errors"][0]["extensions"]["field"]),
        ("BAD_INPUT", &json!("handles"))
    );
    // Who takes no part learns nothing of it.
    assert_eq!(code(&remove(&cleo, &room, &[&ada]).await), "NOT_FOUND");
    assert_eq!(code(&remove(&ada, "cnv_1", &[&bob]).await), "NOT_FOUND");
    assert_eq!(code(&remove(&ada, &room, &[]).await), "BAD_INPUT");

    let distinct = "mutation($handle: String!) { startConversation(input: {
        participantHandles: [$handle], distinct: true }) { conversation { id } } }";
    let data = ada.data(distinct, json!({ "handle": bob.handle })).await;
    let pair = data["startConversation"]["conversation"]["id"].as_str().unwrap();
    assert_eq!(code(&remove(&ada, pair, &[&bob]).await), "FORBIDDEN");
    // Once somebody has joined, it is a conversation like any other.
    ada.add(pair, &[&cleo]).await;
    assert!(remove(&ada, pair, &[&bob]).await.get("errors").is_none());
    assert!(remove(&ada, pair, &[&cleo]).await.get("errors").is_none());
}

#[tokio::test]
async fn whoever_has_taken_part_for_longest_owns_it_when_the_owner_leaves() {
    let app = TestApp::start().await;
    let (ada, bob, cleo) = (app.user("ada").await, app.user("bob").await, app.user("cleo").await);
    let room = ada.start(&[&bob]).await;
    bob.add(&room, &[&cleo]).await;
    let start = ada.cursor().await;
    let (all, own) = roles(&bob, &room).await;
    assert_eq!((owners(&all), own.as_str()), (vec![ada.handle.as_str()], "MEMBER"));
    assert_eq!(roles(&ada, &room).await.1, "OWNER");

    ada.leave(&room).await;
    let (all, own) = roles(&bob, &room).await;
    assert_eq!((owners(&all), own.as_str()), (vec![bob.handle.as_str()], "OWNER"));
    // Whoever comes back is a member.
    bob.add(&room, &[&ada]).await;
    assert_eq!(roles(&ada, &room).await.1, "MEMBER");
    assert_eq!(code(&remove(&ada, &room, &[&cleo]).await), "FORBIDDEN");
    bob.leave(&room).await;
    assert_eq!(owners(&roles(&ada, &room).await.0), [&cleo.handle]);

    // The event names the next owner. Whoever left sees what they could do then.
    let mut socket = bob.socket("desk").await;
    socket.follow_after("e", FOLLOW, &start).await;
    let first = socket.next("e").await;
    assert_eq!(first["events"]["newOwner"]["handle"], bob.handle, "{first}");
    assert_eq!(first["events"]["conversation"]["myRole"], "OWNER");
    assert_eq!(socket.next("e").await["events"]["__typename"], "ParticipantsJoined");
    assert_eq!(socket.next("e").await["events"]["newOwner"]["handle"], cleo.handle);
    // A member who leaves changes nothing of it, and the last one leaves it to nobody.
    ada.leave(&room).await;
    assert_eq!(owners(&roles(&cleo, &room).await.0), [&cleo.handle]);
    let last = cleo.cursor().await;
    cleo.leave(&room).await;
    let mut socket = cleo.socket("desk").await;
    socket.follow_after("e", FOLLOW, &last).await;
    assert_eq!(socket.next("e").await["events"]["newOwner"], Value::Null);
}

#[tokio::test]
async fn all_who_leave_at_once_leave_it_to_somebody_who_stays() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let mut others = Vec::new();
    for n in 0..8 {
        others.push(app.user(&format!("user{n}")).await);
    }
    let room = ada.start(&others.iter().collect::<Vec<_>>()).await;
    let (stays, leave) = others.split_last().unwrap();
    let leaving = leave.iter().chain([&ada]).map(|user| user.leave(&room));
    futures_util::future::join_all(leaving).await;
    assert_eq!(owners(&roles(stays, &room).await.0), [&stays.handle]);
}

// The event waits while the subscriber is busy with the one before it. When it was queued, everything in the conversation
// was the subscriber's to see.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_that_waited_shows_the_removed_nothing_of_what_happened_afterwards() {
    let (mut hold, observer) = Hold::on("FROM conversations c WHERE c.id IN");
    let app = TestApp::with(|setup| setup.parts.observer = Some(observer)).await;
    let (ada, bob, cleo) = (app.user("ada").await, app.user("bob").await, app.user("cleo").await);
    let room = ada.start(&[&bob, &cleo]).await;
    let mut socket = bob.socket("desk").await;
    let shown = "subscription($after: Cursor) { messageSent(after: $after) {
        message { body } conversation { title participants { nodes { user { handle } } } } } }";
    socket.follow("m", shown).await;
    hold.arm();
    ada.send(&room, "one").await;
    hold.held().await;
    ada.send(&room, "two").await;
    until(|| async { METRICS.log_position.get() == 3 }).await;
    remove(&ada, &room, &[&bob]).await;
    remove(&ada, &room, &[&cleo]).await;
    let rename = "mutation($id: ID!) { renameConversation(input: { conversationId: $id, title: \"secret\" }) { cursor } }";
    ada.data(rename, json!({ "id": room })).await;
    until(|| async { METRICS.log_position.get() == 6 }).await;
    hold.let_go();
    assert_eq!(socket.next("m").await["messageSent"]["message"]["body"], "one");
    let told = socket.next("m").await;
    assert_eq!(told["messageSent"]["message"]["body"], "two");
    let conversation = &told["messageSent"]["conversation"];
    assert_eq!(conversation["title"], Value::Null, "{told}");
    // As of the removal, after which nobody but the other two took part.
    let there: Vec<_> = conversation["participants"]["nodes"].as_array().unwrap().iter().collect();
    let handles: Vec<_> = there.iter().map(|node| node["user"]["handle"].as_str().unwrap()).collect();
    assert_eq!(handles, [ada.handle, cleo.handle]);
}
