//! A database that fails: no answer claims success, no event is delivered, and herald recovers by itself.

use sea_orm::{ConnectionTrait, Database, DbBackend};
use serde_json::{Value, json};

use crate::support::{TestApp, User};

const SEND: &str = "mutation($id: ID!, $body: String!) {
    sendMessage(input: { conversationId: $id, body: $body }) { message { id } }
}";

const SENT: &str = "subscription($after: Cursor) { messageSent(after: $after) { message { body } } }";

/// Makes the database fail whenever a message says `poison` or `venom`, in the two ways in which it fails when the
/// disk is full: SQLite rolls the whole transaction back by itself, or just the statement.
async fn poison(app: &TestApp) {
    let database = Database::connect(&app.database.url).await.unwrap();
    let statements: &[&str] = match database.get_database_backend() {
        DbBackend::Postgres => &[
            "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'poisoned'; END $$",
            "CREATE TRIGGER poison BEFORE INSERT ON messages FOR EACH ROW \
             WHEN (NEW.body IN ('poison', 'venom')) EXECUTE FUNCTION poison()",
        ],
        _ => &[
            "CREATE TRIGGER poison BEFORE INSERT ON messages WHEN NEW.body = 'poison' \
             BEGIN SELECT RAISE(ROLLBACK, 'poisoned'); END",
            "CREATE TRIGGER venom BEFORE INSERT ON messages WHEN NEW.body = 'venom' \
             BEGIN SELECT RAISE(ABORT, 'poisoned'); END",
        ],
    };
    for statement in statements {
        database.execute_unprepared(statement).await.unwrap();
    }
    database.close().await.unwrap();
}

async fn history(user: &User, conversation: &str) -> Vec<String> {
    let query = "query($id: ID!) { conversation(id: $id) { messages(first: 200) { nodes { body } } } }";
    let data = user.data(query, json!({ "id": conversation })).await;
    let nodes = data["conversation"]["messages"]["nodes"].as_array().unwrap();
    nodes.iter().map(|node| node["body"].as_str().unwrap().to_owned()).collect()
}

// At the first failure SQLite rolls the transaction back by itself. If the driver did not notice, it would run later
// statements in a transaction that nobody commits.
#[tokio::test]
async fn a_failure_is_unavailable_and_what_is_answered_after_it_is_stored() {
    let mut app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    poison(&app).await;
    let mut socket = bob.socket("desk").await;
    socket.follow("m", SENT).await;
    ada.send(&conversation, "before").await;
    for body in ["poison", "venom"] {
        let code = ada.refused(SEND, json!({ "id": conversation, "body": body })).await;
        assert_eq!(code, "UNAVAILABLE");
    }
    ada.send(&conversation, "after").await;
    assert_eq!(history(&bob, &conversation).await, ["before", "after"]);
    for expected in ["before", "after"] {
        assert_eq!(socket.next("m").await["messageSent"]["message"]["body"], expected);
    }
    app.restart().await;
    let bob = User { address: app.address, ..bob };
    assert_eq!(history(&bob, &conversation).await, ["before", "after"]);
}

#[tokio::test]
async fn one_that_the_database_cannot_take_does_not_spoil_the_others_in_its_batch() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    poison(&app).await;
    let sends = (0..60).map(|n| {
        let (ada, conversation) = (ada.clone(), conversation.clone());
        async move {
            let body = if n % 20 == 7 { "poison".to_owned() } else { n.to_string() };
            let response = ada.post(SEND, json!({ "id": conversation, "body": body })).await;
            (body, response)
        }
    });
    let answers: Vec<(String, Value)> = futures_util::future::join_all(sends).await;
    let mut stored = history(&bob, &conversation).await;
    stored.sort_unstable();
    let mut answered = Vec::new();
    for (body, response) in answers {
        if body == "poison" {
            assert_eq!(crate::support::code(&response), "UNAVAILABLE");
        } else {
            assert!(response.get("errors").is_none(), "{body}: {response}");
            answered.push(body);
        }
    }
    answered.sort_unstable();
    assert_eq!(stored, answered);
}

#[tokio::test]
async fn a_damaged_row_fails_its_own_command_and_no_other_in_the_batch() {
    let mut app = TestApp::start().await;
    let (ada, bob, sound) = app.pair().await;
    let (cleo, _, damaged) = app.pair().await;
    let database = Database::connect(&app.database.url).await.unwrap();
    let damage = "UPDATE conversations SET participant_count = -1 \
         WHERE latest_position = (SELECT MAX(latest_position) FROM conversations)";
    database.execute_unprepared(damage).await.unwrap();
    database.close().await.unwrap();
    // A herald that wrote the row knows it, and does not read it.
    app.restart().await;
    let [ada, bob, cleo] = [ada, bob, cleo].map(|user| user.at(app.address));
    let sends = (0..60).map(|n| {
        let (user, conversation) = if n % 20 == 7 { (&cleo, &damaged) } else { (&ada, &sound) };
        async move {
            let response = user.post(SEND, json!({ "id": conversation, "body": n.to_string() })).await;
            (conversation, response)
        }
    });
    let answers: Vec<(&String, Value)> = futures_util::future::join_all(sends).await;
    for (conversation, response) in answers {
        if *conversation == damaged {
            assert_eq!(crate::support::code(&response), "INTERNAL");
        } else {
            assert!(response.get("errors").is_none(), "{response}");
        }
    }
    assert_eq!(history(&bob, &sound).await.len(), 57);
    // The fields that do not need the damaged row are answered.
    let shown = cleo.data("{ conversations(first: 5) { nodes { id title } } }", json!({})).await;
    assert_eq!(shown["conversations"]["nodes"][0]["id"], damaged.as_str());
}

#[tokio::test]
async fn a_row_that_cannot_be_decoded_fails_its_own_command_and_no_other_in_the_batch() {
    let mut app = TestApp::start().await;
    if app.database.file().is_none() {
        // Postgres enforces the type of each column, so this damage cannot be stored.
        return;
    }
    let (ada, _, sound) = app.pair().await;
    let (cleo, _, damaged) = app.pair().await;
    let database = Database::connect(&app.database.url).await.unwrap();
    let damage = "UPDATE conversations SET participant_count = 'many' \
         WHERE latest_position = (SELECT MAX(latest_position) FROM conversations)";
    database.execute_unprepared(damage).await.unwrap();
    database.close().await.unwrap();
    app.restart().await;
    let [ada, cleo] = [ada, cleo].map(|user| user.at(app.address));
    let sends =
        (0..60).map(|n| {
            let (user, conversation) = if n % 20 == 7 { (&cleo, &damaged) } else { (&ada, &sound) };
            async move {
                (conversation, user.post(SEND, json!({ "id": conversation, "body": n.to_string() })).await)
            }
        });
    for (conversation, response) in futures_util::future::join_all(sends).await {
        assert_eq!(response.get("errors").is_some(), *conversation == damaged, "{response}");
    }
}
