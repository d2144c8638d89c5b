//! Opening a database: its schema is migrated as a whole or not at all, and an SQLite file has one herald.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use herald::log::{Database, DatabaseOptions};
use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use crate::command_line::run;
use crate::support::{TestApp, TestDatabase};

/// The patience of a test.
fn options(url: &str) -> DatabaseOptions {
    DatabaseOptions { url: url.into(), readers: 1, patience: Duration::from_millis(300), observer: None }
}

async fn connect(database: &TestDatabase) -> DatabaseConnection {
    sea_orm::Database::connect(&database.url).await.unwrap()
}

/// The tables and indexes of the database, in the order in which they were made.
async fn objects(connection: &DatabaseConnection) -> Vec<String> {
    let question = match connection.get_database_backend() {
        sea_orm::DbBackend::Postgres => "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'",
        _ => "SELECT type || ' ' || name AS name FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid",
    };
    let question = Statement::from_string(connection.get_database_backend(), question);
    let rows = connection.query_all_raw(question).await.unwrap();
    rows.iter().map(|row| row.try_get("", "name").unwrap()).collect()
}

#[tokio::test]
async fn migrations_that_cannot_be_finished_leave_nothing_behind() {
    let database = TestDatabase::create().await;
    let connection = connect(&database).await;
    // A later migration creates this table, so the first one has run when it fails.
    connection.execute_unprepared("CREATE TABLE session_ends (n integer)").await.unwrap();
    let before = objects(&connection).await;
    let error = Database::open(&options(&database.url)).await.unwrap_err();
    assert!(error.contains("cannot migrate") && error.contains("another program"), "{error}");
    assert_eq!(objects(&connection).await, before);
    connection.execute_unprepared("DROP TABLE session_ends").await.unwrap();
    Database::open(&options(&database.url)).await.unwrap().close().await;
}

// On SQLite, earlier versions of herald ran migrations without a transaction. When one was killed, it left such a file.
#[tokio::test]
async fn a_file_that_was_left_half_migrated_is_finished() {
    for steps in [1, 2] {
        let mut made = 0;
        for left in 0.. {
            let database = TestDatabase::create().await;
            if database.file().is_none() {
                return;
            }
            let connection = connect(&database).await;
            Migrator::up(&connection, Some(steps - 1)).await.unwrap();
            let before = objects(&connection).await.len();
            Migrator::up(&connection, Some(1)).await.unwrap();
            let unrecorded = "DELETE FROM seaql_migrations WHERE version =
                (SELECT MAX(version) FROM seaql_migrations)";
            connection.execute_unprepared(unrecorded).await.unwrap();
            let mut objects = objects(&connection).await;
            made = objects.len() - before;
            if left > made {
                break;
            }
            for object in objects.split_off(before + left).iter().rev() {
                connection.execute_unprepared(&format!("DROP {object}")).await.unwrap();
            }
            connection.close().await.unwrap();
            let database = Database::open(&options(&database.url)).await.unwrap();
            assert_eq!(database.readiness().await, Ok(()), "with {left} of {made} left by migration {steps}");
            database.close().await;
        }
        assert!(made > 0);
    }
}

#[tokio::test]
async fn an_sqlite_file_has_one_herald_at_a_time_by_whatever_name() {
    let mut app = TestApp::start().await;
    let Some(file) = app.database.file() else { return };
    let lock = file.with_file_name("herald.db-lock");
    assert_eq!(lock.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let link = file.with_file_name("link.db");
    symlink(&file, &link).unwrap();
    for name in [&file, &link] {
        let url = format!("sqlite://{}", name.display());
        let error = Database::open(&options(&url)).await.unwrap_err();
        assert!(error.contains("another herald has") && error.contains("Postgres"), "{error}");
        let (succeeded, text) =
            run(&["serve", "--listen", "127.0.0.1:0", "--database", &url, "--database-timeout", "1"], "")
                .await;
        assert!(!succeeded && text.contains("another herald has"), "{text}");
    }
    // The first herald still works.
    app.user("ada").await;
    app.stop().await;
    let database = Database::open(&options(&app.database.url)).await.unwrap();
    drop(database);
    app.restart().await;
}

#[tokio::test]
async fn a_hard_link_to_an_sqlite_file_is_refused() {
    let database = TestDatabase::create().await;
    let Some(file) = database.file() else { return };
    Database::open(&options(&database.url)).await.unwrap().close().await;
    let other = file.with_file_name("other.db");
    std::fs::hard_link(&file, &other).unwrap();
    let error = Database::open(&options(&format!("sqlite://{}", other.display()))).await.unwrap_err();
    assert!(error.contains("2 names"), "{error}");
}

#[tokio::test]
async fn commands_work_beside_a_herald_that_serves_unless_they_would_change_the_log_under_it() {
    let app = TestApp::start().await;
    let url = &app.database.url;
    let patience = ["--database-timeout", "1", "--database", url];
    let command = |words: &[&'static str]| [words, &patience].concat();
    let (succeeded, text) = run(&command(&["user", "add", "grace"]), "correct horse battery\n").await;
    assert!(succeeded && text.contains("Added grace"), "{text}");
    let (succeeded, text) = run(&command(&["migrate"]), "").await;
    assert!(succeeded && text.contains("is current"), "{text}");
    if app.database.file().is_none() {
        return;
    }
    let (succeeded, text) = run(&command(&["migrate", "--restored"]), "").await;
    assert!(!succeeded && text.contains("Stop the other one first"), "{text}");
    // After this, the schema looks older than this herald.
    let connection = connect(&app.database).await;
    let newest = "DELETE FROM seaql_migrations WHERE version = (SELECT MAX(version) FROM seaql_migrations)";
    connection.execute_unprepared(newest).await.unwrap();
    for words in [&["migrate"][..], &["user", "add", "linus"]] {
        let (succeeded, text) = run(&command(words), "correct horse battery\n").await;
        assert!(!succeeded && text.contains("another herald has"), "{text}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_or_cannot_be_locked_is_named() {
    let database = TestDatabase::create().await;
    let Some(file) = database.file() else { return };
    let url = format!("sqlite://{}", file.display());
    let error = Database::open(&options(&url)).await.unwrap_err();
    assert!(error.contains("there is no") && error.contains("mode=rwc"), "{error}");
    std::fs::create_dir(file.with_file_name("herald.db-lock")).unwrap();
    let error = Database::open(&options(&database.url)).await.unwrap_err();
    assert!(error.contains("herald.db-lock") && error.contains("folder"), "{error}");
}
