//! Receivers that fail: what is tried again and when, what is given up, and what herald does not do for anybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, Statement};

use crate::support::{Answer, FAILS, OK, Receiver, SteppedClock, TestApp, until};

/// A call that waits or was given up, as the database has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) attempts: i64,
    pub(crate) next_at: Option<i64>,
    pub(crate) dead_at: Option<i64>,
    pub(crate) error: Option<String>,
}

/// Runs a statement in the database of a herald.
pub(crate) async fn execute(app: &TestApp, sql: &str) {
    let database = Database::connect(&app.database.url).await.unwrap();
    database.execute_unprepared(sql).await.unwrap();
    database.close().await.unwrap();
}

/// The stored calls, in their order.
pub(crate) async fn calls(app: &TestApp) -> Vec<Stored> {
    let database = Database::connect(&app.database.url).await.unwrap();
    let sql = "SELECT attempts, next_at, dead_at, last_error FROM webhook_calls ORDER BY number";
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let rows = database.query_all_raw(statement).await.unwrap();
    database.close().await.unwrap();
    rows.iter()
        .map(|row| Stored {
            attempts: row.try_get("", "attempts").unwrap(),
            next_at: row.try_get("", "next_at").unwrap(),
            dead_at: row.try_get("", "dead_at").unwrap(),
            error: row.try_get("", "last_error").unwrap(),
        })
        .collect()
}

/// Waits until so many calls are stored, and returns them.
pub(crate) async fn stored_calls(app: &TestApp, count: usize) -> Vec<Stored> {
    until(async || calls(app).await.len() == count).await;
    calls(app).await
}

/// The disabled webhooks: why they are.
async fn disabled(app: &TestApp) -> Vec<String> {
    let database = Database::connect(&app.database.url).await.unwrap();
    let sql = "SELECT disabled_because FROM webhooks WHERE disabled_at IS NOT NULL";
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let rows = database.query_all_raw(statement).await.unwrap();
    database.close().await.unwrap();
    rows.iter().map(|row| row.try_get("", "disabled_because").unwrap()).collect()
}

/// A herald that calls the receiver and goes by a clock of the test.
pub(crate) async fn stepped(receiver: &Receiver) -> (TestApp, SteppedClock) {
    let clock = SteppedClock::new();
    let app = TestApp::with(|setup| {
        receiver.adapt(setup);
        clock.adapt(setup);
    })
    .await;
    (app, clock)
}

#[tokio::test]
async fn a_conversation_whose_call_fails_waits_in_order_and_the_others_go_on() {
    let mut receiver = Receiver::start().await;
    let (app, clock) = stepped(&receiver).await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let (failing, other) = (ada.start(&[&bob]).await, ada.start(&[&bob]).await);
    receiver.behave(|call| if call.said().starts_with("one") { FAILS } else { OK });
    ada.send(&failing, "one").await;
    let first = receiver.next().await;
    ada.send(&failing, "two").await;
    ada.send(&failing, "three").await;
    ada.send(&other, "elsewhere").await;
    assert_eq!(receiver.next_said().await, "elsewhere");
    let waiting = stored_calls(&app, 3).await;
    assert_eq!(
        (waiting[0].attempts, waiting[0].error.as_deref()),
        (1, Some("the answer is 500 Internal Server Error"))
    );
    let pause = waiting[0].next_at.unwrap() - clock.now();
    assert!((4_000_000..=7_000_000).contains(&pause), "{pause}");
    assert!(waiting[1..].iter().all(|call| call.attempts == 0 && call.next_at.is_none()), "{waiting:?}");

    // It fails once more, is accepted then, and the others follow in order. All that while its id stays.
    clock.advance(Duration::from_secs(10));
    assert_eq!(receiver.next().await.id, first.id);
    until(async || calls(&app).await[0].attempts == 2).await;
    assert_eq!(receiver.arrived().map(|call| call.id), None);
    receiver.behave(|_| OK);
    clock.advance(Duration::from_mins(2));
    let again = receiver.next().await;
    assert_eq!((again.said(), &again.id), ("one", &first.id));
    assert_eq!(receiver.next_said().await, "two");
    assert_eq!(receiver.next_said().await, "three");
    stored_calls(&app, 0).await;
    ada.send(&failing, "four").await;
    assert_eq!(receiver.next_said().await, "four");
}

