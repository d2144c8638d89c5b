//! Users who leave and come back many times: what they cost, and that others do not notice it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use herald::feed::InProcess;
use herald::log::{Database, DatabaseOptions, Observer, Rules, SubmitError, Writer};
use herald::messaging::{
    Action, Add, Body, Command, ConversationId, Handle, Leave, MessageId, Refusal, Send, UserId,
};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{TestApp, User, code};

const RULES: Rules = Rules { small_conversation: 1, most_participants: 1_000, batch: 256, queue: 100_000 };

/// The same log, beside the herald that serves it.
async fn log(app: &TestApp) -> (Database, Writer) {
    let patience = Duration::from_secs(10);
    let options = DatabaseOptions { url: app.database.url.clone(), readers: 2, patience, observer: None };
    let database = Database::open_beside(&options).await.unwrap();
    let (writer, _) = Writer::start(database.clone(), Arc::new(InProcess::default()), Arc::default(), RULES);
    (database, writer)
}

fn id<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("an id: {text}"))
}

/// Carries out many commands, in their order.
async fn carry_out(writer: &Writer, commands: Vec<(&User, Action)>) {
    let submissions = commands.into_iter().map(|(user, action)| {
        let command = Command { actor: id(&user.id), origin: None, via: None, action };
        writer.submit(command)
    });
    for outcome in futures_util::future::join_all(submissions).await {
        outcome.unwrap();
    }
}

fn send(conversation: ConversationId, body: &str) -> Action {
    let message = MessageId(herald::random::id());
    Action::Send(Send { conversation, message, body: Body::trusted(body), metadata: None, key: None })
}

/// Has `bob` leave and be added again by `ada`, so many times. Ada says "seen" while he is there and "missed" while he
/// is not.
async fn come_and_go(writer: &Writer, ada: &User, bob: &User, conversation: &str, times: usize) {
    let conversation: ConversationId = id(conversation);
    let mut commands = Vec::new();
    for n in 0..times {
        commands.push((ada, send(conversation, &format!("seen {n}"))));
        commands.push((bob, Action::Leave(Leave { conversation })));
        commands.push((ada, send(conversation, &format!("missed {n}"))));
        commands
            .push((ada, Action::Add(Add { conversation, users: vec![id(&bob.id)], blockers: Vec::new() })));
    }
    carry_out(writer, commands).await;
}

const LOOK: &str = "query($id: ID!, $after: String) {
    conversations(first: 50) { nodes {
        unreadCount lastMessage { body status } messages(last: 2) { nodes { body } }
        participants { nodes { user { handle } readThrough { body } deliveredThrough { body } } }
    } }
    conversation(id: $id) {
        unreadCount lastMessage { body }
        newest: messages(last: 200) { nodes { id body readCount } pageInfo { startCursor hasPreviousPage } }
        oldest: messages(first: 200) { nodes { body receipts { nodes { readAt } } } }
        next: messages(first: 3, after: $after) { nodes { body } }
        previous: messages(last: 3, before: $after) { nodes { body } }
    }
}";

const GLANCE: &str = "query($id: ID!) { conversation(id: $id) {
    unreadCount lastMessage { id body status } messages(last: 1) { nodes { body } }
    participants { nodes { readThrough { body } } }
} }";

