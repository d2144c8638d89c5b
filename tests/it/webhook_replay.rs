//! Calls that were given up: how they are replayed, in which order, and how many are kept.

use std::time::Duration;

use herald::log::Database;

use crate::support::{Called, FAILS, OK, Receiver, Setup, SteppedClock, TestApp, until};
use crate::webhook_failures::{calls, execute, stepped, stored_calls};

/// Starts herald again, with all calls that wait given up, as if they had failed for days.
async fn give_up(app: &mut TestApp, clock: &SteppedClock) {
    app.stop().await;
    let given_up = "UPDATE webhook_calls SET attempts = 11, next_at = NULL, dead_at = 1, last_error = 'away'";
    execute(app, given_up).await;
    app.restart_with(|setup| clock.adapt(setup)).await;
}

/// Does what `herald webhook replay` does.
async fn replay(app: &TestApp) -> u64 {
    let database = Database::open_beside(&app.database_options()).await.unwrap();
    let webhook = database.webhooks().await.unwrap().remove(0).id;
    let replayed = database.replay_calls(webhook).await.unwrap();
    database.close().await;
    replayed
}

fn is_undelivered(call: &Called) -> bool {
    call.kind() == "message.undelivered"
}

#[tokio::test]
async fn replayed_calls_of_a_conversation_come_one_after_another_in_their_order() {
    let mut receiver = Receiver::start().await;
    let (mut app, clock) = stepped(&receiver).await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let (failing, other) = (ada.start(&[&bob]).await, ada.start(&[&bob]).await);
    receiver.behave(|_| FAILS);
    for said in ["one", "two", "three"] {
        ada.send(&failing, said).await;
    }
    assert_eq!(receiver.next_said().await, "one");
    stored_calls(&app, 3).await;
    give_up(&mut app, &clock).await;
    let ada = ada.at(app.address);
    receiver.behave(|call| if call.said() == "one" { FAILS } else { OK });
    assert_eq!((replay(&app).await, replay(&app).await), (3, 0));
    assert_eq!(receiver.next_said().await, "one");
    until(async || calls(&app).await[0].attempts == 1).await;
    // Those behind it wait, also for what is new, and nothing else does.
    ada.send(&failing, "four").await;
    ada.send(&other, "elsewhere").await;
    assert_eq!(receiver.next_said().await, "elsewhere");
    let waiting = stored_calls(&app, 4).await;
    assert!(waiting[1..].iter().all(|call| call.next_at.is_none() && call.dead_at.is_none()), "{waiting:?}");
    receiver.behave(|_| OK);
    clock.advance(Duration::from_secs(10));
    for said in ["one", "two", "three", "four"] {
        assert_eq!(receiver.next_said().await, said);
    }
    stored_calls(&app, 0).await;
}

#[tokio::test]
async fn a_replayed_call_goes_before_those_that_wait_already() {
    let mut receiver = Receiver::start().await;
    let (mut app, clock) = stepped(&receiver).await;
    let (ada, _, conversation) = app.pair().await;
    receiver.behave(|_| FAILS);
    ada.send(&conversation, "given up").await;
    stored_calls(&app, 1).await;
    give_up(&mut app, &clock).await;
    ada.at(app.address).send(&conversation, "waits").await;
    until(async || calls(&app).await.get(1).is_some_and(|call| call.attempts == 1)).await;
    while receiver.arrived().is_some() {}
    receiver.behave(|call| if call.said() == "given up" { FAILS } else { OK });
    replay(&app).await;
    assert_eq!(receiver.next_said().await, "given up");
    until(async || calls(&app).await[0].attempts == 1).await;
    // Both have a time now, and it has come for both.
    clock.advance(Duration::from_secs(10));
    assert_eq!(receiver.next_said().await, "given up");
    until(async || calls(&app).await[0].attempts == 2).await;
    assert!(receiver.arrived().is_none());
    receiver.behave(|_| OK);
    clock.advance(Duration::from_mins(2));
    assert_eq!((receiver.next_said().await, receiver.next_said().await), ("given up".into(), "waits".into()));
}

#[tokio::test]
async fn after_a_replay_of_what_needs_not_be_told_any_more_nothing_waits_for_ever() {
    let (mut receiver, clock) = (Receiver::start().await, SteppedClock::new());
    let mut app = TestApp::with(|setup: &mut Setup| {
        receiver.adapt(setup);
        clock.adapt(setup);
        setup.args.webhooks.undelivered_after = vec![30];
    })
    .await;
    let (ada, bob, conversation) = app.pair().await;
    receiver.behave(|call| if is_undelivered(call) || call.said() == "second" { FAILS } else { OK });
    ada.send(&conversation, "first").await;
    clock.advance(Duration::from_secs(31));
    stored_calls(&app, 1).await;
    let second = ada.send(&conversation, "second").await;
    stored_calls(&app, 2).await;
    give_up(&mut app, &clock).await;
    let (ada, bob) = (ada.at(app.address), bob.at(app.address));
    receiver.behave(|_| OK);
    bob.mark_delivered(&second).await;
    while receiver.next().await.kind() != "status.changed" {}
    replay(&app).await;
    assert_eq!(receiver.next_said().await, "second");
    stored_calls(&app, 0).await;
    ada.send(&conversation, "third").await;
    clock.advance(Duration::from_secs(31));
    while !is_undelivered(&receiver.next().await) {}
}

#[tokio::test]
async fn a_lane_without_a_time_is_freed_when_a_node_begins() {
    let mut receiver = Receiver::start().await;
    let (mut app, clock) = stepped(&receiver).await;
    let (ada, _, conversation) = app.pair().await;
    receiver.behave(|_| FAILS);
    ada.send(&conversation, "stuck").await;
    receiver.next().await;
    stored_calls(&app, 1).await;
    app.stop().await;
    execute(&app, "UPDATE webhook_calls SET next_at = NULL").await;
    receiver.behave(|_| OK);
    app.restart_with(|setup| clock.adapt(setup)).await;
    assert_eq!(receiver.next_said().await, "stuck");
}

#[tokio::test]
async fn of_the_calls_that_were_given_up_the_latest_are_kept() {
    let mut receiver = Receiver::start().await;
    let (app, _) = stepped(&receiver).await;
    let (ada, _, conversation) = app.pair().await;
    receiver.behave(|_| FAILS);
    ada.send(&conversation, "poison").await;
    receiver.next().await;
    stored_calls(&app, 1).await;
    execute(
        &app,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10100) \
         INSERT INTO webhook_calls (webhook_id, number, kind, epoch, position, conversation_id, recipient_id, \
         after_seconds, attempts, dead_at, created_at) SELECT c.webhook_id, -n.i, 1, c.epoch, 1, c.conversation_id, \
         c.recipient_id, 0, 11, 1, 1 FROM webhook_calls c, n",
    )
    .await;
    execute(&app, "UPDATE webhook_calls SET attempts = 10, next_at = 0 WHERE dead_at IS NULL").await;
    let left = stored_calls(&app, 10_000).await;
    assert!(
        left.last().unwrap().error.as_deref().is_some_and(|error| error.contains("500")),
        "the newest is kept"
    );
}
