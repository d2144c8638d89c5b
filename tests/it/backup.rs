//! `herald backup` and `herald restore` of the real binary, as operators use them.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use herald::log::{Database, DatabaseOptions, check};
use herald::metrics::METRICS;
use tokio::process::Command;

use crate::command_line::run;
use crate::crash::{Process, history, keep_sending};
use crate::support::{TestApp, TestDatabase, User};

const SENT: &str = "subscription($after: Cursor) { messageSent(after: $after) { cursor } }";

fn url(file: &Path) -> String {
    format!("sqlite://{}?mode=rwc", file.display())
}

fn options(url: &str) -> DatabaseOptions {
    DatabaseOptions { url: url.into(), readers: 1, patience: Duration::from_secs(5), observer: None }
}

async fn backup(database: &str, file: &Path) -> (bool, String) {
    run(&["backup", file.to_str().unwrap(), "--database", database], "").await
}

async fn restore(database: &str, file: &Path) -> (bool, String) {
    let patience = ["--database-timeout", "1"];
    run(&[&["restore", file.to_str().unwrap(), "--database", database], &patience[..]].concat(), "").await
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What `work` gives. A test that hangs says at which of its steps.
async fn within<T>(step: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(30), work).await;
    done.unwrap_or_else(|_| panic!("{step} does not end"))
}

/// A folder of the test's own beside its database.
fn folder(database: &Path, name: &str) -> PathBuf {
    let folder = database.with_file_name(name);
    std::fs::create_dir(&folder).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_beside_a_herald_that_serves_has_every_message_that_was_answered() {
    let database = TestDatabase::create().await;
    let Some(file) = database.file() else { return };
    let backups = folder(&file, "backups");
    let herald = Process::start(&database.url).await;
    let (ada, bob) =
        (User::register(herald.address, "ada").await, User::register(herald.address, "bob").await);
    let conversation = ada.start(&[&bob]).await;
    let answered = Arc::new(Mutex::new(Vec::new()));
    let sending: Vec<_> = (0..3)
        .map(|name| keep_sending(ada.clone(), conversation.clone(), name, Arc::clone(&answered)))
        .map(tokio::spawn)
        .collect();
    // A backup may be made any number of times.
    for number in 0..3 {
        ada.send(&conversation, &format!("before {number}")).await;
        let answered = answered.lock().unwrap().clone();
        let copy = backups.join(format!("{number}.db"));
        let (succeeded, text) = backup(&database.url, &copy).await;
        assert!(succeeded && text.contains("has the log up to position"), "{text}");
        assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);

        let other = folder(&file, &format!("other-{number}")).join("herald.db");
        let (succeeded, text) = restore(&url(&other), &copy).await;
        assert!(succeeded, "{text}");
        check(&options(&url(&other))).await.unwrap();
        let restored = Process::start(&url(&other)).await;
        let kept: HashSet<_> = history(&ada.at(restored.address), &conversation).await.into_iter().collect();
        assert!(kept.contains(&format!("before {number}")));
        for body in answered {
            assert!(kept.contains(&body), "{body} was answered before backup {number}");
        }
        restored.kill().await;
    }
    herald.kill().await;
    for sent in sending {
        sent.await.unwrap();
    }
    assert_eq!(names_in(&backups), ["0.db", "1.db", "2.db"]);
}

