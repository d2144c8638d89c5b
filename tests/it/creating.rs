//! Creating may be repeated. A request that comes again, because its answer was lost or because two clients send it at
//! once, creates one thing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use herald::feed::InProcess;
use herald::log::{Database, DatabaseOptions, Rules, UserRow, Writer};
use herald::messaging::{
    Action, Command, ConversationId, DisplayName, Handle, IdempotencyKey, Leave, Position, Sharing, Start,
    Timestamp, UserId,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{TestApp, TestDatabase, User, code};

const START: &str = "mutation($input: StartConversationInput!) {
    startConversation(input: $input) { cursor conversation { id title } }
}";
const EVENTS: &str = "subscription($after: Cursor) { events(after: $after) {
    __typename conversation { id } ... on MessageSent { message { body } }
} }";

/// What to start, with whom.
fn with(others: &[&User]) -> Value {
    json!({ "participantHandles": others.iter().map(|user| &user.handle).collect::<Vec<_>>() })
}

/// The same, with this besides.
fn and(mut input: Value, field: &str, value: impl Into<Value>) -> Value {
    input[field] = value.into();
    input
}

fn distinct(others: &[&User]) -> Value {
    and(with(others), "distinct", true)
}

/// Starts a conversation; its id.
async fn start(user: &User, input: Value) -> String {
    let data = user.data(START, json!({ "input": input })).await;
    data["startConversation"]["conversation"]["id"].as_str().unwrap().to_owned()
}

async fn refused(user: &User, input: Value) -> String {
    user.refused(START, json!({ "input": input })).await
}

/// What a user is told after a cursor, up to and with a message that is sent now: what it is, and of which
/// conversation.
async fn told(user: &User, after: &str, by: &User, conversation: &str) -> Vec<(String, String)> {
    by.send(conversation, "the end").await;
    let mut socket = user.socket("told").await;
    socket.follow_after("e", EVENTS, after).await;
    let mut told = Vec::new();
    loop {
        let event = socket.next("e").await["events"].take();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        if event["message"]["body"] == "the end" {
            return told;
        }
        told.push((text(&event["__typename"]), text(&event["conversation"]["id"])));
    }
}

