//! How many SQL statements a request costs: a small fixed number, for any amount of data.

use std::sync::{Arc, Mutex};

use herald::log::Observer;
use herald::metrics::METRICS;
use serde_json::json;

use crate::support::{Setup, TestApp, User};

/// A herald, and the statements that it ran.
async fn observed() -> (TestApp, Arc<Mutex<Vec<String>>>) {
    let statements = Arc::new(Mutex::new(Vec::new()));
    let app = TestApp::with(|setup| observe(setup, &statements)).await;
    (app, statements)
}

fn observe(setup: &mut Setup, statements: &Arc<Mutex<Vec<String>>>) {
    let seen = Arc::clone(statements);
    setup.parts.observer =
        Some(Observer(Arc::new(move |sql: &str| seen.lock().unwrap().push(sql.to_owned()))));
    // The hub's own look at the head would be counted too.
    setup.args.limits.poll_interval = 3_600;
}

const LIST: &str = "query($first: Int!) {
    conversations(first: $first) { nodes {
        id title unreadCount
        lastMessage { body status recipientCount deliveredCount readCount sender { handle } }
        participants(first: 10) { nodes {
            user { handle displayName } deliveredThrough { body } readThrough { body }
        } }
        messages(last: 3) { nodes { body receipts(first: 5) { nodes { recipient { handle } readAt } } } }
    } }
}";

#[tokio::test]
async fn a_page_of_many_conversations_costs_as_many_statements_as_a_page_of_one() {
    let (app, statements) = observed().await;
    let ada = app.user("ada").await;
    for n in 0..50 {
        let other = app.user("other").await;
        let conversation = ada.start(&[&other]).await;
        let message = other.send(&conversation, &format!("message {n}")).await;
        ada.send(&conversation, "answer").await;
        ada.mark_read(&message).await;
    }
    let mut counts = Vec::new();
    for first in [1, 50] {
        statements.lock().unwrap().clear();
        let data = ada.data(LIST, json!({ "first": first })).await;
        assert_eq!(data["conversations"]["nodes"].as_array().unwrap().len(), first);
        counts.push(statements.lock().unwrap().len());
    }
    // The document limits their number, and the number of conversations does not. Within this limit, chance decides
    // which loads share a statement.
    let statements = statements.lock().unwrap();
    assert!(counts.iter().all(|count| *count <= 16), "{counts:?} statements:\n{}", statements.join("\n"));
}

#[tokio::test]
async fn all_unread_totals_of_a_request_are_one_count() {
    let (app, statements) = observed().await;
    let (ada, bob, room) = app.pair().await;
    for n in 0..3 {
        ada.send(&room, &n.to_string()).await;
    }
    let mut counts = Vec::new();
    for aliases in [1, 40] {
        let fields = (1..=aliases).map(|n| format!("u{n}: unread(cap: {n}) {{ messages }}"));
        let query = format!("{{ {} }}", fields.collect::<Vec<_>>().join(" "));
        statements.lock().unwrap().clear();
        let data = bob.data(&query, json!({})).await;
        counts.push(statements.lock().unwrap().len());
        for n in 1..=aliases {
            assert_eq!(data[format!("u{n}")]["messages"], n.min(3));
        }
    }
    assert_eq!(counts[0], counts[1], "{:?}", statements.lock().unwrap());
}

#[tokio::test]
async fn many_entities_cost_as_few_statements_as_one() {
    let statements = Arc::new(Mutex::new(Vec::new()));
    let app = TestApp::with(|setup| {
        observe(setup, &statements);
        setup.args.federation = true;
    })
    .await;
    let (ada, bob, conversation) = app.pair().await;
    let query =
        "query($r: [_Any!]!) { _entities(representations: $r) { __typename ... on Message { body } } }";
    let mut representations = Vec::new();
    for n in 0..30 {
        let message = ada.send(&conversation, &n.to_string()).await;
        representations.extend([
            json!({ "__typename": "Message", "id": message }),
            json!({ "__typename": "Conversation", "id": conversation }),
            json!({ "__typename": "User", "id": format!("usr_{n:032}") }),
        ]);
    }
    for count in [3, 90] {
        statements.lock().unwrap().clear();
        let data = bob.data(query, json!({ "r": representations[..count] })).await;
        assert_eq!(data["_entities"][count - 3]["body"], (count / 3 - 1).to_string());
        let statements = statements.lock().unwrap();
        // Chance decides which loads share a statement.
        assert!(statements.len() <= 10, "{} statements:\n{}", statements.len(), statements.join("\n"));
    }
}

#[tokio::test]
async fn a_mark_costs_the_same_whether_it_covers_one_message_or_many() {
    let (app, statements) = observed().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut counts = Vec::new();
    for messages in [1, 100] {
        let mut last = String::new();
        for n in 0..messages {
            last = ada.send(&conversation, &n.to_string()).await;
        }
        statements.lock().unwrap().clear();
        bob.mark_read(&last).await;
        counts.push(statements.lock().unwrap().len());
    }
    assert_eq!(counts[0], counts[1], "{:?}", statements.lock().unwrap());
}

#[tokio::test]
async fn the_writer_does_not_read_again_what_it_wrote() {
    let (app, statements) = observed().await;
    let (ada, bob, conversation) = app.pair().await;
    let sent = ada.send(&conversation, "hello").await;
    bob.mark_delivered(&sent).await;
    statements.lock().unwrap().clear();
    let sent = ada.send(&conversation, "hello again").await;
    bob.mark_delivered(&sent).await;
    let statements = statements.lock().unwrap();
    let (reads, writes): (Vec<_>, Vec<_>) = statements.iter().partition(|sql| sql.starts_with("SELECT"));
    assert!(reads.iter().all(|sql| sql.contains("FROM log_head")), "{reads:#?}");
    assert_eq!((reads.len(), writes.len()), (2, 2), "{statements:#?}");
}

