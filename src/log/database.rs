//! Opening the database: connections, their settings, the schema, and the epoch.

use std::sync::Arc;
use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use super::connection::{Patient, create_file};

/// The oldest SQLite that is safe in WAL mode: earlier ones can corrupt the file when two connections reset
/// the log at once (<https://www.sqlite.org/wal.html#walresetbug>).
const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);

/// Is told of every SQL statement that is run. For tests that count them.
#[derive(Clone)]
pub struct Observer(pub Arc<dyn Fn(&str) + Send + Sync>);

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

/// How to open a database.
#[derive(Clone)]
pub struct DatabaseOptions {
    /// `sqlite://FILE?mode=rwc` or `postgres://…`.
    pub url: String,
    /// Connections for reading, beside the one that appends.
    pub readers: u32,
    /// How long a statement waits for a connection, SQLite for the file's lock, or Postgres for a lock and for all that
    /// it does, before the answer is [`Unavailable`].
    pub patience: Duration,
    /// Is told of every statement.
    pub observer: Option<Observer>,
}

impl std::fmt::Debug for DatabaseOptions {
    /// Without the URL: it may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseOptions").field("readers", &self.readers).finish_non_exhaustive()
    }
}

/// A database whose schema is current. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    /// One connection, which appends and changes.
    pub(super) writer: Patient<DatabaseConnection>,
    /// A pool, which only reads.
    pub(super) reader: Patient<DatabaseConnection>,
    /// The SQL that says where the log lives.
    pub(super) home: &'static str,
}

impl Database {
    /// Connects, brings the schema up to date and makes sure that there is an epoch.
    ///
    /// # Errors
    /// In words for the operator: what could not be opened, and why.
    pub async fn open(options: &DatabaseOptions) -> Result<Self, String> {
        let is_memory = options.url.contains(":memory:") || options.url.contains("mode=memory");
        if is_memory {
            return Err("an SQLite database in memory is not supported: name a file, \
                 such as sqlite://herald.db?mode=rwc"
                .into());
        }
        create_file(&options.url)?;
        let schema = Patient::for_migration(&options.url, options.patience).await?;
        check_sqlite(&schema).await?;
        let migrated =
            Migrator::up(&schema, None).await.map_err(|e| format!("cannot migrate the database: {e}"));
        schema.close().await.map_err(|e| e.to_string())?;
        migrated?;
        let mut writer = Patient::connect(&options.url, 1, options.patience).await?;
        let mut reader = Patient::connect(&options.url, options.readers.max(1), options.patience).await?;
        if let Some(observer) = &options.observer {
            writer.observe(observer);
            reader.observe(observer);
        }
        let mut database = Self { writer, reader, home: "NULL" };
        database.settle_head().await.map_err(|e| format!("cannot read the log's head: {e}"))?;
        Ok(database)
    }
}

async fn check_sqlite(connection: &DatabaseConnection) -> Result<(), String> {
    if connection.get_database_backend() != DbBackend::Sqlite {
        return Ok(());
    }
    let statement = Statement::from_string(DbBackend::Sqlite, "SELECT sqlite_version() AS version");
    let row = connection.query_one_raw(statement).await.map_err(|e| e.to_string())?;
    let version: String =
        row.ok_or("SQLite does not say its version")?.try_get("", "version").map_err(|e| e.to_string())?;
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut part = || parts.next().unwrap_or(0);
    if (part(), part(), part()) < OLDEST_SQLITE {
        let (major, minor, patch) = OLDEST_SQLITE;
        return Err(format!(
            "SQLite {version} can corrupt a database in WAL mode: build with {major}.{minor}.{patch} or later"
        ));
    }
    Ok(())
}