#[tokio::test]
async fn a_backup_replaces_nothing_and_leaves_nothing_half_made() {
    let app = TestApp::start().await;
    let Some(file) = app.database.file() else {
        let (succeeded, text) = backup(&app.database.url, Path::new("/tmp/none")).await;
        assert!(!succeeded && text.contains("pg_dump"), "{text}");
        let (succeeded, text) = restore(&app.database.url, Path::new("/tmp/none")).await;
        assert!(!succeeded && text.contains("herald migrate --restored"), "{text}");
        return;
    };
    app.user("ada").await;
    let backups = folder(&file, "backups");
    let copy = backups.join("herald.db");
    std::fs::write(&copy, "something else").unwrap();
    let (succeeded, text) = backup(&app.database.url, &copy).await;
    assert!(!succeeded && text.contains("is there already"), "{text}");
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), "something else");
    let (succeeded, text) = backup(&app.database.url, &backups.join("none/herald.db")).await;
    assert!(!succeeded && text.contains("No such file"), "{text}");
    let missing = url(&backups.join("missing.db"));
    let (succeeded, text) = backup(&missing, &backups.join("copy.db")).await;
    assert!(!succeeded && text.contains("there is no"), "{text}");
    // A file may have 64 blocks. A larger file fails as on a full disk.
    let program = env!("CARGO_BIN_EXE_herald");
    let full = format!(
        "trap '' XFSZ; ulimit -f 64; exec {program} backup {}/full.db --database '{}'",
        backups.display(),
        app.database.url
    );
    let output = Command::new("sh").args(["-c", &full]).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("cannot copy"), "{text}");
    assert_eq!(names_in(&backups), ["herald.db"]);
}

#[tokio::test]
async fn a_restored_backup_takes_the_place_of_the_database_which_is_kept() {
    let mut app = TestApp::start().await;
    let Some(file) = app.database.file() else { return };
    let (ada, bob, conversation) = app.pair().await;
    ada.send(&conversation, "kept").await;
    let copy = file.with_file_name("copy.db");
    let (succeeded, text) = backup(&app.database.url, &copy).await;
    assert!(succeeded, "{text}");
    ada.send(&conversation, "lost").await;
    let cursor = bob.cursor().await;

    let (succeeded, text) = restore(&app.database.url, &copy).await;
    assert!(!succeeded && text.contains("another herald has"), "{text}");
    app.stop().await;
    let (succeeded, text) = restore(&app.database.url, &copy).await;
    assert!(succeeded && text.contains("the log up to position 2"), "{text}");
    assert!(text.contains("herald.db.before-") && text.contains("new epoch"), "{text}");
    let kept = names_in(file.parent().unwrap());
    let kept = kept.iter().find(|name| name.contains(".before-")).unwrap();
    app.restart().await;
    let (ada, bob) = (ada.at(app.address), bob.at(app.address));
    assert_eq!(history(&ada, &conversation).await, ["kept"]);
    let mut socket = bob.socket("phone").await;
    socket.follow_after("m", SENT, &cursor).await;
    assert_eq!(socket.refused("m").await, "CURSOR_EXPIRED");
    drop(socket);

    // The database that was kept is complete, and can be restored.
    app.stop().await;
    let (succeeded, text) = restore(&app.database.url, &file.with_file_name(kept)).await;
    assert!(succeeded && text.contains("the log up to position 3"), "{text}");
    app.restart().await;
    assert_eq!(history(&ada.at(app.address), &conversation).await, ["kept", "lost"]);
}