#[tokio::test]
async fn many_at_once_share_their_statements() {
    let (app, statements) = observed().await;
    let (ada, _bob, conversation) = app.pair().await;
    statements.lock().unwrap().clear();
    let sends = (0..200).map(|n| {
        let (ada, conversation) = (ada.clone(), conversation.clone());
        async move { ada.send(&conversation, &n.to_string()).await }
    });
    futures_util::future::join_all(sends).await;
    let inserts = |table: &str| {
        let statements = statements.lock().unwrap();
        let begins = format!("INSERT INTO \"{table}\"");
        statements.iter().filter(|sql| sql.starts_with(&begins)).count()
    };
    // There is one statement for each batch, and far fewer batches than messages. The number depends on the machine.
    assert_eq!(inserts("messages"), inserts("events"));
    assert!(inserts("messages") <= 100, "{} batches for 200 messages", inserts("messages"));
}

/// What is asked about an id, the id, and who asks.
type Ask<'a> = (&'a dyn Fn(&str) -> String, &'a str, &'a User);

#[tokio::test]
async fn a_strangers_message_costs_the_statements_that_an_unknown_one_costs() {
    let (app, statements) = observed().await;
    let (ada, _, conversation) = app.pair().await;
    let (mallory, gone) = (app.user("mallory").await, app.user("gone").await);
    ada.add(&conversation, &[&gone]).await;
    let message = ada.send(&conversation, "secret").await;
    gone.leave(&conversation).await;
    let read =
        |id: &str| format!("{{ message(id: \"{id}\") {{ body status }} node(id: \"{id}\") {{ id }} }}");
    let mark = |id: &str| format!("mutation {{ markRead(input: {{ messageId: \"{id}\" }}) {{ cursor }} }}");
    let look = |id: &str| format!("{{ conversation(id: \"{id}\") {{ title }} node(id: \"{id}\") {{ id }} }}");
    let leave = |id: &str| {
        format!("mutation {{ leaveConversation(input: {{ conversationId: \"{id}\" }}) {{ cursor }} }}")
    };
    let unknown = |id: &str| id[..4].to_owned() + &"0".repeat(id.len() - 4);
    // A user who has left already knows that the message exists.
    let asks: [Ask<'_>; 6] = [
        (&read, &message, &mallory),
        (&read, &message, &gone),
        (&mark, &message, &mallory),
        (&look, &conversation, &mallory),
        (&look, &conversation, &gone),
        (&leave, &conversation, &mallory),
    ];
    for (ask, id, stranger) in asks {
        let mut counts = Vec::new();
        for id in [id, &unknown(id)] {
            // The first request puts the document and the session into the caches.
            stranger.post(&ask(id), json!({})).await;
            statements.lock().unwrap().clear();
            let answer = stranger.post(&ask(id), json!({})).await;
            assert!(!answer.to_string().contains("secret"), "{answer}");
            counts.push(statements.lock().unwrap().clone());
        }
        assert_eq!(counts[0], counts[1], "{}", ask(id));
    }
}

const FOLLOW: &str =
    "subscription($after: Cursor) { messageSent(after: $after) { message { body status } } }";

#[tokio::test]
async fn whoever_comes_back_soon_costs_neither_statements_nor_renders() {
    const SUBSCRIBERS: usize = 50;
    const MISSED: usize = 20;
    let (mut app, statements) = observed().await;
    let (ada, bob, conversation) = app.pair().await;
    let cursor = ada.cursor().await;
    for n in 0..MISSED {
        ada.send(&conversation, &n.to_string()).await;
    }
    for is_restarted in [false, true] {
        if is_restarted {
            app.restart_with(|setup| observe(setup, &statements)).await;
        }
        let mut socket = bob.at(app.address).socket("desk").await;
        let (mut first, mut renders) = (Vec::new(), Vec::new());
        for id in 0..SUBSCRIBERS {
            statements.lock().unwrap().clear();
            socket.subscribe(&id.to_string(), FOLLOW, json!({ "after": cursor })).await;
            for n in 0..MISSED {
                let event = socket.next(&id.to_string()).await;
                assert_eq!(event["messageSent"]["message"]["body"], n.to_string());
            }
            renders.push(METRICS.renders.get());
            let mut statements = std::mem::take(&mut *statements.lock().unwrap());
            // What a herald looks at while it starts, and now and then.
            let own = ["all_conversations", "seaql_migrations", r#"FROM "webhooks""#];
            statements.retain(|sql| !own.iter().any(|own| sql.contains(own)));
            // A render has the message's status counted.
            statements.retain(|sql| !sql.contains("AS recipients"));
            if id == 0 { first = statements } else { assert_eq!(statements, Vec::<String>::new()) }
        }
        // The first one has the hub read where bob takes part.
        assert_eq!(first.len(), 1, "{first:#?}");
        // Answers that are old by then are rendered once more. There would be 980 renders if nothing were shared.
        let rendered = renders[SUBSCRIBERS - 1] - renders[0];
        assert!(rendered <= MISSED as u64, "{rendered} renders");
    }
    let replayed = |from| format!("herald_events_replayed_total{{from=\"{from}\"}}");
    let text = METRICS.text();
    assert!(text.contains(&format!("{} {}\n", replayed("memory"), 2 * SUBSCRIBERS * MISSED)), "{text}");
    assert!(text.contains(&format!("{} 0\n", replayed("log"))), "{text}");
}
