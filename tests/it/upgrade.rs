//! A database that an earlier version of herald has made.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use herald::log::{DatabaseOptions, check};
use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Database, Statement};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::command_line::run;
use crate::support::{TestApp, TestDatabase, User};

/// The migrations of the last version in which times were milliseconds.
const BEFORE: u32 = 3;

/// A conversation of two, as that version stored it: several events in one millisecond, and a clock set back.
const TIMES: [i64; 5] =
    [1_764_000_000_000, 1_764_000_000_500, 1_764_000_000_500, 1_763_999_000_000, 1_764_000_000_501];

async fn made_before(url: &str) -> (Uuid, Uuid, Uuid) {
    let database = Database::connect(url).await.unwrap();
    Migrator::up(&database, Some(BEFORE)).await.unwrap();
    let (ada, bob, conversation) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
    let run = async |sql: &str, values: Vec<sea_orm::Value>| {
        let statement = Statement::from_sql_and_values(database.get_database_backend(), sql, values);
        database.execute_raw(statement).await.unwrap();
    };
    run("INSERT INTO log_head (id, epoch, position) VALUES (1, 77, 5)", vec![]).await;
    for (id, name) in [(ada, "ada"), (bob, "bob")] {
        let sql = "INSERT INTO users (id, handle, display_name, password_hash, created_at) VALUES ($1, $2, $3, '', $4)";
        run(sql, vec![id.into(), name.into(), name.into(), 1_763_000_000_000_i64.into()]).await;
    }
    let sql = "INSERT INTO conversations (id, title, created_at, latest_position, participant_count) \
         VALUES ($1, NULL, $2, 5, 2)";
    run(sql, vec![conversation.into(), TIMES[0].into()]).await;
    for id in [ada, bob] {
        let sql = "INSERT INTO participants (conversation_id, user_id, joined_position, joined_at, \
             delivered_through, read_through) VALUES ($1, $2, 1, $3, 1, 1)";
        run(sql, vec![conversation.into(), id.into(), TIMES[0].into()]).await;
    }
    for (position, at) in (1_i64..).zip(TIMES) {
        let users =
            (position == 1).then(|| [ada, bob].iter().flat_map(|id| *id.as_bytes()).collect::<Vec<u8>>());
        let sql = "INSERT INTO events (position, kind, conversation_id, actor_id, users, at) \
             VALUES ($1, $2, $3, $4, $5, $6)";
        let kind: i64 = if position == 1 { 1 } else { 4 };
        let values =
            vec![position.into(), kind.into(), conversation.into(), ada.into(), users.into(), at.into()];
        run(sql, values).await;
        if position > 1 {
            let sql = "INSERT INTO messages (position, id, conversation_id, sender_id, body, sent_at) \
                 VALUES ($1, $2, $3, $4, $5, $6)";
            let id = Uuid::from_u128(100 + u128::from(position.cast_unsigned()));
            let values = vec![
                position.into(),
                id.into(),
                conversation.into(),
                ada.into(),
                position.to_string().into(),
                at.into(),
            ];
            run(sql, values).await;
        }
    }
    database.close().await.unwrap();
    (ada, bob, conversation)
}

/// A user of then, whose password nobody knows, in a session that is stored as signing in stores it.
async fn signed_in(app: &TestApp, user: Uuid) -> User {
    let token = [7_u8; 32];
    let database = Database::connect(&app.database.url).await.unwrap();
    let values: Vec<sea_orm::Value> = vec![
        Uuid::from_u128(9).into(),
        Sha256::digest(token).to_vec().into(),
        user.into(),
        herald::clock::Clock::default().now().0.into(),
    ];
    let sql = "INSERT INTO sessions (id, token_hash, user_id, created_at, last_used_at, expires_at) \
         VALUES ($1, $2, $3, $4, $4, $4 + 3600000000)";
    let statement = Statement::from_sql_and_values(database.get_database_backend(), sql, values);
    database.execute_raw(statement).await.unwrap();
    database.close().await.unwrap();
    User {
        address: app.address,
        handle: "bob".into(),
        id: String::new(),
        token: URL_SAFE_NO_PAD.encode(token),
        connection: None,
        acts_as: None,
    }
}

