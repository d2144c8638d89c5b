//! The command line, as operators use it.

use std::process::Stdio;

use herald_processes::Scratch;
use sea_orm::{ConnectionTrait, Database};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::{TestApp, TestDatabase};

/// Runs a command of herald on the app's database: whether it succeeded, and what it printed on standard output, and on
/// standard error.
pub(crate) async fn on_database(app: &TestApp, command: &str, args: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_herald"))
        .arg(command)
        .args(args)
        .args(["--database", &app.database.url])
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.success(), out, err)
}

/// Runs herald with these arguments and this input: whether it succeeded, and what it printed.
pub(crate) async fn run(args: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_herald"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that reads no input may end before the test writes its input.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.success(), text)
}

#[tokio::test]
async fn the_schema_is_printed() {
    let (succeeded, text) = run(&["schema"], "").await;
    assert!(succeeded);
    assert_eq!(text, herald::graphql::sdl());
    let (succeeded, text) = run(&["schema", "--federation"], "").await;
    assert!(succeeded);
    assert_eq!(text, herald::graphql::subgraph_sdl());
}

#[tokio::test]
async fn an_operator_makes_a_database_and_a_user_who_can_then_sign_in() {
    let database = TestDatabase::create().await;
    let (succeeded, text) = run(&["migrate", "--database", &database.url], "").await;
    assert!(succeeded, "{text}");
    let add = ["user", "add", "grace", "--database", &database.url];
    let (succeeded, text) = run(&add, "correct horse battery\n").await;
    assert!(succeeded && text.contains("Added grace"), "{text}");
    let (succeeded, text) = run(&add, "correct horse battery\n").await;
    assert!(!succeeded && text.contains("taken"), "{text}");
    let (succeeded, text) = run(&["user", "add", "x", "--database", &database.url], "short\n").await;
    assert!(!succeeded && text.contains("`handle` must be 3 to 32"), "{text}");

    let url = database.url.clone();
    let app = TestApp::with(|setup| setup.args.database.database = url).await;
    let grace = crate::support::User {
        address: app.address,
        handle: "grace".into(),
        id: String::new(),
        token: String::new(),
        connection: None,
        acts_as: None,
    };
    assert!(!grace.sign_in_again().await.token.is_empty());
}

#[tokio::test]
async fn restoring_a_backup_begins_a_new_epoch() {
    let mut app = TestApp::start().await;
    let ada = app.user("ada").await;
    let cursor = ada.cursor().await;
    app.stop().await;
    let (succeeded, text) = run(&["migrate", "--restored", "--database", &app.database.url], "").await;
    assert!(succeeded && text.contains("new epoch"), "{text}");
    app.restart().await;
    let ada = crate::support::User { address: app.address, ..ada };
    let mut socket = ada.socket("phone").await;
    let sent = "subscription($after: Cursor) { messageSent(after: $after) { cursor } }";
    socket.follow_after("m", sent, &cursor).await;
    assert_eq!(socket.refused("m").await, "CURSOR_EXPIRED");
}

#[tokio::test]
async fn the_cause_of_a_failure_is_told() {
    let app = TestApp::start().await;
    let connection = Database::connect(&app.database.url).await.unwrap();
    connection.execute_unprepared("ALTER TABLE users RENAME COLUMN display_name TO called").await.unwrap();
    let add = ["user", "add", "grace", "--database", &app.database.url];
    let (succeeded, text) = run(&add, "correct horse battery\n").await;
    assert!(!succeeded && text.contains("display_name"), "{text}");
}

