//! `herald webhook`: how an operator adds, lists, tests, replays and disables webhooks, and what is refused.

use std::process::Stdio;

use tokio::process::Command;

use crate::command_line::on_database;
use crate::support::{Answer, FAILS, OK, Receiver, SteppedClock, TestApp, until};
use crate::webhook_failures::{calls, execute, stored_calls};

/// Runs a command about webhooks: what it printed on standard output, and on standard error.
async fn webhook(app: &TestApp, args: &[&str]) -> (bool, String, String) {
    on_database(app, "webhook", args).await
}

async fn allowing() -> TestApp {
    TestApp::with(|setup| setup.args.webhooks.webhook_allow_private = true).await
}

/// Adds a webhook: its secret, and its id.
async fn add(app: &TestApp, receiver: &Receiver) -> (String, String) {
    let (succeeded, out, err) = webhook(app, &["add", &receiver.url, "--webhook-allow-private"]).await;
    assert!(succeeded, "{err}");
    let id = err.split_whitespace().find(|word| word.starts_with("whk_")).unwrap().to_owned();
    (out.trim_end().to_owned(), id)
}

#[tokio::test]
async fn an_operator_adds_lists_tests_and_disables_a_webhook_while_herald_serves() {
    let mut receiver = Receiver::start().await;
    let app = allowing().await;
    let (ada, _, conversation) = app.pair().await;
    ada.send(&conversation, "before").await;
    let (secret, id) = add(&app, &receiver).await;
    assert!(secret.starts_with("whsec_") && !secret.contains('\n'), "{secret}");
    ada.send(&conversation, "after").await;
    let call = receiver.next().await;
    assert_eq!(call.said(), "after");

    let (succeeded, _, said) = webhook(&app, &["test", &id, "--webhook-allow-private"]).await;
    assert!(succeeded && said.contains("accepted"), "{said}");
    assert_eq!(receiver.next().await.kind(), "webhook.test");
    receiver.behave(|_| Answer::Status("302 Found\r\nlocation: /"));
    let (succeeded, _, said) = webhook(&app, &["test", &id, "--webhook-allow-private"]).await;
    assert!(!succeeded && said.contains("redirects are not followed"), "{said}");
    let (succeeded, _, said) = webhook(&app, &["test", &id]).await;
    assert!(!succeeded && said.contains("--webhook-allow-private"), "{said}");

    let (_, listed, _) = webhook(&app, &["list"]).await;
    assert!(listed.starts_with(&format!("{id}: {}, added ", receiver.url)), "{listed}");
    assert!(listed.contains("0 calls wait, 0 were given up") && !listed.contains(&secret), "{listed}");
    let (succeeded, _, said) = webhook(&app, &["disable", &id]).await;
    assert!(succeeded && said.contains("Disabled"), "{said}");
    let (_, listed, _) = webhook(&app, &["list"]).await;
    assert!(listed.contains("by herald webhook disable"), "{listed}");
    let (succeeded, _, said) = webhook(&app, &["disable", &id]).await;
    assert!(!succeeded && said.contains("disabled already"), "{said}");
    for command in ["test", "replay", "disable"] {
        let (succeeded, _, said) = webhook(&app, &[command, "whk_1"]).await;
        assert!(!succeeded && said.contains("There is no such webhook"), "{said}");
    }
}