/// A cursor as that version gave it out.
fn cursor_of_before(position: i64) -> String {
    let mut bytes: Vec<u8> = [77, position].into_iter().flat_map(i64::to_be_bytes).collect();
    let check = Sha256::new().chain_update(b"herald cursor").chain_update(&bytes).finalize();
    bytes.extend(&check[..4]);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test]
async fn a_log_of_before_there_were_chains_goes_on_and_its_cursors_too() {
    let database = TestDatabase::create().await;
    let (_, bob, conversation) = made_before(&database.url).await;
    let app = TestApp::on(database, |_| {}).await;
    let bob = signed_in(&app, bob).await;
    let id = format!("cnv_{}", conversation.simple());
    let query = "query($id: ID!) { conversation(id: $id) { createdAt messages(first: 9) { nodes { body sentAt } } } }";
    let data = bob.data(query, json!({ "id": id })).await["conversation"].take();
    assert_eq!(data["createdAt"], "2025-11-24T16:00:00.000000Z");
    let nodes = data["messages"]["nodes"].as_array().unwrap();
    let times: Vec<&str> = nodes.iter().map(|node| node["sentAt"].as_str().unwrap()).collect();
    assert_eq!(
        times,
        [
            "2025-11-24T16:00:00.500000Z",
            "2025-11-24T16:00:00.500001Z",
            "2025-11-24T16:00:00.500002Z",
            "2025-11-24T16:00:00.501000Z"
        ]
    );
    let events = "subscription($after: Cursor) { messageSent(after: $after) { cursor message { body } } }";
    let mut socket = bob.socket("desk").await;
    socket.follow_after("m", events, &cursor_of_before(3)).await;
    for body in ["4", "5"] {
        assert_eq!(socket.next("m").await["messageSent"]["message"]["body"], body);
    }
    let carol = app.user("carol").await;
    carol.start(&[&bob]).await;
    let send = "mutation($id: ID!) { sendMessage(input: { conversationId: $id, body: \"6\" }) { cursor } }";
    bob.on("phone").data(send, json!({ "id": id })).await;
    assert_eq!(socket.next("m").await["messageSent"]["message"]["body"], "6");
    // A cursor of the earlier version still works.
    let mut again = bob.socket("tablet").await;
    again.follow_after("m", events, &cursor_of_before(5)).await;
    assert_eq!(again.next("m").await["messageSent"]["message"]["body"], "6");
}

/// A herald of before, on a Postgres that a later one has migrated.
#[tokio::test]
async fn what_an_earlier_herald_does_not_know_of_it_can_neither_read_nor_write() {
    let app = TestApp::start().await;
    if app.database.file().is_some() {
        return;
    }
    let database = Database::connect(&app.database.url).await.unwrap();
    for statement in [
        "INSERT INTO events (position, kind, conversation_id, actor_id, at) SELECT 1, 3, gen_random_uuid(), gen_random_uuid(), 0",
        "INSERT INTO events (position, kind, conversation_id, actor_id, at_micros) SELECT 1, 3, gen_random_uuid(), gen_random_uuid(), 0",
        "SELECT at FROM events",
        "SELECT sent_at FROM messages",
    ] {
        assert!(database.execute_unprepared(statement).await.is_err(), "{statement}");
    }
    database.close().await.unwrap();
}

/// What the migration to owners and metadata adds is taken away, with what came later to the same tables, as if it had
/// never been.
const BEFORE_OWNERS: [&str; 13] = [
    "DROP INDEX participants_present",
    "DROP INDEX events_by_update",
    "DROP TABLE own_participations",
    "ALTER TABLE participants DROP COLUMN owner_since",
    "ALTER TABLE messages DROP COLUMN metadata",
    "ALTER TABLE messages DROP COLUMN redacted_at_micros",
    "ALTER TABLE conversations DROP COLUMN metadata",
    "ALTER TABLE participants DROP COLUMN delivered_shared_after",
    "ALTER TABLE participants DROP COLUMN read_shared_after",
    "ALTER TABLE users DROP COLUMN share_delivered",
    "ALTER TABLE users DROP COLUMN share_read",
    "DELETE FROM seaql_migrations WHERE version = 'm20261209_000013_sharing'",
    "DELETE FROM seaql_migrations WHERE version = 'm20261203_000008_conversations'",
];