fn bodies(nodes: &Value) -> Vec<&str> {
    nodes["nodes"].as_array().unwrap().iter().map(|node| node["body"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn whoever_came_and_went_a_thousand_times_reads_and_marks_as_anybody_does() {
    const TIMES: usize = 1_010;
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let start = bob.cursor().await;
    let (_, writer) = log(&app).await;
    come_and_go(&writer, &ada, &bob, &conversation, TIMES).await;

    let data = bob.data(LOOK, json!({ "id": conversation, "after": null })).await;
    let room = &data["conversation"];
    assert_eq!(room["unreadCount"], TIMES);
    let expected: Vec<_> = (TIMES - 200..TIMES).map(|n| format!("seen {n}")).collect();
    assert_eq!(bodies(&room["newest"]), expected);
    let expected: Vec<_> = (0..200).map(|n| format!("seen {n}")).collect();
    assert_eq!(bodies(&room["oldest"]), expected);
    assert_eq!(room["lastMessage"]["body"], format!("seen {}", TIMES - 1));
    // Pages from a place in the middle, in both directions.
    let after = &room["newest"]["pageInfo"]["startCursor"];
    let data = bob.data(LOOK, json!({ "id": conversation, "after": after })).await;
    let first = TIMES - 200;
    let [next, previous] = [[1, 2, 3].map(|n| first + n), [3, 2, 1].map(|n| first - n)]
        .map(|list| list.map(|n| format!("seen {n}")));
    assert_eq!(bodies(&data["conversation"]["next"]), next);
    assert_eq!(bodies(&data["conversation"]["previous"]), previous);

    // A mark covers the messages of all stays, and their sender is told of it.
    let mut socket = ada.socket("desk").await;
    let follow =
        "subscription($after: Cursor) { statusChanged(after: $after) { messages(first: 200) { body } } }";
    socket.follow("s", follow).await;
    let newest = room["newest"]["nodes"][199]["id"].as_str().unwrap();
    bob.mark_read(newest).await;
    let told = socket.next("s").await;
    let messages = told["statusChanged"]["messages"].as_array().unwrap();
    let told: Vec<_> = messages.iter().map(|message| message["body"].as_str().unwrap()).collect();
    let expected: Vec<_> = (TIMES - 200..TIMES).rev().map(|n| format!("seen {n}")).collect();
    assert_eq!(told, expected);
    let data = bob.data(LOOK, json!({ "id": conversation, "after": null })).await;
    assert_eq!(data["conversation"]["unreadCount"], 0);

    // From the beginning, he receives the messages from while he took part.
    let mut socket = bob.socket("desk").await;
    let follow = "subscription($after: Cursor) { messageSent(after: $after) { message { body } } }";
    socket.follow_after("s", follow, &start).await;
    for n in 0..TIMES {
        let data = socket.next("s").await;
        assert_eq!(data["messageSent"]["message"]["body"], format!("seen {n}"));
    }
}

#[tokio::test]
async fn no_statement_grows_with_the_times_that_somebody_came_and_went() {
    let longest = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&longest);
    let app = TestApp::with(|setup| {
        setup.args.limits.small_conversation = 1;
        setup.parts.observer = Some(Observer(Arc::new(move |sql: &str| {
            let mut longest = seen.lock().unwrap();
            // By this one herald looks now and then whether every table is there.
            let is_own = sql.contains("all_conversations");
            if !is_own && sql.len() > longest.len() {
                sql.clone_into(&mut longest);
            }
        })));
    })
    .await;
    let (_, writer) = log(&app).await;
    let mut lengths = Vec::new();
    for times in [1, 40] {
        let (ada, bob, conversation) = app.pair().await;
        come_and_go(&writer, &ada, &bob, &conversation, times).await;
        longest.lock().unwrap().clear();
        let data = bob.data(GLANCE, json!({ "id": conversation })).await;
        let reading = std::mem::take(&mut *longest.lock().unwrap());
        // The first mark updates every stay with unread messages. Later marks do not.
        bob.mark_read(data["conversation"]["lastMessage"]["id"].as_str().unwrap()).await;
        // Later events are read when the hub applies them, so they do not disturb the count.
        let mut socket = bob.socket("desk").await;
        socket.follow("s", "subscription($after: Cursor) { messageSent(after: $after) { cursor } }").await;
        let last = ada.send(&conversation, "last").await;
        socket.next("s").await;
        longest.lock().unwrap().clear();
        bob.mark_read(&last).await;
        let marking = std::mem::take(&mut *longest.lock().unwrap());
        lengths.push([reading, marking]);
    }
    assert_eq!(lengths[0], lengths[1]);
}

#[tokio::test]
async fn a_key_that_fails_spoils_no_other_answer() {
    let app = TestApp::start().await;
    if app.database.file().is_none() {
        // Postgres enforces the types, so this damage cannot be stored.
        return;
    }
    let (ada, bob, broken) = app.pair().await;
    ada.send(&broken, "cannot be read").await;
    let mut sound = Vec::new();
    for n in 0..20 {
        let conversation = ada.start(&[&bob]).await;
        ada.send(&conversation, &format!("message {n}")).await;
        sound.insert(0, format!("message {n}"));
    }
    let database = sea_orm::Database::connect(&app.database.url).await.unwrap();
    let spoil = "UPDATE messages SET body = CAST(x'ff' AS TEXT) WHERE body = 'cannot be read'";
    database.execute_unprepared(spoil).await.unwrap();

    let list = "{ conversations(first: 50) { nodes { lastMessage { body status } } } }";
    let answer = bob.post(list, json!({})).await;
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{answer}");
    assert_eq!(code(&answer), "INTERNAL");
    assert_eq!(errors[0]["path"], json!(["conversations", "nodes", 20, "lastMessage"]));
    let nodes = answer["data"]["conversations"]["nodes"].as_array().unwrap();
    let read: Vec<_> = nodes[..20].iter().map(|node| node["lastMessage"]["body"].as_str().unwrap()).collect();
    assert_eq!(read, sound);
    assert_eq!(nodes[20]["lastMessage"], Value::Null);
}

#[tokio::test]
async fn a_statement_with_more_keys_than_a_database_takes_is_taken_apart() {
    let app = TestApp::start().await;
    let (ada, _, conversation) = app.pair().await;
    let (database, writer) = log(&app).await;
    // More than the 65,535 parameters that Postgres allows.
    let nobody = (0..66_000).map(|n| Handle::parse(&format!("nobody-{n}")).unwrap());
    let handles: Vec<_> = nobody.chain([Handle::parse(&ada.handle).unwrap()]).collect();
    let found = database.users_by_handle(&handles).await.unwrap();
    assert_eq!(found.iter().map(|user| user.handle.as_str()).collect::<Vec<_>>(), [ada.handle.as_str()]);

    let users = (1..=33_000).map(|n| UserId(Uuid::from_u128(n))).collect();
    let action = Action::Add(Add { conversation: id(&conversation), users, blockers: Vec::new() });
    let refused = writer.submit(Command { actor: id(&ada.id), origin: None, via: None, action }).await;
    assert_eq!(refused, Err(SubmitError::Refused(Refusal::TooManyParticipants { most: 1_000 })));
}
