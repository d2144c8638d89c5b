//! How often a user may create something, and that one address does not hold up others.

use herald::config::{Limits, Switch};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{TestApp, User, code, request};

const START: &str = "mutation($handles: [String!]!) {
    startConversation(input: { participantHandles: $handles }) { conversation { id } }
}";

const FIND: &str = "mutation($handles: [String!]!) {
    startConversation(input: { participantHandles: $handles, distinct: true }) { conversation { id } }
}";

const ADD: &str = "mutation($id: ID!, $handles: [String!]!) {
    addParticipants(input: { conversationId: $id, handles: $handles }) { cursor }
}";

async fn limited(adapt: impl FnOnce(&mut Limits)) -> TestApp {
    TestApp::with(|setup| {
        setup.args.rate_limit = Switch::On;
        adapt(&mut setup.args.limits);
    })
    .await
}

/// How often this can be asked before it is refused, as too often, with the time to wait; 100 if it is not by then.
async fn times(user: &User, query: &str, variables: Value) -> usize {
    for times in 0..100 {
        let response = user.post(query, variables.clone()).await;
        if response.get("errors").is_some() {
            assert_eq!(code(&response), "RATE_LIMITED", "{response}");
            assert!(response["errors"][0]["extensions"]["retryAfter"].as_u64() > Some(0), "{response}");
            return times;
        }
    }
    100
}

#[tokio::test]
async fn nobody_starts_conversations_with_the_same_person_again_and_again() {
    let app = limited(|_| {}).await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let started = times(&ada, START, json!({ "handles": [bob.handle] })).await;
    assert!((10..=12).contains(&started), "{started}");
    // This also counts when an existing conversation is found.
    let found = times(&bob, FIND, json!({ "handles": [ada.handle] })).await;
    assert!((10..=12).contains(&found), "{found}");
    // Conversations with other people, and by other people, are still allowed.
    ada.start(&[&carol]).await;
    carol.start(&[&bob]).await;
}

#[tokio::test]
async fn nobody_is_added_again_as_often_as_they_leave() {
    let app = limited(|_| {}).await;
    let (ada, bob, carol) = (app.user("ada").await, app.user("bob").await, app.user("carol").await);
    let conversation = ada.start(&[&carol]).await;
    let again = json!({ "id": conversation, "handles": [bob.handle] });
    let mut added = 0;
    let refused = loop {
        let response = ada.post(ADD, again.clone()).await;
        if response.get("errors").is_some() {
            break response;
        }
        bob.leave(&conversation).await;
        added += 1;
        assert!(added < 50, "never refused");
    };
    assert_eq!(code(&refused), "RATE_LIMITED");
    assert!((10..=12).contains(&added), "{added}");
    carol.add(&conversation, &[&bob]).await;
}

#[tokio::test]
async fn an_invitation_counts_once_for_each_who_is_invited() {
    let app = limited(|limits| {
        limits.invitations_per_minute = 6;
        limits.max_participants = 12;
        limits.invitations_per_person = 1_000;
        limits.conversations_per_minute = 20;
    })
    .await;
    let mut users = Vec::new();
    for _ in 0..7 {
        users.push(app.user("user").await);
    }
    let handles: Vec<_> = users[2..].iter().map(|user| &user.handle).collect();
    let with_many = times(&users[0], START, json!({ "handles": handles })).await;
    let with_one = times(&users[1], START, json!({ "handles": handles[..1] })).await;
    assert!((2..=3).contains(&with_many), "{with_many}");
    assert!((12..=14).contains(&with_one), "{with_one}");
    // Adding people counts like starting a conversation.
    let conversation = users[2].start(&[&users[3]]).await;
    let added = times(&users[2], ADD, json!({ "id": conversation, "handles": handles })).await;
    assert!((2..=3).contains(&added), "{added}");
}

#[tokio::test]
async fn conversations_and_marks_have_a_rate() {
    let app = limited(|limits| {
        limits.conversations_per_minute = 2;
        limits.marks_per_second = 1;
    })
    .await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let conversation = ada.start(&[&bob]).await;
    let started = times(&ada, START, json!({ "handles": [bob.handle] })).await;
    assert!((3..=4).contains(&started), "{started}");
    let message = ada.send(&conversation, "hello").await;
    let mark = "mutation($id: ID!) { markRead(input: { messageId: $id }) { cursor } }";
    assert!((10..100).contains(&times(&bob, mark, json!({ "id": message })).await));
    assert_eq!(code(&app.post(START, json!({ "handles": [bob.handle] })).await), "UNAUTHENTICATED");
}

#[tokio::test]
async fn whatever_changes_a_conversation_or_a_message_has_a_rate() {
    let app = limited(|limits| {
        limits.sends_per_second = 1;
        limits.marks_per_second = 1;
        limits.invitations_per_minute = 20;
        limits.max_participants = 20;
    })
    .await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let room = ada.start(&[&bob]).await;
    let sent = ada.send(&room, "hello").await;
    let variables = json!({ "id": room, "message": sent, "handles": [bob.handle] });
    for (user, declared, field) in [
        (&ada, "$message: ID!", "redactMessage(input: { messageId: $message }) { cursor }"),
        (&bob, "$id: ID!", "markRead(input: { conversationId: $id }) { cursor }"),
        (&ada, "$id: ID!", "updateOwnParticipation(input: { conversationId: $id, metadata: 1 }) { cursor }"),
        (
            &ada,
            "$id: ID!, $handles: [String!]!",
            "removeParticipants(input: { conversationId: $id, handles: $handles }) { cursor }",
        ),
    ] {
        let query = format!("mutation({declared}) {{ {field} }}");
        let times = times(user, &query, variables.clone()).await;
        assert!((9..100).contains(&times), "{field}: {times}");
    }
    // Redactions and changes count as messages do.
    let update = "mutation($id: ID!) { updateConversation(input: { conversationId: $id, title: \"Tea\" }) { cursor } }";
    assert!(times(&ada, update, json!({ "id": room })).await < 9);
}