const ROLE: &str = "query($id: ID!) { conversation(id: $id) { myRole } }";

/// Three people with three conversations: one whose owner stays, one whose owners leave one after another, and one that
/// everybody leaves.
struct Owners {
    people: [User; 3],
    kept: String,
    moved: String,
}

impl Owners {
    async fn meet(app: &TestApp) -> Self {
        let (ada, bob, cleo) = (app.user("ada").await, app.user("bob").await, app.user("cleo").await);
        let kept = ada.start(&[&bob, &cleo]).await;
        let moved = ada.start(&[&bob]).await;
        bob.add(&moved, &[&cleo]).await;
        ada.leave(&moved).await;
        cleo.add(&moved, &[&ada]).await;
        bob.leave(&moved).await;
        let empty = bob.start(&[&ada]).await;
        for user in [&bob, &ada] {
            user.leave(&empty).await;
        }
        Self { people: [ada, bob, cleo], kept, moved }
    }

    /// Everybody has the role that follows from the log, and so has every stay, also one that has ended.
    async fn are_known(&self, app: &TestApp) {
        let [ada, bob, cleo] = &self.people;
        for (user, conversation, expected) in [
            (ada, &self.kept, "OWNER"),
            (bob, &self.kept, "MEMBER"),
            (cleo, &self.moved, "OWNER"),
            (ada, &self.moved, "MEMBER"),
        ] {
            let data = user.at(app.address).data(ROLE, json!({ "id": conversation })).await;
            assert_eq!(data["conversation"]["myRole"], expected, "{}", user.handle);
        }
        assert_eq!(check(&options(app)).await.unwrap().unowned, 0);
    }
}

pub(crate) fn options(app: &TestApp) -> DatabaseOptions {
    let (url, patience) = (app.database.url.clone(), std::time::Duration::from_secs(5));
    DatabaseOptions { url, readers: 1, patience, observer: None }
}