#[tokio::test]
async fn a_start_that_is_repeated_under_its_key_is_one_conversation() {
    let app = TestApp::start().await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let before = bob.cursor().await;
    let input = |people: &[&User]| and(and(with(people), "title", "Tea"), "idempotencyKey", "key 1");
    let first = start(&ada, input(&[&bob, &carol])).await;
    for _ in 0..4 {
        assert_eq!(start(&ada, input(&[&bob, &carol])).await, first);
    }
    // The order of the handles does not matter. The key belongs to the user, not to one session.
    assert_eq!(start(&ada.sign_in_again().await, input(&[&carol, &bob, &ada, &bob])).await, first);
    let started = ("ConversationStarted".to_owned(), first.clone());
    assert_eq!(told(&bob, &before, &ada, &first).await, [started]);

    assert_ne!(start(&ada, and(input(&[&bob, &carol]), "idempotencyKey", "key 2")).await, first);
    assert_ne!(start(&bob, input(&[&ada, &carol])).await, first, "everyone has keys of their own");
    let send = "mutation($id: ID!) {
        sendMessage(input: { conversationId: $id, body: \"hello\", idempotencyKey: \"key 1\" }) { message { body } }
    }";
    ada.data(send, json!({ "id": first })).await;
    assert_eq!(start(&ada, input(&[&bob, &carol])).await, first, "messages have keys of their own");
}

#[tokio::test]
async fn a_key_that_stands_for_another_start_is_refused() {
    let app = TestApp::start().await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let before = ada.cursor().await;
    let keyed = |input: Value| and(input, "idempotencyKey", "key");
    let first = start(&ada, keyed(with(&[&bob]))).await;
    for input in [
        with(&[&carol]),
        with(&[&bob, &carol]),
        with(&[&ada]),
        and(with(&[&bob]), "title", "Tea"),
        distinct(&[&bob]),
    ] {
        assert_eq!(refused(&ada, keyed(input.clone())).await, "IDEMPOTENCY_KEY_REUSED", "{input}");
    }
    assert_eq!(start(&ada, keyed(and(with(&[&bob]), "distinct", Value::Null))).await, first);
    for key in ["", " ", "a\nb", "a\0b", &"k".repeat(129)] {
        let refused = ada.post(START, json!({ "input": and(with(&[&bob]), "idempotencyKey", key) })).await;
        assert_eq!(code(&refused), "BAD_INPUT", "{key:?}");
        assert_eq!(refused["errors"][0]["extensions"]["field"], "idempotencyKey");
    }
    // A refused request does not use up its key.
    let other = |input: Value| and(input, "idempotencyKey", "another key");
    assert_eq!(refused(&ada, other(with(&[&ada]))).await, "BAD_INPUT");
    start(&ada, other(with(&[&carol]))).await;
    assert_eq!(told(&ada, &before, &ada, &first).await.len(), 2);
}

#[tokio::test]
async fn a_start_is_repeated_whoever_has_joined_or_left_since() {
    const WITH_PEOPLE: &str = "mutation($input: StartConversationInput!) { startConversation(input: $input) {
        conversation { id participants { nodes { user { handle } } } lastMessage { body readCount } }
    } }";
    let mut app = TestApp::start().await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let input = json!({ "input": and(with(&[&bob]), "idempotencyKey", "key") });
    let answer = async |ada: &User| {
        ada.data(WITH_PEOPLE, input.clone()).await["startConversation"]["conversation"].take()
    };
    let id = answer(&ada).await["id"].as_str().unwrap().to_owned();
    ada.add(&id, &[&carol]).await;
    let all = answer(&ada).await;
    assert_eq!((&all["id"], all["participants"]["nodes"].as_array().unwrap().len()), (&json!(id), 3));

    // A user who has left sees the conversation as it was then.
    let message = ada.send(&id, "goodbye").await;
    ada.leave(&id).await;
    let then = answer(&ada).await;
    assert_eq!(then["lastMessage"], json!({ "body": "goodbye", "readCount": 0 }));
    bob.mark_read(&message).await;
    bob.send(&id, "she is gone").await;
    carol.leave(&id).await;
    assert_eq!(answer(&ada).await, then);
    // A herald that has just started finds it in the database.
    app.restart().await;
    assert_eq!(answer(&ada.at(app.address)).await, then);
}

#[tokio::test]
async fn the_one_conversation_of_just_these_people_is_found_by_each_of_them() {
    let app = TestApp::start().await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let plain = start(&ada, with(&[&bob])).await;
    let before = ada.cursor().await;
    let data = ada.data(START, json!({ "input": and(distinct(&[&bob]), "title", "Tea") })).await;
    let first = data["startConversation"]["conversation"]["id"].as_str().unwrap().to_owned();
    assert_ne!(first, plain, "one that was started without `distinct` is not found");
    for (user, input) in [
        (&ada, distinct(&[&bob])),
        (&bob, distinct(&[&ada])),
        (&ada.sign_in_again().await, distinct(&[&ada, &bob, &bob])),
        (&bob, and(distinct(&[&ada]), "title", "Coffee")),
    ] {
        let again = user.data(START, json!({ "input": input })).await;
        // The title is the one from the start, and nothing was appended to the log.
        assert_eq!(again, data, "{input}");
    }
    let three = start(&carol, distinct(&[&ada, &bob])).await;
    assert_ne!(three, first);
    assert_eq!(start(&bob, distinct(&[&ada, &carol])).await, three);
    assert_ne!(start(&ada, distinct(&[&carol])).await, first);
    assert_ne!(start(&ada, with(&[&bob])).await, first, "who does not ask for it does not get it");
    let events = told(&ada, &before, &bob, &first).await;
    assert_eq!(events.len(), 4, "{events:?}");
    // These are refused as they are without `distinct`.
    assert_eq!(refused(&ada, distinct(&[&ada])).await, "BAD_INPUT");
    assert_eq!(
        refused(&ada, and(json!({ "participantHandles": ["nobody-at-all"] }), "distinct", true)).await,
        "BAD_INPUT"
    );
}

