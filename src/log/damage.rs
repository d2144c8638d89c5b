//! Tells whether an SQLite file is damaged. Somebody may have copied it during a write, or its disk may have failed.
//! SQLite itself notices only when it reads a damaged page.

use std::path::Path;
use std::time::{Duration, Instant};

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sea_orm::sqlx::{self, Connection};

use super::file::SqliteFile;

/// Steps of SQLite's virtual machine between two checks of the time. They take some tens of microseconds.
const VM_STEPS_PER_CHECK: i32 = 10_000;

/// SQLite's code for a statement that the progress handler ended (`SQLITE_INTERRUPT`).
const INTERRUPTED: &str = "9";

/// The longest time that a start spends on the examination of the file.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// The outcome of an examination that found no damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Examined {
    /// Every page was examined.
    Wholly,
    /// The time was over before every page was examined.
    InPart,
}

/// Opens a connection that only reads. It changes neither the file nor the files beside it.
///
/// # Errors
/// In words for the operator.
pub(super) async fn open(path: &Path, patience: Duration) -> Result<SqliteConnection, String> {
    connect(SqliteConnectOptions::new().filename(path).read_only(true), path, patience).await
}

async fn connect(
    options: SqliteConnectOptions,
    path: &Path,
    patience: Duration,
) -> Result<SqliteConnection, String> {
    let options = options.busy_timeout(patience);
    SqliteConnection::connect_with(&options)
        .await
        .map_err(|error| format!("cannot open {}: {error}", path.display()))
}

/// Examines every page, for at most `time` if it is given.
///
/// # Errors
/// A description of the damage.
pub(super) async fn examine(
    connection: &mut SqliteConnection,
    time: Option<Duration>,
) -> Result<Examined, String> {
    if let Some(time) = time {
        let until = Instant::now() + time;
        let mut handle = connection.lock_handle().await.map_err(|error| error.to_string())?;
        handle.set_progress_handler(VM_STEPS_PER_CHECK, move || Instant::now() < until);
    }
    let found = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *connection).await;
    if time.is_some() {
        let mut handle = connection.lock_handle().await.map_err(|error| error.to_string())?;
        handle.remove_progress_handler();
    }
    match found {
        Ok(found) if found == "ok" => Ok(Examined::Wholly),
        Ok(found) => Err(found),
        Err(error)
            if error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref()
                == Some(INTERRUPTED) =>
        {
            Ok(Examined::InPart)
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Refuses a database in which damage is found within [`START_TIMEOUT`].
///
/// # Errors
/// In words for the operator.
pub(super) async fn refuse(file: &SqliteFile, patience: Duration) -> Result<(), String> {
    let path = file.path();
    let options = SqliteConnectOptions::new().filename(path);
    // A kill during the very first start leaves a rollback journal. SQLite must apply it before it can read.
    let options = options.read_only(!file.beside("-journal").exists());
    let mut connection = connect(options, path, patience).await?;
    let damaged = |what: String| {
        format!(
            "{} is damaged: {what}. `herald restore` puts a backup in its place, and keeps this file",
            path.display()
        )
    };
    match examine(&mut connection, Some(START_TIMEOUT)).await.map_err(damaged)? {
        Examined::Wholly => {}
        Examined::InPart => tracing::warn!(
            "{} is too large for all of it to be looked at within {} s: `herald check` does, also while this herald serves",
            path.display(),
            START_TIMEOUT.as_secs()
        ),
    }
    if has_log(&mut connection).await.map_err(damaged)? {
        read_position(&mut connection).await.map_err(damaged)?;
    }
    connection.close().await.map_err(|error| format!("cannot close {}: {error}", path.display()))
}

/// Whether the database has the tables of a log.
async fn has_log(connection: &mut SqliteConnection) -> Result<bool, String> {
    let ask = "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('log_head', 'events')";
    let tables: i64 =
        sqlx::query_scalar(ask).fetch_one(connection).await.map_err(|error| error.to_string())?;
    Ok(tables == 2)
}

/// Reads the position of the log's head. It must be the position of the newest event. `None` where there is no head
/// yet.
///
/// # Errors
/// A sentence for the operator: the head and the events have different positions.
pub(super) async fn read_position(connection: &mut SqliteConnection) -> Result<Option<i64>, String> {
    let ask = "SELECT h.position, COALESCE((SELECT MAX(e.position) FROM events e), 0) FROM log_head h WHERE h.id = 1";
    let found: Option<(i64, i64)> =
        sqlx::query_as(ask).fetch_optional(connection).await.map_err(|error| error.to_string())?;
    match found {
        Some((head, newest)) if head != newest => {
            Err(format!("the log's head is at {head}, and its newest event at {newest}"))
        }
        found => Ok(found.map(|(head, _)| head)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_large_file_is_looked_at_for_as_long_as_there_is_time() {
        let path = std::env::temp_dir().join(format!("herald_{}.db", crate::random::id().simple()));
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut connection = connect(options, &path, Duration::ZERO).await.unwrap();
        let fill = "CREATE TABLE numbers AS
            WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 100000) SELECT n FROM n";
        sqlx::query(fill).execute(&mut connection).await.unwrap();
        assert_eq!(examine(&mut connection, Some(Duration::ZERO)).await, Ok(Examined::InPart));
        // What comes next has all the time that it needs.
        assert_eq!(examine(&mut connection, None).await, Ok(Examined::Wholly));
        connection.close().await.unwrap();
        std::fs::remove_file(path).unwrap();
    }
}