pub(crate) async fn execute(app: &TestApp, statements: &[&str]) {
    let database = Database::connect(&app.database.url).await.unwrap();
    for statement in statements {
        database.execute_unprepared(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    database.close().await.unwrap();
}

#[tokio::test]
async fn conversations_of_before_there_were_owners_get_them_from_the_log() {
    let mut app = TestApp::start().await;
    let owners = Owners::meet(&app).await;
    app.stop().await;
    execute(&app, &BEFORE_OWNERS).await;
    app.restart().await;
    owners.are_known(&app).await;
}

/// What the log and the rows are like where a herald of before there were owners wrote them: it names no successor.
const WITHOUT_OWNERS: [&str; 4] = [
    "UPDATE participants SET owner_since = NULL",
    "UPDATE events SET users = NULL WHERE kind = 3",
    "UPDATE events SET chain = 0",
    "UPDATE log_head SET chain = 0",
];

// Such a herald may go on beside a later one, which has added what owners need.
#[tokio::test]
async fn conversations_that_an_earlier_herald_started_beside_this_one_get_their_owners_at_the_next_start() {
    let mut app = TestApp::start().await;
    let owners = Owners::meet(&app).await;
    app.stop().await;
    execute(&app, &WITHOUT_OWNERS).await;
    assert_eq!(check(&options(&app)).await.unwrap().unowned, 3);
    let (succeeded, text) = run(&["check", "--database", &app.database.url], "").await;
    assert!(succeeded && text.contains("3 conversations have no owner") && text.contains("sound"), "{text}");
    app.restart().await;
    owners.are_known(&app).await;
    // An owner leaves by an earlier herald.
    let [_, bob, cleo] = &owners.people;
    let [bob, cleo] = [bob.at(app.address), cleo.at(app.address)];
    let last = cleo.start(&[&bob]).await;
    cleo.leave(&last).await;
    app.stop().await;
    execute(
        &app,
        &[
            "UPDATE participants SET owner_since = NULL WHERE owner_since = (SELECT position FROM log_head)",
            WITHOUT_OWNERS[1],
            WITHOUT_OWNERS[2],
            WITHOUT_OWNERS[3],
        ],
    )
    .await;
    assert_eq!(check(&options(&app)).await.unwrap().unowned, 1);
    app.restart().await;
    let data = bob.at(app.address).data(ROLE, json!({ "id": last })).await;
    assert_eq!(data["conversation"]["myRole"], "OWNER");
    assert_eq!(check(&options(&app)).await.unwrap().unowned, 0);
}

#[tokio::test]
async fn an_owner_whom_an_event_names_or_beside_whom_another_is_noted_is_missed() {
    let mut app = TestApp::start().await;
    Owners::meet(&app).await;
    app.stop().await;
    // Bob owned it until he left.
    execute(&app, &["UPDATE participants SET owner_since = NULL WHERE owner_since = 4"]).await;
    let found = check(&options(&app)).await.unwrap_err();
    assert!(found.contains("owner_since is NULL, but 4"), "{found}");
    execute(&app, &[WITHOUT_OWNERS[1], WITHOUT_OWNERS[2], WITHOUT_OWNERS[3]]).await;
    let found = check(&options(&app)).await.unwrap_err();
    assert!(found.contains("since 4, but no row of participants says so"), "{found}");
}

// What a node remembers of participants holds only until another gives them roles.
#[tokio::test]
async fn a_herald_that_serves_learns_of_owners_whom_another_one_finds() {
    let mut app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let cleo = app.user("cleo").await;
    ada.add(&room, &[&cleo]).await;
    app.stop().await;
    // The start does not look at what is before this position.
    execute(&app, &[WITHOUT_OWNERS[0], "UPDATE log_head SET owned_through = 1000000"]).await;
    app.restart().await;
    let ada = ada.at(app.address);
    ada.send(&room, "nobody owns this").await;
    let remove = "mutation($id: ID!, $handles: [String!]!) {
        removeParticipants(input: { conversationId: $id, handles: $handles }) { cursor } }";
    let variables = json!({ "id": room, "handles": [cleo.handle] });
    assert_eq!(ada.refused(remove, variables.clone()).await, "FORBIDDEN");
    // Nor does any start, but this looks at all of it.
    let (succeeded, text) = run(&["migrate", "--database", &app.database.url], "").await;
    assert!(succeeded, "{text}");
    ada.data(remove, variables).await;
    assert_eq!(check(&options(&app)).await.unwrap().unowned, 0);
    drop(bob);
}

#[tokio::test]
async fn a_start_gives_many_conversations_their_owners_and_goes_on_where_it_cannot() {
    let mut app = TestApp::start().await;
    let (ada, bob, _) = app.pair().await;
    // More than are looked at together.
    for _ in 0..22 {
        let people = [&bob];
        futures_util::future::join_all((0..50).map(|_| ada.start(&people))).await;
    }
    app.stop().await;
    let (refuse, allow) = if app.database.file().is_some() {
        (
            "CREATE TRIGGER refused BEFORE UPDATE OF owner_since ON participants BEGIN SELECT RAISE(ABORT, 'no'); END",
            "DROP TRIGGER refused",
        )
    } else {
        (
            "ALTER TABLE participants ADD CONSTRAINT refused CHECK (owner_since IS NULL)",
            "ALTER TABLE participants DROP CONSTRAINT refused",
        )
    };
    execute(&app, &[WITHOUT_OWNERS[0], "UPDATE log_head SET owned_through = 0", refuse]).await;
    app.restart().await;
    assert_eq!(check(&options(&app)).await.unwrap().unowned, 1_101);
    app.stop().await;
    execute(&app, &[allow]).await;
    app.restart().await;
    assert_eq!(check(&options(&app)).await.unwrap().unowned, 0);
}