#[tokio::test]
async fn when_somebody_joins_or_leaves_it_is_not_that_of_just_these_people_any_more() {
    let app = TestApp::start().await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let first = start(&ada, distinct(&[&bob])).await;
    ada.add(&first, &[&bob]).await;
    assert_eq!(start(&bob, distinct(&[&ada])).await, first, "nobody has joined");
    ada.add(&first, &[&carol]).await;
    let second = start(&ada, distinct(&[&bob])).await;
    assert_ne!(second, first);
    let three = start(&ada, distinct(&[&bob, &carol])).await;
    assert_ne!(three, first, "it was not started with these three");
    // Now the same two people are in it as in `second`. It is still not their distinct conversation.
    carol.leave(&three).await;
    assert_eq!(start(&bob, distinct(&[&ada])).await, second);

    bob.leave(&second).await;
    let third = start(&ada, distinct(&[&bob])).await;
    assert_ne!(third, second);
    // It does not become the distinct one again when somebody comes back. So there is never more than one.
    ada.add(&second, &[&bob]).await;
    assert_eq!(start(&bob, distinct(&[&ada])).await, third);
}

#[tokio::test]
async fn what_was_found_under_a_key_is_answered_again() {
    let app = TestApp::start().await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let found = start(&ada, distinct(&[&bob])).await;
    let keyed = |input: Value| and(input, "idempotencyKey", "key");
    assert_eq!(start(&bob, keyed(distinct(&[&ada]))).await, found);
    ada.leave(&found).await;
    assert_eq!(start(&bob, keyed(distinct(&[&ada]))).await, found);
    assert_eq!(refused(&bob, keyed(distinct(&[&carol]))).await, "IDEMPOTENCY_KEY_REUSED");
    assert_ne!(start(&bob, distinct(&[&ada])).await, found);
}

#[tokio::test]
async fn those_who_start_at_once_start_one_conversation() {
    let app = TestApp::start().await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    for round in 0..5 {
        let input = and(with(&[&bob, &carol]), "idempotencyKey", format!("key {round}"));
        let again = ada.sign_in_again().await;
        let tries = [&ada, &again, &ada, &again].map(|user| start(user, input.clone()));
        let started = join_all(tries).await;
        assert!(started.iter().all(|id| *id == started[0]), "{started:?}");
        let tries = [(&ada, &bob), (&bob, &ada), (&ada, &bob), (&bob, &ada)];
        let tries = tries.map(|(user, other)| start(user, distinct(&[other])));
        let found = join_all(tries).await;
        assert!(found.iter().all(|id| *id == found[0]), "{found:?}");
        bob.leave(&found[0]).await;
    }
}

/// Whatever is decided together is decided in order: here it is known to be one batch.
#[tokio::test]
async fn of_one_batch_each_start_sees_those_before_it() {
    let files = TestDatabase::create().await;
    let patience = Duration::from_secs(5);
    let options = DatabaseOptions { url: files.url.clone(), readers: 2, patience, observer: None };
    let database = Database::open(&options).await.unwrap();
    let user = |n: u128| UserId(Uuid::from_u128(n));
    for n in 1..=3 {
        let row = UserRow {
            id: user(n),
            handle: Handle::parse(&format!("user-{n}")).unwrap(),
            display_name: DisplayName::parse("Somebody").unwrap(),
            password_hash: None,
            created_at: Timestamp(0),
            registration: None,
            external_id: None,
            disabled_at: None,
            sharing: Sharing::default(),
        };
        assert!(database.insert_user(&row).await.unwrap());
    }
    let rules = Rules { small_conversation: 32, most_participants: 100, batch: 16, queue: 64 };
    let (writer, _) = Writer::start(database.clone(), Arc::new(InProcess::default()), Arc::default(), rules);
    let start = |by: u128, with: u128, key: Option<&str>, is_distinct| {
        let conversation = ConversationId(herald::random::id());
        let key = key.map(IdempotencyKey::trusted);
        let start = Start {
            conversation,
            title: None,
            metadata: None,
            with: vec![user(with)],
            key,
            is_distinct,
            blockers: Vec::new(),
        };
        Command { actor: user(by), origin: None, via: None, action: Action::Start(start) }
    };
    let commands = [
        start(1, 2, Some("key"), false),
        start(1, 2, Some("key"), false),
        start(1, 2, None, true),
        start(2, 1, None, true),
        start(2, 1, Some("found"), true),
        start(2, 1, Some("found"), true),
        start(2, 3, Some("key"), true),
    ];
    // The writer runs only after all of these are in its queue.
    let submitted = commands.map(|command| writer.submit(command));
    let answered: Vec<_> = join_all(submitted).await.into_iter().map(Result::unwrap).collect();
    let positions: Vec<_> = answered.iter().map(|committed| committed.place.position).collect();
    assert_eq!(positions, [1, 1, 2, 2, 2, 2, 3].map(Position));
    let ids: Vec<_> = answered.iter().map(|committed| committed.conversation.unwrap()).collect();
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[2..6], [ids[2]; 4]);
    assert!(ids[0] != ids[2] && ids[2] != ids[6]);

    // The next batch reads the same facts from the database.
    let found = writer.submit(start(2, 1, None, true)).await.unwrap();
    assert_eq!((found.conversation, found.place.position), (Some(ids[2]), Position(3)));
    // In one batch, somebody leaves, another conversation is started, and it is found.
    let leave = Command {
        actor: user(1),
        origin: None,
        via: None,
        action: Action::Leave(Leave { conversation: ids[2] }),
    };
    let commands = [start(1, 2, None, true), leave, start(1, 2, None, true), start(2, 1, None, true)];
    let submitted = commands.map(|command| writer.submit(command));
    let answered: Vec<_> = join_all(submitted).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answered[0].conversation, Some(ids[2]));
    assert_ne!(answered[2].conversation, Some(ids[2]));
    assert_eq!(answered[3].conversation, answered[2].conversation);
    assert_eq!(database.head().await.unwrap().position, Position(5));
    drop(writer);
    database.close().await;
}

