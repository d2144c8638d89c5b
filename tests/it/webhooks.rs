//! Webhooks: what they are told, how it is signed, and that nothing is left out.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Notify;

use crate::crash::Process;
use crate::support::{Answer, FAILS, OK, Receiver, SECRETS, Setup, SteppedClock, TestApp, User, secret};
use crate::webhook_failures::{execute, stored_calls};

#[tokio::test]
async fn a_message_and_its_marks_are_told_and_signed() {
    let mut receiver = Receiver::start().await;
    let app = TestApp::with(|setup| receiver.adapt(setup)).await;
    let (ada, bob, conversation) = app.pair().await;
    let message = ada.send(&conversation, "hello").await;
    bob.mark_read(&message).await;

    let sent = receiver.next().await;
    assert_eq!(
        (sent.kind(), sent.said(), &*sent.content_type),
        ("message.sent", "hello", "application/json")
    );
    let data = &sent.body["data"];
    assert_eq!(data["conversation"]["id"], json!(conversation));
    assert_eq!(data["message"]["id"], json!(message));
    assert_eq!(data["message"]["sender"]["handle"], json!(ada.handle));
    assert_eq!(sent.body["timestamp"], data["message"]["sentAt"]);
    assert!(data["cursor"].is_string() && data.get("__typename").is_none(), "{data}");

    let read = receiver.next().await;
    assert_eq!(read.kind(), "status.changed");
    assert_eq!(read.body["data"]["status"], "READ");
    assert_eq!(read.body["data"]["recipient"]["id"], json!(bob.id));
    assert_eq!(read.body["data"]["messages"][0]["id"], json!(message));

    for call in [&sent, &read] {
        assert_eq!(call.signature, call.signature_by(&SECRETS[0]));
        assert!(!call.id.contains('.'), "the signature covers id.timestamp.body: {}", call.id);
    }
    assert_ne!(sent.id, read.id);
}

#[tokio::test]
async fn while_a_secret_changes_calls_have_two_signatures_and_bodies_may_be_left_out() {
    let mut receiver = Receiver::start().await;
    let app = TestApp::with(|setup| {
        receiver.adapt(setup);
        setup.args.webhooks.webhook_secret.push(secret(&SECRETS[1]).parse().unwrap());
        setup.args.webhooks.webhook_without_bodies = true;
    })
    .await;
    let (ada, _, conversation) = app.pair().await;
    let send = "mutation($id: ID!) { sendMessage(input: {
        conversationId: $id, body: \"secret words\", metadata: \"secret data\" }) { message { id } } }";
    ada.data(send, json!({ "id": conversation })).await;
    let call = receiver.next().await;
    let both = SECRETS.map(|secret| call.signature_by(&secret)).join(" ");
    assert_eq!(call.signature, both);
    assert!(!call.text.contains("secret"), "{}", call.text);
    assert_eq!(call.body["data"]["conversation"]["id"], json!(conversation));
}

#[tokio::test]
async fn a_redacted_message_is_told_without_its_text() {
    let (mut receiver, clock) = (Receiver::start().await, SteppedClock::new());
    let app = TestApp::with(|setup| {
        receiver.adapt(setup);
        clock.adapt(setup);
    })
    .await;
    let (ada, _, conversation) = app.pair().await;
    receiver.behave(|_| FAILS);
    let message = ada.send(&conversation, "regretted").await;
    assert_eq!(receiver.next_said().await, "regretted");
    stored_calls(&app, 1).await;
    receiver.behave(|_| OK);
    let redact = "mutation($id: ID!) { redactMessage(input: { messageId: $id }) { cursor } }";
    ada.data(redact, json!({ "id": message })).await;
    clock.advance(Duration::from_secs(10));
    // The next attempt tells what there is then.
    let again = receiver.next().await;
    assert_eq!((again.said(), again.body["data"]["message"]["redactedAt"].is_string()), ("", true));
}

#[tokio::test]
async fn what_waits_for_its_turn_is_told_as_it_is_then() {
    let mut receiver = Receiver::start().await;
    let app = TestApp::with(|setup| receiver.adapt(setup)).await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let (slow, other) = (ada.start(&[&bob]).await, ada.start(&[&bob]).await);
    let answered = Arc::new(Notify::new());
    let when = Answer::When(Arc::clone(&answered));
    receiver.behave(move |call| if call.said() == "slow" { when.clone() } else { OK });
    ada.send(&slow, "slow").await;
    assert_eq!(receiver.next_said().await, "slow");
    let message = ada.send(&slow, "regretted").await;
    // herald reads the log in order, so it has read of the one before.
    ada.send(&other, "elsewhere").await;
    assert_eq!(receiver.next_said().await, "elsewhere");
    let redact = "mutation($id: ID!) { redactMessage(input: { messageId: $id }) { cursor } }";
    ada.data(redact, json!({ "id": message })).await;
    answered.notify_one();
    let call = receiver.next().await;
    assert_eq!((call.said(), call.body["data"]["message"]["redactedAt"].is_string()), ("", true));
}

