//! `Event.previous`: what a subscription was told before, so that a client sees what something in between dropped.

use herald::metrics::METRICS;
use serde_json::{Value, json};

use crate::support::{Follower, TestApp, Transport, User};

const EVENTS: &str = "subscription($after: Cursor, $own: Boolean) { events(after: $after, includeOwn: $own) {
    cursor previous ... on MessageSent { message { body } } } }";

/// Reads so many events, each of which must name the one before it.
async fn chained(follower: &mut Follower, field: &str, mut before: Value, count: usize) -> Vec<Value> {
    let mut told = Vec::new();
    for _ in 0..count {
        let event = follower.next().await[field].take();
        assert_eq!(event["previous"], before, "{event}");
        before = event["cursor"].clone();
        assert!(before.is_string());
        told.push(event);
    }
    told
}

fn bodies(told: &[Value]) -> Vec<&str> {
    told.iter().map(|event| event["message"]["body"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_event_names_what_was_told_before_it_over_every_transport() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    for transport in Transport::ALL {
        let start = json!(bob.cursor().await);
        ada.send(&conversation, "replayed").await;
        let variables = json!({ "after": start });
        let mut follower = Follower::subscribe(transport, &bob, "desk", EVENTS, variables).await;
        let told = chained(&mut follower, "events", start, 1).await;
        ada.send(&conversation, "live").await;
        let told =
            [told.clone(), chained(&mut follower, "events", told[0]["cursor"].clone(), 1).await].concat();
        assert_eq!(bodies(&told), ["replayed", "live"], "{transport:?}");
    }
}

#[tokio::test]
async fn a_subscription_without_a_cursor_is_told_that_there_was_nothing_before() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let mut follower = Follower::subscribe(Transport::EventStream, &bob, "desk", EVENTS, json!({})).await;
    // The stream has begun when its head is here.
    ada.send(&conversation, "one").await;
    ada.send(&conversation, "two").await;
    let told = chained(&mut follower, "events", Value::Null, 2).await;
    assert_eq!(bodies(&told), ["one", "two"]);
}

#[tokio::test]
async fn what_is_left_out_and_what_a_filter_hides_does_not_count() {
    const SENT: &str = "subscription($after: Cursor, $own: Boolean) {
        messageSent(after: $after, includeOwn: $own) { cursor previous message { body } } }";
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let elsewhere = ada.start(&[&app.user("eve").await]).await;
    let start = json!(bob.cursor().await);
    let act = async |round: &str| {
        let first = ada.send(&conversation, &format!("{round} 1")).await;
        bob.on("desk").send(&conversation, &format!("{round} own")).await;
        bob.mark_read(&first).await;
        ada.send(&elsewhere, "not for him").await;
        ada.send(&conversation, &format!("{round} 2")).await;
    };
    act("replayed").await;
    let variables = json!({ "after": start });
    let mut without = Follower::subscribe(Transport::WebSocket, &bob, "desk", SENT, variables).await;
    let variables = json!({ "after": start, "own": true });
    let mut with_own = Follower::subscribe(Transport::WebSocket, &bob, "desk", SENT, variables).await;
    act("live").await;
    let told = chained(&mut without, "messageSent", start.clone(), 4).await;
    assert_eq!(bodies(&told), ["replayed 1", "replayed 2", "live 1", "live 2"]);
    let told = chained(&mut with_own, "messageSent", start, 6).await;
    assert_eq!(bodies(&told)[1], "replayed own");
}

#[tokio::test]
async fn whoever_resumes_sees_what_was_dropped_before_the_first_event_too() {
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let start = json!(bob.cursor().await);
    for body in ["one", "two", "three"] {
        ada.send(&conversation, body).await;
    }
    let variables = json!({ "after": start });
    let mut follower = Follower::subscribe(Transport::WebSocket, &bob, "desk", EVENTS, variables).await;
    // The first one is lost on the way. The second one does not name the client's cursor.
    let lost = follower.next().await;
    let second = follower.next().await;
    assert_ne!(second["events"]["previous"], start);
    assert_eq!(second["events"]["previous"], lost["events"]["cursor"]);
    // So the client subscribes again with its own, and has everything.
    let variables = json!({ "after": start });
    let mut again = Follower::subscribe(Transport::WebSocket, &bob, "desk", EVENTS, variables).await;
    assert_eq!(bodies(&chained(&mut again, "events", start, 3).await), ["one", "two", "three"]);
}

// A subscription that selects `previous` shares what it is told with others, to whom something else was told before.
#[tokio::test]
async fn an_event_is_rendered_once_for_all_although_each_was_told_something_else_before() {
    const FOLLOWERS: usize = 8;
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let mut people = Vec::new();
    for _ in 0..FOLLOWERS {
        people.push(app.user("bob").await);
    }
    let all = ada.start(&people.iter().collect::<Vec<_>>()).await;
    // Each follows from a place of their own.
    let mut followers = Vec::new();
    for (index, person) in people.iter().enumerate() {
        let start = person.cursor().await;
        let elsewhere = ada.start(&[person]).await;
        ada.send(&elsewhere, &format!("to {index}")).await;
        let variables = json!({ "after": start });
        let mut follower = Follower::subscribe(Transport::WebSocket, person, "desk", EVENTS, variables).await;
        let told = chained(&mut follower, "events", json!(start), 2).await;
        followers.push((follower, told[1]["cursor"].clone()));
    }
    let before = METRICS.renders.get();
    ada.send(&all, "to all").await;
    for (follower, before) in &mut followers {
        assert_eq!(bodies(&chained(follower, "events", before.clone(), 1).await), ["to all"]);
    }
    assert_eq!(METRICS.renders.get() - before, 1);
}

#[tokio::test]
async fn it_may_be_selected_under_any_name_and_no_text_is_taken_for_it() {
    // `unreadCount` is the viewer's own, so everyone's answer is rendered alone.
    const ODD: &str = "subscription($after: Cursor) { events(after: $after) {
        first: previous ...All cursor } }
        fragment All on Event { previous ... on MessageSent { conversation { unreadCount } message { body } last: previous } }";
    let app = TestApp::start().await;
    let (ada, bob, conversation) = app.pair().await;
    let start = bob.cursor().await;
    let odd = "\",\"previous\":null,\u{0}{}\u{1F4A9}";
    let read = async |user: &User, query: &str| {
        let variables = json!({ "after": start });
        Follower::subscribe(Transport::WebSocket, user, "desk", query, variables).await.next().await
    };
    ada.send(&conversation, &odd.replace('\u{0}', "")).await;
    for query in [ODD, &ODD.replace("conversation { unreadCount }", "")] {
        let event = read(&bob, query).await["events"].take();
        for name in ["first", "previous", "last"] {
            assert_eq!(event[name], json!(start), "{event}");
        }
        assert_eq!(event["message"]["body"], json!(odd.replace('\u{0}', "")));
    }
}
