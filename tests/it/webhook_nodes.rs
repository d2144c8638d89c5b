//! Which node calls a webhook, what happens when the log does not go on as it was, and a webhook that comes back.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, Statement};
use serde_json::json;

use crate::rewound::{keep, put_back};
use crate::support::{Answer, FAILS, OK, Receiver, SteppedClock, TestApp};
use crate::webhook_failures::{calls, execute, stored_calls};

#[tokio::test]
async fn one_node_calls_and_another_goes_on_where_it_stopped() {
    let mut receiver = Receiver::start().await;
    let mut app = TestApp::with(|setup| receiver.adapt(setup)).await;
    let (ada, _, conversation) = app.pair().await;
    let elsewhere = app.elsewhere().await;
    for n in 0..20 {
        let node = if n % 2 == 0 { app.address } else { elsewhere };
        ada.at(node).send(&conversation, &n.to_string()).await;
        let call = receiver.next().await;
        assert_eq!(call.said(), n.to_string());
    }
    assert!(receiver.arrived().is_none(), "each is told once");
    if app.database.file().is_some() {
        app.restart().await;
    } else {
        // The first node stops, and the other one need not wait for the lease.
        app.stop().await;
    }
    let there = if app.database.file().is_some() { app.address } else { elsewhere };
    ada.at(there).send(&conversation, "after").await;
    while receiver.next_said().await != "after" {}
}

#[tokio::test]
async fn a_node_that_lost_its_lease_stops_calling() {
    let mut receiver = Receiver::start().await;
    let app = TestApp::with(|setup| receiver.adapt(setup)).await;
    if app.database.file().is_some() {
        // One herald has the file, so nobody else can take the lease.
        return;
    }
    let (ada, _, conversation) = app.pair().await;
    ada.send(&conversation, "first").await;
    assert_eq!(receiver.next_said().await, "first");
    // As if this node had been away for so long that its lease ran out.
    let stranger = herald::random::id();
    let taken = format!("UPDATE webhooks SET lease_owner = '{stranger}', lease_until = 9000000000000000000");
    execute(&app, &taken).await;
    crate::support::until(async || herald::metrics::METRICS.webhooks.get() == 0).await;
    ada.send(&conversation, "second").await;
    execute(&app, "UPDATE webhooks SET lease_until = 0").await;
    while receiver.next_said().await != "second" {}
}

#[tokio::test]
async fn a_log_that_went_back_is_told_and_the_webhook_goes_on() {
    let mut receiver = Receiver::start().await;
    let app = TestApp::with(|setup| receiver.adapt(setup)).await;
    let (ada, _, conversation) = app.pair().await;
    ada.send(&conversation, "kept").await;
    assert_eq!(receiver.next_said().await, "kept");
    keep(&app).await;
    for n in 0..5 {
        ada.send(&conversation, &format!("lost {n}")).await;
        receiver.next().await;
    }
    put_back(&app).await;
    loop {
        let call = receiver.next().await;
        if call.kind() == "log.rewound" {
            assert!(call.body["data"]["cursor"].is_string(), "{}", call.text);
            break;
        }
    }
    ada.send(&conversation, "new").await;
    while receiver.next_said().await != "new" {}
}

#[tokio::test]
async fn after_a_restore_the_webhook_goes_on_from_where_it_was_then() {
    let mut receiver = Receiver::start().await;
    let mut app = TestApp::with(|setup| receiver.adapt(setup)).await;
    let (ada, _, conversation) = app.pair().await;
    ada.send(&conversation, "told").await;
    assert_eq!(receiver.next_said().await, "told");
    app.stop().await;
    let (succeeded, text) =
        crate::command_line::run(&["migrate", "--restored", "--database", &app.database.url], "").await;
    assert!(succeeded, "{text}");
    app.restart().await;
    let ada = ada.at(app.address);
    ada.send(&conversation, "after").await;
    let mut kinds = Vec::new();
    while kinds.len() < 2 {
        let call = receiver.next().await;
        kinds.push((call.kind().to_owned(), call.body["data"]["message"]["body"].clone()));
    }
    kinds.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(kinds[0].0, "log.rewound");
    assert_eq!(kinds[1], ("message.sent".to_owned(), json!("after")));
}

/// How many rules of webhooks look at messages that are older than their webhook.
async fn old_rules(app: &TestApp) -> i64 {
    let database = Database::connect(&app.database.url).await.unwrap();
    let sql = "SELECT COUNT(*) AS rules FROM webhook_rules r JOIN webhooks w ON w.id = r.webhook_id \
               WHERE r.position < w.position";
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let row = database.query_one_raw(statement).await.unwrap().unwrap();
    database.close().await.unwrap();
    row.try_get("", "rules").unwrap()
}

#[tokio::test]
async fn a_webhook_that_comes_back_has_forgotten_its_calls_and_its_rules() {
    let (mut receiver, clock) = (Receiver::start().await, SteppedClock::new());
    let mut app = TestApp::with(|setup| {
        receiver.adapt(setup);
        clock.adapt(setup);
        setup.args.webhooks.undelivered_after = vec![30];
    })
    .await;
    let (ada, _, conversation) = app.pair().await;
    receiver.behave(|_| FAILS);
    ada.send(&conversation, "old").await;
    assert_eq!(receiver.next_said().await, "old");
    stored_calls(&app, 1).await;
    app.restart_with(|setup| setup.args.webhooks.webhook.clear()).await;
    ada.at(app.address).send(&conversation, "untold").await;
    app.stop().await;
    assert_eq!(calls(&app).await.len(), 1);
    receiver.behave(|_| OK);
    app.restart_with(|setup| clock.adapt(setup)).await;
    assert_eq!((calls(&app).await.len(), old_rules(&app).await), (0, 0));
    clock.advance(Duration::from_secs(31));
    ada.at(app.address).send(&conversation, "new").await;
    assert_eq!(receiver.next().await.said(), "new");
}

#[tokio::test]
async fn a_new_rule_begins_where_its_webhook_stands() {
    let (mut receiver, clock) = (Receiver::start().await, SteppedClock::new());
    let mut app = TestApp::with(|setup| {
        receiver.adapt(setup);
        clock.adapt(setup);
    })
    .await;
    let (ada, bob, conversation) = app.pair().await;
    receiver.behave(|_| Answer::Hang);
    ada.send(&conversation, "hello").await;
    receiver.next().await;
    app.stop().await;
    receiver.behave(|_| OK);
    app.restart_with(|setup| {
        clock.adapt(setup);
        setup.args.webhooks.undelivered_after = vec![30];
    })
    .await;
    clock.advance(Duration::from_secs(31));
    loop {
        let call = receiver.next().await;
        if call.kind() == "message.undelivered" {
            assert_eq!(call.body["data"]["recipient"]["id"], json!(bob.id));
            break;
        }
    }
}