#[tokio::test]
async fn calls_that_were_given_up_are_listed_and_replayed() {
    let (mut receiver, clock) = (Receiver::start().await, SteppedClock::new());
    receiver.behave(|_| FAILS);
    // The clock stands still, so that no attempt is under way while the test changes the calls.
    let app = TestApp::with(|setup| {
        setup.args.webhooks.webhook_allow_private = true;
        clock.adapt(setup);
    })
    .await;
    let (ada, _, conversation) = app.pair().await;
    let (_, id) = add(&app, &receiver).await;
    ada.send(&conversation, "poison").await;
    let first = receiver.next().await;
    stored_calls(&app, 1).await;
    // As if it had failed for days.
    execute(&app, "UPDATE webhook_calls SET attempts = 10, next_at = 0").await;
    until(async || calls(&app).await[0].dead_at.is_some()).await;
    receiver.next().await;
    let (_, listed, _) = webhook(&app, &["list"]).await;
    assert!(listed.contains("0 calls wait, 1 were given up"), "{listed}");
    assert!(listed.contains("after 11 attempts: the event at position"), "{listed}");
    receiver.behave(|_| OK);
    let (succeeded, _, said) = webhook(&app, &["replay", &id]).await;
    assert!(succeeded && said.contains("1 calls are tried again"), "{said}");
    assert_eq!(receiver.next().await.id, first.id);
    stored_calls(&app, 0).await;
    ada.send(&conversation, "next").await;
    assert_eq!(receiver.next_said().await, "next");
}

#[tokio::test]
async fn a_url_that_is_none_and_a_private_one_are_refused_with_what_to_do() {
    let app = TestApp::start().await;
    for (url, said) in [
        ("no url", "not a URL"),
        ("ftp://example.com/", "begins with https://"),
        ("https://user:pass@example.com/", "no user and no password"),
        ("http://example.com/", "--webhook-allow-private"),
        ("https://127.0.0.1/", "--webhook-allow-private"),
        ("https://[::1]/", "--webhook-allow-private"),
        ("https://169.254.169.254/latest/meta-data", "--webhook-allow-private"),
    ] {
        let (succeeded, _, error) = webhook(&app, &["add", url]).await;
        assert!(!succeeded && error.contains(said), "{url}: {error}");
    }
    let secret = crate::support::secret(&[7; 32]);
    for (args, said) in [
        (vec!["--webhook", "https://example.com/"], "--webhook-secret"),
        (vec!["--webhook", "https://example.com/", "--webhook-secret", "whsec_short"], "24 to 64 bytes"),
        (vec!["--webhook", "https://10.0.0.1/", "--webhook-secret", &secret], "--webhook-allow-private"),
        (vec!["--webhook", "loop", "--webhook-secret", &secret], "begins with https://"),
        (vec!["--undelivered-after", "soon"], "such as 30s"),
    ] {
        let database = crate::support::TestDatabase::create().await;
        let args = [vec!["serve", "--listen", "127.0.0.1:0", "--database", &database.url], args].concat();
        let (succeeded, error) = crate::command_line::run(&args, "").await;
        assert!(!succeeded && error.contains(said), "{args:?}: {error}");
    }
}

#[tokio::test]
async fn a_value_that_may_be_a_secret_is_not_printed_when_it_is_wrong() {
    let database = crate::support::TestDatabase::create().await;
    let spaced = format!("{} ", crate::support::secret(&[7; 32]));
    let (secret, url) = (spaced.as_str(), "https://user:swordfish@example.com/T0/swordfish");
    let good = "https://example.com/";
    let (serve, add) = (["serve", "--listen", "127.0.0.1:0"], ["webhook", "add"]);
    for (command, args, variables) in [
        (&serve[..], vec!["--webhook", good, "--webhook-secret", secret], vec![]),
        (&serve[..], vec![], vec![("HERALD_WEBHOOK", good), ("HERALD_WEBHOOK_SECRET", secret)]),
        (&serve[..], vec!["--webhook", url, "--webhook-secret", secret.trim()], vec![]),
        (&serve[..], vec![], vec![("HERALD_WEBHOOK", url), ("HERALD_WEBHOOK_SECRET", secret.trim())]),
        (&add[..], vec![url], vec![]),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_herald"))
            .args(command)
            .args(&args)
            .args(["--database", &database.url])
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert!(!output.status.success() && printed.contains("webhook"), "{printed}");
        assert!(!printed.contains(secret.trim()) && !printed.contains("swordfish"), "{printed}");
    }
}
