//! `herald check`: it finds a sound log sound, and names the first row that breaks a promise.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use herald::log::{DatabaseOptions, check};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, TransactionTrait};
use serde_json::json;

use crate::command_line::run;
use crate::support::{TABLES, TestApp};

/// Makes the log one of an earlier version, without chains. So no chain shows that an event is wrong.
const UNCHAINED: &str = "UPDATE events SET chain = 0; UPDATE log_head SET chain = 0";

fn options(app: &TestApp) -> DatabaseOptions {
    let url = app.database.url.clone();
    DatabaseOptions { url, readers: 1, patience: Duration::from_secs(5), observer: None }
}

/// A herald with some of everything: 13 events. The comments name their positions.
async fn busy() -> TestApp {
    let app = TestApp::start().await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    app.user("dave").await;
    let room = ada.start(&[&bob, &carol]).await; // 1
    let first = ada.send(&room, "one").await; // 2
    bob.mark_read(&first).await; // 3
    carol.leave(&room).await; // 4
    let second = bob.send(&room, "two").await; // 5
    ada.add(&room, &[&carol]).await; // 6
    ada.mark_delivered(&second).await; // 7
    ada.mark_read(&second).await; // 8
    let send = "mutation($id: ID!, $key: String!) {
        sendMessage(input: { conversationId: $id, body: \"three\", idempotencyKey: $key }) { message { id } } }";
    let third = ada.on("desk").data(send, json!({ "id": room, "key": "k" })).await; // 9
    carol.mark_read(third["sendMessage"]["message"]["id"].as_str().unwrap()).await; // 10
    let start = "mutation($handle: String!) {
        startConversation(input: { participantHandles: [$handle], distinct: true, idempotencyKey: \"k\" }) {
            conversation { id } } }";
    let other = carol.data(start, json!({ "handle": bob.handle })).await; // 11
    let other = other["startConversation"]["conversation"]["id"].as_str().unwrap().to_owned();
    carol.data(send, json!({ "id": other, "key": "k" })).await; // 12
    carol.start(&[&bob]).await; // 13
    bob.sign_in_again().await.data("mutation { logout { ended } }", json!({})).await;
    app
}

/// A connection that does not enforce foreign keys.
async fn connect(app: &TestApp) -> DatabaseConnection {
    let mut options = ConnectOptions::new(&app.database.url);
    options.max_connections(1).sqlx_logging(false);
    let connection = Database::connect(options).await.unwrap();
    let lenient = match connection.get_database_backend() {
        DbBackend::Postgres => "SET session_replication_role = replica",
        _ => "PRAGMA foreign_keys = OFF",
    };
    connection.execute_unprepared(lenient).await.unwrap();
    connection
}

async fn execute(connection: &DatabaseConnection, statements: impl IntoIterator<Item = String>) {
    let transaction = connection.begin().await.unwrap();
    for statement in statements {
        transaction
            .execute_unprepared(&statement)
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_log_is_checked_beside_the_herald_that_writes_it() {
    let app = busy().await;
    let (succeeded, text) = run(&["check", "--database", &app.database.url], "").await;
    assert!(succeeded, "{text}");
    assert!(text.contains("13 events, 4 messages, 3 conversations, 8 stays."), "{text}");
    assert!(text.ends_with("The log is sound.\n"), "{text}");
    let connection = connect(&app).await;
    execute(&connection, ["UPDATE conversations SET participant_count = 7".into()]).await;
    let (succeeded, text) = run(&["check", "--database", &app.database.url], "").await;
    assert!(!succeeded && text.contains("participant_count is 7, but"), "{text}");
}

#[tokio::test]
async fn an_empty_log_is_sound_and_one_that_is_not_there_is_not_made() {
    let mut app = TestApp::start().await;
    assert_eq!(check(&options(&app)).await.unwrap().events, 0);
    app.stop().await;
    let Some(file) = app.database.file() else { return };
    let nowhere = DatabaseOptions { url: app.database.url.replace("herald.db", "other.db"), ..options(&app) };
    check(&nowhere).await.unwrap_err();
    assert!(!file.with_file_name("other.db").exists());
}

#[tokio::test]
async fn a_log_of_several_pages_is_read_to_its_end() {
    let app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let with = [&bob];
    // Some at a time: what is tried here is the log, and not how many connections are answered at once.
    let sends = stream::iter(0..260).map(|_| ada.send(&room, "again"));
    sends.buffer_unordered(32).collect::<Vec<_>>().await;
    let starts = stream::iter(0..260).map(|_| ada.start(&with));
    starts.buffer_unordered(32).collect::<Vec<_>>().await;
    let census = check(&options(&app)).await.unwrap();
    assert_eq!(census.to_string(), "521 events, 260 messages, 261 conversations, 522 stays");
    let connection = connect(&app).await;
    execute(&connection, ["UPDATE participants SET joined_at = 5 WHERE joined_position = 521".into()]).await;
    assert!(check(&options(&app)).await.unwrap_err().contains("joined at 521: joined_at is 5"));
}

// The events before the first chain are not protected by chains. From the first chain on, every event is.
#[tokio::test]
async fn a_log_that_was_begun_without_chains_is_sound() {
    let mut app = busy().await;
    app.stop().await;
    let connection = connect(&app).await;
    execute(&connection, [UNCHAINED.into()]).await;
    app.restart().await;
    let (ada, bob, room) = app.pair().await;
    ada.send(&room, "hello").await;
    assert_eq!(check(&options(&app)).await.unwrap().events, 15);
    execute(&connection, ["UPDATE events SET chain = 0 WHERE position = 15".into()]).await;
    assert!(check(&options(&app)).await.unwrap_err().contains("event 15: its chain"));
    drop(bob);
}

#[tokio::test]
async fn the_first_row_that_breaks_a_promise_is_named() {
    let mut app = busy().await;
    app.stop().await;
    let connection = connect(&app).await;
    let is_postgres = connection.get_database_backend() == DbBackend::Postgres;
    let user = |name| format!("(SELECT id FROM users WHERE handle LIKE '{name}-%')");
    let told = if is_postgres {
        "(SELECT uuid_send(id) FROM users WHERE handle LIKE 'dave-%')".to_owned()
    } else {
        user("dave")
    };
    let event =
        |what: &str, position| format!("{UNCHAINED}; UPDATE events SET {what} WHERE position = {position}");
    let room = "(SELECT conversation_id FROM events WHERE position = 1)";
    let damages = [
        // Order.
        ("DELETE FROM events WHERE position = 4".to_owned(), "event 5: the one before it is 3"),
        ("UPDATE events SET chain = chain + 1 WHERE position = 5".into(), "event 5: its chain"),
        ("UPDATE events SET chain = 0 WHERE position = 12".into(), "event 12: its chain"),
        ("UPDATE events SET origin_connection = 'x' WHERE position = 9".into(), "event 9: its chain"),
        (event("at_micros = at_micros - 60000000", 5), "event 5: it is not later"),
        // The head.
        ("UPDATE log_head SET position = 14".into(), "log_head: position 14"),
        ("UPDATE log_head SET chain = 5".into(), "log_head: position 13 and chain 5"),
        ("UPDATE log_head SET at_micros = 5".into(), "log_head: at_micros is 5"),
        ("DELETE FROM log_head".into(), "log_head: its row is missing"),
        // Messages.
        ("DELETE FROM messages WHERE position = 2".into(), "row 2 of events: kind needs a message"),
        ("UPDATE messages SET position = 4 WHERE position = 5".into(), "row 5 of events: kind needs a message"),
        (event("kind = 3", 12), "message at 12: no event"),
        ("UPDATE messages SET position = 99 WHERE position = 12".into(), "row 12 of events: kind needs a message"),
        (format!("UPDATE messages SET sender_id = {} WHERE position = 2", user("dave")), "event 2: its message"),
        ("UPDATE messages SET sent_at_micros = 5 WHERE position = 2".into(), "event 2: its message"),
        (format!("UPDATE messages SET conversation_id = {room} WHERE position = 12"), "event 12: its message"),
        // Participation.
        (event("kind = 99", 4), "row 4 of events: kind is unknown"),
        (event(&format!("actor_id = {}", user("dave")), 4), "who caused it, takes no part"),
        (event(&format!("actor_id = {}", user("dave")), 9), "event 9: its message"),
        (event(&format!("conversation_id = {}", user("dave")), 4), "event 4: its conversation was never started"),
        (event("kind = 1", 6), "event 6: the user who started the conversation is not in it"),
        (event("kind = 1, users = (SELECT users FROM events WHERE position = 1)", 6), "event 6: its conversation was started before"),
        (event("users = (SELECT users FROM events WHERE position = 1)", 6), "who takes part already"),
        (event("users = substr(users, 1, 15)", 6), "row 6 of events: users has 15 bytes"),
        (event("users = substr(users, 1, 0)", 6), "event 6: it brings in nobody"),
        // Marks.
        (event("from_position = 0", 8), "event 8: its mark begins at 0, but had come to 1"),
        (event("from_position = 3", 8), "event 9: the one before it tells a part of a mark"),
        (event("through_position = 1", 8), "event 8: its mark goes from 1 to 1"),
        (event("through_position = 9", 8), "event 8: its mark goes from 1 to 9"),
        (event("through_position = 3", 8), "event 8: its mark names 3, but"),
        (event("through_position = 2", 8), "event 8: its mark names 2, a message of the user who marked"),
        (event("through_position = 5", 10), "event 10: its mark names 5, but"),
        (event(&format!("users = {told}"), 8), "who never took part"),
        (event("kind = 10, data = 'x'", 9), "row 9 of events: data cannot be read"),
        (event("kind = 10, data = '{}'", 9), "event 9: it changes nothing"),
        // Redaction.
        ("UPDATE messages SET redacted_at_micros = 5 WHERE position = 2".into(), "message at 2: it is redacted, but no event"),
        (event("kind = 9", 3), "may not redact a message at 2"),
        (event("kind = 9, actor_id = (SELECT actor_id FROM events WHERE position = 9)", 10), "it redacts the message at 9, whose row"),
        // Conversations.
        ("UPDATE conversations SET latest_position = 8 WHERE latest_position = 9".into(), "latest_position is 8, but 9"),
        ("UPDATE conversations SET participant_count = 2 WHERE participant_count = 3".into(), "participant_count is 2, but 3"),
        ("UPDATE conversations SET created_at = 5".into(), "created_at is 5"),
        (format!("UPDATE conversations SET id = {} WHERE id = {room}", user("dave")), "no event started it"),
        (format!("DELETE FROM conversations WHERE id = {room}"), "was started, but is not stored"),
        // Participants.
        ("UPDATE participants SET left_position = NULL WHERE left_position = 4".into(), "left_position is NULL, but 4"),
        ("UPDATE participants SET left_position = 7 WHERE left_position = 4".into(), "left_position is 7, but 4"),
        ("UPDATE participants SET joined_position = 2 WHERE left_position = 4".into(), "no event brought this user in there"),
        ("UPDATE participants SET joined_at = 5 WHERE joined_position = 6".into(), "joined_at is 5"),
        ("UPDATE participants SET delivered_through = 12 WHERE joined_position = 6".into(), "delivered_through is 12, but 9"),
        ("UPDATE participants SET read_through = 1 WHERE joined_position = 6".into(), "read_through is 1, but 9"),
        ("UPDATE participants SET read_through = 3 WHERE joined_position = 1 AND left_position = 4".into(), "read_through is 3, but 9"),
        ("UPDATE participants SET owner_since = 12 WHERE owner_since = 11".into(), "owner_since is 12, but 11"),
        ("UPDATE participants SET owner_since = 6 WHERE joined_position = 6".into(), "owner_since is 6, but NULL"),
        ("DELETE FROM participants WHERE joined_position = 6".into(), "at 6, but no row of participants says so"),
        (format!("UPDATE participants SET user_id = {} WHERE joined_position = 6", user("dave")), "no event brought this user in"),
        ("DELETE FROM users WHERE handle LIKE 'bob-%'".into(), "there is no such user"),
        // What is shared.
        ("UPDATE participants SET read_shared_after = NULL WHERE joined_position = 6".into(), "stays: 1: this many do not"),
        ("UPDATE users SET share_delivered = FALSE WHERE handle LIKE 'bob-%'".into(), "stays: 3: this many do not share"),
        ("UPDATE participants SET read_shared_after = 3 WHERE joined_position = 6".into(), "stays: 1: this many do not share"),
        // Sessions.
        ("UPDATE log_head SET sessions_ended = 0".into(), "session end 1: log_head"),
        ("UPDATE session_ends SET session_id = (SELECT id FROM sessions LIMIT 1)".into(), "session end 1: its session"),
        ("DELETE FROM users WHERE handle LIKE 'dave-%'".into(), "sessions: 1: this many belong to no user"),
        // Starts.
        (format!("UPDATE starts SET actor_id = {}", user("dave")), "they never took part"),
        (format!("UPDATE starts SET conversation_id = {}", user("dave")), "they never took part"),
        ("UPDATE conversations SET people = (SELECT request FROM starts) WHERE latest_position = 9".into(), "people is set"),
        ("UPDATE conversations SET people = (SELECT request FROM starts) WHERE latest_position = 12".into(), "people does not"),
        ("UPDATE conversations SET people = substr(people, 1, 31)".into(), ": people has 31 bytes, not 32"),
        ("UPDATE conversations SET people = (SELECT people FROM conversations WHERE latest_position = 12) WHERE latest_position = 13".into(), "latest_position 13: another one has the same people"),
        // Keys. Their index would refuse this row, so it is dropped first.
        ("DROP INDEX messages_by_idempotency_key; UPDATE messages SET idempotency_key = 'k' WHERE position = 2".into(), "message at 9: its sender used"),
    ];
    execute(&connection, TABLES.map(|table| format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")))
        .await;
    for (damage, named) in damages {
        execute(&connection, damage.split("; ").map(str::to_owned)).await;
        let found = check(&options(&app)).await;
        let found = found.err().unwrap_or_else(|| panic!("{damage}: is sound"));
        assert!(found.contains(named), "{damage}: {found}");
        let emptied = TABLES.iter().rev().map(|table| format!("DELETE FROM {table}"));
        let filled = TABLES.map(|table| format!("INSERT INTO {table} SELECT * FROM kept_{table}"));
        execute(&connection, emptied.chain(filled)).await;
    }
    check(&options(&app)).await.unwrap();
}