#[tokio::test]
async fn wrong_logins_of_one_address_keep_nobody_else_from_signing_in() {
    let app = TestApp::with(|setup| {
        setup.args.trust_proxy = true;
        setup.args.limits.max_hashing = 1;
    })
    .await;
    let ada = app.user("ada").await;
    let (address, handle) = (app.address, ada.handle.clone());
    let login = move |from: &'static str, password: &'static str| {
        let input = json!({ "handle": handle, "password": password });
        let query = "mutation($input: LoginInput!) { login(input: $input) { token } }";
        let body = json!({ "query": query, "variables": { "input": input } }).to_string();
        async move {
            let headers = [("content-type", "application/json"), ("x-forwarded-for", from)];
            request(address, "POST", "/graphql", &headers, body.as_bytes()).await.json()
        }
    };
    let mut wrong = JoinSet::new();
    for _ in 0..200 {
        wrong.spawn(login("192.0.2.1", "not the password"));
    }
    // Now as many sign-ins of that address wait as herald allows.
    while code(&wrong.join_next().await.expect("a refusal").unwrap()) != "RATE_LIMITED" {}
    for from in ["192.0.2.2", "2001:db8::1"] {
        let right = login(from, "correct horse battery").await;
        assert!(right["data"]["login"]["token"].is_string(), "{right}");
    }
    let mut waited = 0;
    while let Some(response) = wrong.join_next().await {
        waited += usize::from(code(&response.unwrap()) == "INVALID_CREDENTIALS");
    }
    assert!(waited > 0, "whoever signed in waited for all of the others");
}

#[tokio::test]
async fn whoever_asks_for_much_is_counted_by_how_much_it_may_be() {
    // The burst is the most complex operation that is allowed, and the rate is 200 fields a second.
    let app = limited(|limits| {
        limits.max_complexity = 2_000;
        limits.fields_per_second = 200;
    })
    .await;
    let (ada, bob, conversation) = app.pair().await;
    ada.send(&conversation, "first").await;
    let page = "query($first: Int) { conversations(first: $first) { nodes { id title } } }";
    let asked = times(&bob, page, json!({ "first": 100 })).await;
    assert!((5..=12).contains(&asked), "{asked}");
    let little = times(&ada, page, json!({ "first": 1 })).await;
    assert_eq!(little, 100, "who asks for little is not refused");
}

#[tokio::test]
async fn a_subscription_that_costs_more_than_its_rate_waits_and_loses_nothing() {
    let app = limited(|limits| {
        limits.max_complexity = 1_000;
        limits.fields_per_second = 500;
        limits.subscriber_queue = 4;
    })
    .await;
    let (ada, bob, conversation) = app.pair().await;
    let mut socket = bob.socket("desk").await;
    let dear = "subscription($after: Cursor) { messageSent(after: $after) { message { body
        conversation { messages(last: 150) { nodes { body id } } } } } }";
    socket.follow("m", dear).await;
    for n in 0..40 {
        ada.send(&conversation, &n.to_string()).await;
    }
    for n in 0..40 {
        assert_eq!(socket.next("m").await["messageSent"]["message"]["body"], n.to_string());
    }
}

#[tokio::test]
async fn documents_that_are_refused_cost_their_sender_something() {
    let app = limited(|limits| {
        limits.fields_per_second = 1;
        limits.max_complexity = 20_000;
    })
    .await;
    let known = "{ __typename }";
    app.post(known, json!({})).await;
    let refused = |n: usize| format!("{{ none{n} {} }}", "x ".repeat(3_000));
    let mut codes = Vec::new();
    for n in 0..100 {
        codes.push(code(&app.post(&refused(n), json!({})).await).to_owned());
    }
    assert_eq!((&*codes[0], &*codes[99]), ("GRAPHQL_VALIDATION_FAILED", "RATE_LIMITED"), "{codes:?}");
    // What is known is not read again.
    assert_eq!(app.post(known, json!({})).await, json!({ "data": { "__typename": "Query" } }));
}

#[tokio::test]
async fn questions_about_the_schema_cost_more_than_other_questions() {
    let app = limited(|limits| limits.fields_per_second = 10_000).await;
    let ask = "{ __schema { queryType { name } } }";
    let mut answered = 0;
    while app.post(ask, json!({})).await.get("errors").is_none() {
        answered += 1;
    }
    assert!((1..=3).contains(&answered), "{answered}");
}

#[tokio::test]
async fn the_schema_of_a_subgraph_costs_as_much_as_a_question_about_the_schema() {
    let app = TestApp::with(|setup| {
        setup.args.federation = true;
        setup.args.rate_limit = Switch::On;
        setup.args.limits.fields_per_second = 10_000;
    })
    .await;
    let ask = "{ a: _service { sdl } b: _service { sdl } c: _service { sdl } d: _service { sdl } }";
    assert_eq!(code(&app.post(ask, json!({})).await), "RATE_LIMITED");
}
