//! Stays that a herald of before people chose what they share writes beside this one: it shares everything in them, from
//! the beginning. The next start of this one has them share what was chosen.

use herald::log::check;
use serde_json::{Value, json};

use crate::command_line::run;
use crate::sharing::{is_sound, marks, seen, share, standing};
use crate::support::TestApp;
use crate::upgrade::{execute, options};

/// The stays that began last are as such a herald writes them.
const OF_BEFORE: &str = "UPDATE participants SET delivered_shared_after = 0, read_shared_after = 0 \
     WHERE joined_position = (SELECT MAX(joined_position) FROM participants)";

/// The newest migration is taken away.
const BEFORE_SETTLING: [&str; 3] = [
    "DROP INDEX events_by_stay",
    "CREATE INDEX events_by_owning ON events (position) WHERE kind IN (1, 3)",
    "DELETE FROM seaql_migrations WHERE version = 'm20261211_000015_settling'",
];

/// What `herald check` finds.
async fn found(app: &TestApp) -> String {
    check(&options(app)).await.unwrap_err()
}

#[tokio::test]
async fn whoever_an_earlier_herald_brings_in_shares_what_they_chose_from_the_next_start_on() {
    let mut app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    let (carol, dora) = (app.user("carol").await, app.user("dora").await);
    share(&carol, false, true).await;
    share(&dora, true, false).await;
    ada.add(&room, &[&carol, &dora]).await;
    app.stop().await;
    execute(&app, &[OF_BEFORE]).await;
    let wrong = "stays: 2: this many do not share what their users chose: `herald migrate`";
    assert!(found(&app).await.contains(wrong), "{}", found(&app).await);
    app.restart().await;
    is_sound(&app).await;
    let [ada, bob, carol, dora] = [&ada, &bob, &carol, &dora].map(|user| user.at(app.address));
    let message = ada.send(&room, "one").await;
    for user in [&bob, &carol, &dora] {
        user.mark_read(&message).await;
    }
    assert_eq!(standing(&ada, &room, "one").await, "DELIVERED 2 2 1");

    // So does who is in a conversation that it starts, and also where the start of before did not look for it.
    let other = ada.start(&[&carol]).await;
    app.stop().await;
    execute(&app, &[OF_BEFORE, "UPDATE log_head SET owned_through = position"]).await;
    assert!(found(&app).await.contains("stays: 1: "));
    execute(&app, &BEFORE_SETTLING).await;
    app.restart().await;
    is_sound(&app).await;
    let [ada, carol] = [&ada, &carol].map(|user| user.at(app.address));
    let message = ada.send(&other, "two").await;
    carol.mark_read(&message).await;
    assert_eq!(standing(&ada, &other, "two").await, "SENT 0 0 0");
}

#[tokio::test]
async fn whoever_an_earlier_herald_brings_back_shares_from_where_they_began_to() {
    let mut app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    ada.send(&room, "told").await;
    bob.mark_read(&ada.send(&room, "shared").await).await;
    share(&bob, false, false).await;
    bob.mark_read(&ada.send(&room, "hidden").await).await;
    ada.send(&room, "waiting").await;
    share(&bob, true, true).await;
    bob.leave(&room).await;
    ada.add(&room, &[&bob]).await;
    let before = seen(&ada, &room).await;
    assert_eq!(marks(&before, &bob), [&json!("shared"); 2]);
    app.stop().await;
    execute(&app, &[OF_BEFORE]).await;
    assert!(found(&app).await.contains("stays: 1: "));
    app.restart().await;
    is_sound(&app).await;
    let [ada, bob] = [&ada, &bob].map(|user| user.at(app.address));
    assert_eq!(seen(&ada, &room).await, before, "nothing is told of what was hidden");
    let message = ada.send(&room, "back").await;
    bob.mark_read(&message).await;
    assert_eq!(standing(&ada, &room, "back").await, "READ 1 1 1");
    for body in ["hidden", "waiting"] {
        assert_eq!(standing(&ada, &room, body).await, "SENT 0 0 0", "{body}");
    }
    is_sound(&app).await;
}

// What a node remembers of a stay holds only until another sets it right.
#[tokio::test]
async fn a_herald_that_serves_learns_of_stays_that_another_one_sets_right() {
    let mut app = TestApp::start().await;
    let (ada, bob, room) = app.pair().await;
    share(&bob, false, false).await;
    app.stop().await;
    // The start does not look at what is before this position.
    execute(&app, &[OF_BEFORE, "UPDATE log_head SET owned_through = 1000000"]).await;
    app.restart().await;
    let [ada, bob] = [&ada, &bob].map(|user| user.at(app.address));
    let first = ada.send(&room, "one").await;
    bob.mark_read(&first).await;
    assert_eq!(standing(&ada, &room, "one").await, "READ 1 1 1");
    let (succeeded, text) = run(&["migrate", "--database", &app.database.url], "").await;
    assert!(succeeded, "{text}");
    let second = ada.send(&room, "two").await;
    bob.mark_read(&second).await;
    assert_eq!(standing(&ada, &room, "two").await, "SENT 0 0 0");
    assert_eq!(standing(&ada, &room, "one").await, "READ 1 1 1", "what was told stays told");
    assert_eq!(marks(&seen(&ada, &room).await, &bob), [&json!("one"); 2]);
    assert_eq!(seen(&bob, &room).await["firstUnread"], Value::Null);
    is_sound(&app).await;
}