#[tokio::test]
async fn what_cannot_be_is_said_in_words() {
    for (args, word) in [
        (vec!["serve", "--database", "sqlite::memory:"], "name a file"),
        (vec!["serve", "--database", "sqlite:///nowhere/at/all.db?mode=rwc"], "cannot create"),
        (vec!["serve", "--database", "mysql://localhost/herald"], "expected sqlite://"),
        (vec!["serve", "--listen", "nonsense"], "--listen"),
        (vec!["serve", "--log", "a=b=c"], "--log"),
        // The library takes both for names, and then logs nothing.
        (vec!["serve", "--log", "inof"], "is no level"),
        (vec!["serve", "--log", "info,WARNING"], "is no level"),
        (vec!["serve", "--otlp-endpoint", "127.0.0.1:4318"], "expected http://HOST:PORT"),
        (vec!["serve", "--otlp-endpoint", "ftp://127.0.0.1"], "expected http://HOST:PORT"),
        (vec!["serve", "--jwt-jwks", "a", "--jwt-issuer", "", "--jwt-audience", "b"], "--jwt-issuer"),
        (vec!["serve", "--jwt-jwks", "a", "--jwt-issuer", "b", "--jwt-audience", "c,,d"], "--jwt-audience"),
        (vec!["serve", "--database-timeout", "4294967296"], "--database-timeout"),
        (vec!["sing"], "sing"),
    ] {
        let (succeeded, text) = run(&args, "").await;
        assert!(!succeeded && text.contains(word), "{args:?}: {text}");
    }
}

#[tokio::test]
async fn the_journey_of_a_message_is_explained() {
    let app = TestApp::start().await;
    let (ada, bob, cy) = (app.user("ada").await, app.user("bob").await, app.user("cy").await);
    let conversation = ada.start(&[&bob, &cy]).await;
    bob.mark_read(&ada.send(&conversation, "before").await).await;
    let message = ada.on("laptop").send(&conversation, "do not print me").await;
    let other = ada.send(&conversation, "after").await;
    bob.on("phone").mark_delivered(&other).await;
    bob.mark_read(&message).await;
    let (succeeded, text) = run(&["explain", &message, "--database", &app.database.url], "").await;
    assert!(succeeded, "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let says = |line: usize, parts: &[&str]| {
        assert!(parts.iter().all(|part| lines[line].contains(part)), "{parts:?}: {text}");
    };
    says(0, &[&message, &conversation, "position 4"]);
    says(1, &["sent by", &ada.handle, "connection laptop", "(position 4)"]);
    says(2, &["marked as delivered by", &bob.handle, "connection phone", "(position 6)"]);
    says(3, &["marked as read by", &bob.handle, "(position 7)"]);
    says(4, &[&bob.handle, "has read it since"]);
    says(5, &[&cy.handle, "has not received it"]);
    says(6, &["Of 2 recipients, 1 have read it, 0 have only received it, and 1 have not received it."]);
    assert_eq!(lines.len(), 7, "{text}");
    assert!(!text.contains("do not print me"), "{text}");
    for nothing in ["msg_00000000000000000000000000000007", "nonsense", &conversation] {
        let (succeeded, text) = run(&["explain", nothing, "--database", &app.database.url], "").await;
        assert!(!succeeded && text.contains("There is no such message"), "{text}");
    }
}

#[tokio::test]
async fn commands_that_only_look_make_no_database() {
    let scratch = Scratch::create("herald-looking").unwrap();
    let file = scratch.path().join("none.db");
    let url = format!("sqlite://{}?mode=rwc", file.display());
    for look in [
        &["explain", "msg_00000000000000000000000000000007"][..],
        &["key", "list"],
        &["key", "revoke", "crm"],
        &["webhook", "list"],
        &["user", "export", "usr_00000000000000000000000000000007"],
        &["check"],
        &["backup", "copy.db"],
    ] {
        let (succeeded, text) = run(&[look, &["--database", &url]].concat(), "").await;
        assert!(!succeeded && text.contains("there is no"), "{look:?}: {text}");
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "{look:?} has made a file");
    }
    // A key may be made before herald serves for the first time.
    let (succeeded, text) = run(&["key", "add", "crm", "--scope", "send", "--database", &url], "").await;
    assert!(succeeded && file.exists(), "{text}");
}
