//! `herald user export`: everything of one user, and nothing of what others said or what lets somebody in.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::command_line::run;
use crate::support::TestApp;

/// The lines of an export.
async fn export(app: &TestApp, user: &str) -> Vec<Value> {
    let (succeeded, text) = run(&["user", "export", user, "--database", &app.database.url], "").await;
    assert!(succeeded, "{text}");
    assert!(!text.contains("$argon2"), "{text}");
    // Warnings go to standard error.
    let lines = text.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

fn of<'l>(lines: &'l [Value], kind: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

#[tokio::test]
async fn an_export_has_everything_of_a_user_and_nothing_of_others() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let cleo = app.user("cleo").await;
    let other = bob.start(&[&cleo]).await;
    let theirs = bob.send(&room, "what bob says").await;
    bob.send(&other, "what ada never saw").await;
    let send = "mutation($id: ID!) { sendMessage(input: {
        conversationId: $id, body: \"what ada says\", idempotencyKey: \"draft 1\", metadata: { a: 1 } }) { cursor } }";
    ada.data(send, json!({ "id": room })).await;
    let gone = ada.send(&room, "what is redacted").await;
    ada.data(
        "mutation($id: ID!) { redactMessage(input: { messageId: $id }) { cursor } }",
        json!({ "id": gone }),
    )
    .await;
    ada.mark_read(&theirs).await;
    let own =
        "mutation($id: ID!) { updateOwnParticipation(input: { conversationId: $id, metadata: \"mine\" }) {
        cursor } }";
    ada.data(own, json!({ "id": room })).await;
    let block = "mutation($id: ID!) { blockUser(input: { userId: $id }) { user { id } } }";
    ada.data(block, json!({ "id": cleo.id })).await;
    let rename = "mutation($id: ID!, $title: String) {
        renameConversation(input: { conversationId: $id, title: $title }) { cursor } }";
    ada.data(rename, json!({ "id": room, "title": "what ada knew" })).await;
    ada.leave(&room).await;
    bob.data(rename, json!({ "id": room, "title": "what came later" })).await;

    let lines = export(&app, &format!("handle:{}", ada.handle)).await;
    assert_eq!(lines, export(&app, &ada.id).await);
    let text = lines.iter().map(ToString::to_string).collect::<String>();
    for hidden in ["what bob says", "never saw", "what is redacted", "what came later", &ada.token, &other] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    let profile = &lines[0];
    assert_eq!((&profile["type"], &profile["id"]), (&json!("profile"), &json!(ada.id)));
    assert_eq!((&profile["handle"], &profile["disabledAt"]), (&json!(ada.handle), &Value::Null));
    assert_eq!(of(&lines, "session").len(), 1);
    assert_eq!(of(&lines, "block")[0]["user"], cleo.id);
    let conversations = of(&lines, "conversation");
    assert_eq!(conversations.len(), 1);
    assert_eq!(
        (&conversations[0]["id"], &conversations[0]["title"]),
        (&json!(room), &json!("what ada knew"))
    );
    assert_eq!(conversations[0]["own"]["metadata"], "mine");
    let stays = conversations[0]["stays"].as_array().unwrap();
    assert!(stays.len() == 1 && stays[0]["role"] == "OWNER", "{stays:?}");
    assert!(stays[0]["joinedAt"].as_str() < stays[0]["leftAt"].as_str(), "{stays:?}");
    let messages = of(&lines, "message");
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0]["body"], "what ada says");
    assert_eq!(
        (&messages[0]["metadata"], &messages[0]["idempotencyKey"]),
        (&json!({ "a": 1 }), &json!("draft 1"))
    );
    assert_eq!((&messages[1]["id"], &messages[1]["body"]), (&json!(gone), &json!("")));
    assert!(messages[1]["redactedAt"].is_string());
    let marks = of(&lines, "mark");
    assert_eq!((marks.len(), &marks[0]["mark"], &marks[0]["upTo"]), (1, &json!("READ"), &json!(theirs)));
}

#[tokio::test]
async fn an_export_has_what_was_not_shared_and_what_is() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let first = ada.send(&room, "one").await;
    bob.mark_delivered(&first).await;
    let share =
        "mutation { updateProfile(input: { shareDelivered: true, shareRead: false }) { user { id } } }";
    bob.data(share, json!({})).await;
    bob.mark_read(&first).await;
    let second = ada.send(&room, "two").await;
    bob.mark_read(&second).await;
    let hide =
        "mutation($id: ID!) { updateOwnParticipation(input: { conversationId: $id, shareDelivered: false }) {
        cursor } }";
    bob.data(hide, json!({ "id": room })).await;

    let lines = export(&app, &bob.id).await;
    assert_eq!([&lines[0]["shareDelivered"], &lines[0]["shareRead"]], [&json!(true), &json!(false)]);
    let own = &of(&lines, "conversation")[0]["own"];
    assert_eq!([&own["shareDelivered"], &own["shareRead"]], [&json!(false), &json!(false)]);
    let marks: Vec<_> =
        of(&lines, "mark").iter().map(|line| [&line["mark"], &line["isShared"], &line["upTo"]]).collect();
    let (first, second) = (json!(first), json!(second));
    let (delivered, read) = (json!("DELIVERED"), json!("READ"));
    let expected = [
        [&delivered, &Value::Bool(true), &first],
        [&delivered, &Value::Bool(true), &second],
        [&read, &Value::Bool(false), &first],
        [&read, &Value::Bool(false), &second],
    ];
    assert_eq!(marks, expected);
}

#[tokio::test]
async fn an_export_of_many_pages_is_complete() {
    let app = TestApp::start().await;
    let (ada, _, room) = app.pair().await;
    for from in (0..1_010).step_by(101) {
        let texts: Vec<String> = (from..from + 101).map(|n: u32| n.to_string()).collect();
        join_all(texts.iter().map(|text| ada.send(&room, text))).await;
    }
    let lines = export(&app, &ada.id).await;
    let mut bodies: Vec<u32> =
        of(&lines, "message").iter().map(|line| line["body"].as_str().unwrap().parse().unwrap()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, (0..1_010).collect::<Vec<_>>());
}

#[tokio::test]
async fn nobody_is_exported_who_is_not_there() {
    let app = TestApp::start().await;
    for (user, told) in [
        ("handle:nobody", "There is no such user"),
        ("external:42", "There is no such user"),
        ("usr_00000000000000000000000000000007", "There is no such user"),
        ("ada", "`USER` must be a user's id, handle:NAME or external:ID"),
    ] {
        let (succeeded, text) = run(&["user", "export", user, "--database", &app.database.url], "").await;
        assert!(!succeeded && text.contains(told), "{user}: {text}");
    }
}