const REGISTER: &str = "mutation($input: RegisterInput!) { register(input: $input) { token user { id } } }";

fn newcomer(display_name: &str, password: &str, key: Option<&str>) -> Value {
    let key = key.map_or(Value::Null, Value::from);
    json!({ "input": {
        "handle": "ada", "displayName": display_name, "password": password, "idempotencyKey": key
    } })
}

#[tokio::test]
async fn a_registration_that_is_repeated_with_its_key_and_password_signs_in_the_same_user() {
    let app = TestApp::start().await;
    let register = async |name: &str, password: &str, key: Option<&str>| {
        app.post(REGISTER, newcomer(name, password, key)).await
    };
    let first = register("Ada", "a long walk", Some("key")).await["data"]["register"].take();
    let again = register("Ada", "a long walk", Some("key")).await["data"]["register"].take();
    assert_eq!(again["user"], first["user"]);
    assert_ne!(again["token"], first["token"]);
    for session in [&first, &again] {
        let bearer = format!("Bearer {}", session["token"].as_str().unwrap());
        let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
        let viewer = app.request("POST", "/graphql", &headers, br#"{"query":"{ viewer { id } }"}"#).await;
        assert_eq!(viewer.json()["data"]["viewer"], first["user"]);
    }
    for (name, password, key) in [
        ("Ada", "a short walk", Some("key")),
        ("Ada", "a long walk", Some("another key")),
        ("Ada", "a long walk", None),
        ("Ada Lovelace", "a long walk", Some("key")),
    ] {
        let refused = register(name, password, key).await;
        assert_eq!(code(&refused), "HANDLE_TAKEN", "{name} {password} {key:?}");
    }
    let refused = register("Ada", "a long walk", Some("\n")).await;
    assert_eq!(refused["errors"][0]["extensions"]["field"], "idempotencyKey");
}

#[tokio::test]
async fn a_registration_without_a_key_is_repeated_under_none() {
    let app = TestApp::start().await;
    app.post(REGISTER, newcomer("Ada", "a long walk", None)).await;
    for key in [None, Some("key")] {
        let refused = app.post(REGISTER, newcomer("Ada", "a long walk", key)).await;
        assert_eq!(code(&refused), "HANDLE_TAKEN", "{key:?}");
    }
}

#[tokio::test]
async fn those_who_register_at_once_under_one_key_are_one_user() {
    let app = TestApp::start().await;
    let tries = (0..4).map(|_| app.post(REGISTER, newcomer("Ada", "a long walk", Some("key"))));
    let users: Vec<_> =
        join_all(tries).await.iter().map(|reply| reply["data"]["register"]["user"]["id"].clone()).collect();
    assert!(users[0].is_string() && users.iter().all(|user| *user == users[0]), "{users:?}");
}