#[tokio::test]
async fn after_the_last_attempt_a_call_is_given_up_and_the_next_has_its_turn() {
    let mut receiver = Receiver::start().await;
    let (app, clock) = stepped(&receiver).await;
    let (ada, _, conversation) = app.pair().await;
    receiver.behave(|call| if call.said() == "poison" { FAILS } else { OK });
    ada.send(&conversation, "poison").await;
    assert_eq!(receiver.next_said().await, "poison");
    ada.send(&conversation, "after").await;
    stored_calls(&app, 2).await;
    for attempts in 1..=10 {
        until(async || calls(&app).await.first().is_some_and(|call| call.attempts == attempts)).await;
        clock.advance(Duration::from_hours(30));
        assert_eq!(receiver.next_said().await, "poison", "after {attempts} attempts");
    }
    assert_eq!(receiver.next_said().await, "after");
    let left = stored_calls(&app, 1).await;
    assert_eq!((left[0].attempts, left[0].next_at, left[0].dead_at.is_some()), (11, None, true));
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_is_given_it() {
    let mut receiver = Receiver::start().await;
    receiver.behave(|_| Answer::Status("429 Too Many Requests\r\nretry-after: 600"));
    let (app, clock) = stepped(&receiver).await;
    let (ada, _, conversation) = app.pair().await;
    ada.send(&conversation, "later").await;
    receiver.next().await;
    let waiting = stored_calls(&app, 1).await;
    assert_eq!(waiting[0].next_at.unwrap() - clock.now(), 600_000_000);
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_called_no_more_until_herald_starts_again() {
    let mut receiver = Receiver::start().await;
    receiver.behave(|_| Answer::Status("410 Gone"));
    let mut app = TestApp::with(|setup| receiver.adapt(setup)).await;
    let (ada, _, conversation) = app.pair().await;
    ada.send(&conversation, "one").await;
    receiver.next().await;
    until(async || disabled(&app).await == ["the receiver answered 410 Gone"]).await;
    ada.send(&conversation, "two").await;
    receiver.behave(|_| OK);
    app.restart().await;
    let ada = ada.at(app.address);
    ada.send(&conversation, "three").await;
    assert_eq!(receiver.next_said().await, "three");
}

#[tokio::test]
async fn redirects_are_not_followed_and_long_answers_are_failures() {
    let mut receiver = Receiver::start().await;
    let elsewhere = Receiver::start().await;
    let leads = format!("307 Temporary Redirect\r\nlocation: {}", elsewhere.url);
    let leads: &'static str = leads.leak();
    let app = TestApp::with(|setup| receiver.adapt(setup)).await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let (first, second) = (ada.start(&[&bob]).await, ada.start(&[&bob]).await);
    receiver.behave(move |call| if call.said() == "redirect" { Answer::Status(leads) } else { Answer::Long });
    ada.send(&first, "redirect").await;
    receiver.next().await;
    ada.send(&second, "long").await;
    receiver.next().await;
    let errors: Vec<_> = stored_calls(&app, 2).await.into_iter().map(|call| call.error.unwrap()).collect();
    assert!(errors.iter().any(|error| error.contains("redirects are not followed")), "{errors:?}");
    assert!(errors.iter().any(|error| error.contains("more than 65536 bytes")), "{errors:?}");
    let mut elsewhere = elsewhere;
    assert!(elsewhere.arrived().is_none());
}

#[tokio::test]
async fn no_private_address_is_called_unless_it_is_allowed() {
    let mut receiver = Receiver::start().await;
    let mut app = TestApp::with(|setup| receiver.adapt(setup)).await;
    let (ada, _, conversation) = app.pair().await;
    app.stop().await;
    // The webhook is there, and this herald may not call it: neither by its address nor by a name for it.
    let port = receiver.url.split(':').nth(2).unwrap().split('/').next().unwrap().to_owned();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let url = format!("UPDATE webhooks SET is_configured = 0, url = 'https://{host}:{port}/'");
        execute(&app, &url).await;
        execute(&app, "DELETE FROM webhook_calls").await;
        app.restart_with(|setup| {
            setup.args.webhooks.webhook.clear();
            setup.args.webhooks.webhook_allow_private = false;
        })
        .await;
        ada.at(app.address).send(&conversation, "private").await;
        let error = stored_calls(&app, 1).await[0].error.clone().unwrap();
        assert!(error.contains("--webhook-allow-private"), "{host}: {error}");
        app.stop().await;
    }
    assert!(receiver.arrived().is_none());
}

#[tokio::test]
async fn the_log_is_needed_from_the_first_call_that_waits_on() {
    let mut receiver = Receiver::start().await;
    let (app, clock) = stepped(&receiver).await;
    let (ada, _, conversation) = app.pair().await;
    let options = app.database_options();
    let database = herald::log::Database::open_beside(&options).await.unwrap();
    receiver.behave(|_| FAILS);
    ada.send(&conversation, "fails").await; // at position 2
    receiver.next().await;
    stored_calls(&app, 1).await;
    ada.send(&conversation, "behind").await;
    stored_calls(&app, 2).await;
    assert_eq!(database.webhooks_need_after().await.unwrap().map(|position| position.0), Some(1));
    receiver.behave(|_| OK);
    clock.advance(Duration::from_secs(10));
    stored_calls(&app, 0).await;
    let needed = async || database.webhooks_need_after().await.unwrap().map(|position| position.0);
    until(async || needed().await == Some(3)).await;
    execute(&app, "UPDATE webhooks SET disabled_at = 1").await;
    assert_eq!(needed().await, None);
    database.close().await;
}

#[tokio::test]
async fn a_receiver_that_is_down_does_not_make_herald_hold_everything() {
    let mut receiver = Receiver::start().await;
    let (app, clock) = stepped(&receiver).await;
    let (ada, _, conversation) = app.pair().await;
    let failed = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&failed);
    receiver.behave(move |_| {
        counts.fetch_add(1, Ordering::Relaxed);
        FAILS
    });
    for n in 0..300 {
        ada.send(&conversation, &n.to_string()).await;
    }
    // Only the first is tried: the rest waits behind it, in the database.
    stored_calls(&app, 300).await;
    assert_eq!(failed.load(Ordering::Relaxed), 1);
    receiver.behave(|_| OK);
    clock.advance(Duration::from_secs(10));
    assert_eq!(receiver.next_said().await, "0");
    for n in 0..300 {
        assert_eq!(receiver.next_said().await, n.to_string());
    }
}