#[tokio::test]
async fn what_is_no_sound_backup_is_not_restored() {
    let mut app = TestApp::start().await;
    let Some(file) = app.database.file() else { return };
    let (ada, _, conversation) = app.pair().await;
    for _ in 0..50 {
        ada.send(&conversation, &"long ".repeat(100)).await;
    }
    app.stop().await;
    let folder = folder(&file, "backups");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let mut damaged = std::fs::read(&file).unwrap();
    let torn = damaged.len() / 2;
    damaged[torn..torn + 20_000].fill(0);
    for (backup, named) in [
        (folder.join("none.db"), "No such file"),
        (write("text.db", b"no database at all, only some text"), "not a database"),
        (write("empty.db", b""), "log_head"),
        (write("damaged.db", &damaged), "it is damaged"),
        (file.clone(), "the database itself"),
    ] {
        let (succeeded, text) = restore(&app.database.url, &backup).await;
        assert!(!succeeded && text.contains(named), "{named}: {text}");
    }
    let beside = names_in(file.parent().unwrap());
    assert!(!beside.iter().any(|name| name.contains("restor") || name.contains("before")), "{beside:?}");
    check(&options(&app.database.url)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_during_a_restore_leaves_the_database_of_before_or_the_restored_one() {
    let mut app = TestApp::start().await;
    let Some(file) = app.database.file() else { return };
    let (ada, _, conversation) = app.pair().await;
    let copy = file.with_file_name("copy.db");
    assert!(within("the backup", backup(&app.database.url, &copy)).await.0);
    ada.send(&conversation, "lost").await;
    within("the stop", app.stop()).await;
    for kill in 0..40 {
        let folder = folder(&file, &format!("killed-{kill}"));
        let database = folder.join("herald.db");
        std::fs::copy(&file, &database).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_herald"))
            .args(["restore", copy.to_str().unwrap(), "--database", &url(&database)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        // The kill may come at any moment.
        let _ = tokio::time::timeout(Duration::from_millis(3 * kill), child.wait()).await;
        let _ = child.start_kill();
        within("the end of the killed restore", child.wait()).await.unwrap();
        let opened = Box::pin(within("opening", Database::open(&options(&url(&database))))).await;
        let opened = opened.unwrap_or_else(|error| panic!("after {kill}: {error}"));
        within("closing", opened.close()).await;
        let events = within("the check", check(&options(&url(&database)))).await.unwrap().events;
        let is_restored = names_in(&folder).iter().any(|name| name.contains(".before-"));
        assert_eq!(events, if is_restored { 1 } else { 2 }, "after {kill}");
    }
}

// A database that was copied file by file while herald wrote to it, or whose disk failed.
#[tokio::test]
async fn a_damaged_database_is_not_served() {
    let mut app = TestApp::start().await;
    let Some(file) = app.database.file() else { return };
    let (ada, _, conversation) = app.pair().await;
    for _ in 0..50 {
        ada.send(&conversation, &"long ".repeat(100)).await;
    }
    app.stop().await;
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    let torn = damaged.len() / 2;
    damaged[torn..torn + 20_000].fill(0);
    std::fs::write(&file, &damaged).unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--database", &app.database.url];
    let (succeeded, text) = run(&serve, "").await;
    assert!(!succeeded && text.contains("is damaged") && text.contains("herald restore"), "{text}");
    // herald has not changed the file.
    assert_eq!(std::fs::read(&file).unwrap(), damaged);

    // Each page is intact, but the pages are of different moments.
    std::fs::write(&file, &whole).unwrap();
    let connection = sea_orm::Database::connect(&app.database.url).await.unwrap();
    let behind = "UPDATE log_head SET position = position - 1";
    sea_orm::ConnectionTrait::execute_unprepared(&connection, behind).await.unwrap();
    connection.close().await.unwrap();
    let (succeeded, text) = run(&serve, "").await;
    assert!(!succeeded && text.contains("the log's head is at 50, and its newest event at 51"), "{text}");
}

// A reader with a snapshot makes the WAL grow. Afterwards the WAL becomes small again.
#[tokio::test]
async fn a_large_wal_is_cut_and_its_size_can_be_watched() {
    const LARGE: u64 = 80 << 20;
    let app = TestApp::start().await;
    let Some(file) = app.database.file() else { return };
    let size = || file.with_file_name("herald.db-wal").metadata().unwrap().len();
    let (ada, _, conversation) = app.pair().await;
    let foreign = sea_orm::Database::connect(&app.database.url).await.unwrap();
    let statement = format!("CREATE TABLE large AS SELECT zeroblob({LARGE})");
    sea_orm::ConnectionTrait::execute_unprepared(&foreign, &statement).await.unwrap();
    foreign.close().await.unwrap();
    let database = Database::open_beside(&options(&app.database.url)).await.unwrap();
    database.poll_head().await.unwrap();
    assert!(size() > LARGE);
    assert!(METRICS.wal_bytes.get() > i64::try_from(LARGE).unwrap());
    // SQLite writes the WAL back into the database, and then starts it again.
    for _ in 0..2 {
        ada.send(&conversation, "hello").await;
    }
    assert_eq!(size(), 64 << 20);
    database.close().await;
}