#[tokio::test]
async fn a_large_page_size_does_not_keep_webhooks_from_being_called() {
    let mut receiver = Receiver::start().await;
    let app = TestApp::with(|setup| {
        receiver.adapt(setup);
        setup.args.limits.max_page_size = 5_000;
    })
    .await;
    let (ada, _, conversation) = app.pair().await;
    ada.send(&conversation, "hello").await;
    assert_eq!(receiver.next_said().await, "hello");
}

#[tokio::test]
async fn what_happens_while_herald_is_away_is_told_and_what_was_before_is_not() {
    let mut receiver = Receiver::start().await;
    let mut app = TestApp::start().await;
    let (ada, _, conversation) = app.pair().await;
    ada.send(&conversation, "before").await;
    app.restart_with(|setup| receiver.adapt(setup)).await;
    let ada = ada.at(app.address);
    ada.send(&conversation, "one").await;
    assert_eq!(receiver.next_said().await, "one");
    // Without the flag, nobody is called, and the webhook ends.
    app.restart().await;
    let ada = ada.at(app.address);
    ada.send(&conversation, "untold").await;
    app.restart_with(|setup| receiver.adapt(setup)).await;
    let ada = ada.at(app.address);
    ada.send(&conversation, "two").await;
    assert_eq!(receiver.next_said().await, "two");
}

#[tokio::test]
async fn conversations_are_told_in_order_and_a_hanging_one_does_not_stop_the_others() {
    let mut receiver = Receiver::start().await;
    receiver.behave(|call| match call.body["data"]["message"]["body"].as_str() {
        Some("hangs") => Answer::Hang,
        _ => OK,
    });
    let app = TestApp::with(|setup| receiver.adapt(setup)).await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let (stuck, other) = (ada.start(&[&bob]).await, ada.start(&[&bob]).await);
    ada.send(&stuck, "hangs").await;
    for n in 0..40 {
        ada.send(&stuck, "behind").await;
        ada.send(&other, &n.to_string()).await;
    }
    assert_eq!(receiver.next_said().await, "hangs");
    for n in 0..40 {
        assert_eq!(receiver.next_said().await, n.to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_nothing_and_repeats_have_the_same_id() {
    let mut receiver = Receiver::start().await;
    let mut app = TestApp::start().await;
    let (ada, _, conversation) = app.pair().await;
    app.stop().await;
    let secret = secret(&SECRETS[0]);
    let url = receiver.url.clone();
    let arguments = ["--webhook", &*url, "--webhook-secret", &*secret, "--webhook-allow-private"];
    let mut told: Vec<(String, String)> = Vec::new();
    let mut sent = 0;
    for _ in 0..3 {
        let process = Process::start_with(&app.database.url, &arguments).await;
        let ada = ada.at(process.address);
        for _ in 0..30 {
            ada.send(&conversation, &sent.to_string()).await;
            sent += 1;
        }
        // Some of it is told before the kill.
        for _ in 0..10 {
            let call = receiver.next().await;
            told.push((call.id.clone(), call.said().to_owned()));
        }
        process.kill().await;
        // Another node would wait until the lease of the dead one has run out.
        execute(&app, "UPDATE webhooks SET lease_until = 0").await;
    }
    app.restart_with(|setup: &mut Setup| receiver.adapt(setup)).await;
    while told.iter().all(|(_, said)| *said != (sent - 1).to_string()) {
        let call = receiver.next().await;
        told.push((call.id.clone(), call.said().to_owned()));
    }
    // Without the repeats, which are known by their ids, every message came once, in order.
    let mut seen = HashSet::new();
    let once: Vec<_> =
        told.iter().filter(|(id, _)| seen.insert(id.clone())).map(|(_, said)| said.clone()).collect();
    assert_eq!(once, (0..sent).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_webhook_sees_every_conversation_of_everybody() {
    let mut receiver = Receiver::start().await;
    let app = TestApp::with(|setup| receiver.adapt(setup)).await;
    let users: Vec<User> = vec![app.user("a").await, app.user("b").await, app.user("c").await];
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        let conversation: String = users[from].start(&[&users[to]]).await;
        users[from].send(&conversation, &format!("{from} to {to}")).await;
    }
    let mut said = vec![receiver.next_said().await, receiver.next_said().await, receiver.next_said().await];
    said.sort();
    assert_eq!(said, ["0 to 1", "1 to 2", "2 to 0"]);
}
