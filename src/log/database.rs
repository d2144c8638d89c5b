//! Opening the database: connections, their settings, the schema, and the epoch.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use tokio::time::{Instant, sleep};

use super::address::Address;
use super::connection::TimeLimited;
use super::file::{FileLock, SqliteFile};
use super::prepared::Prepared;
use super::wal::Wal;
use super::{damage, restore, schema};
use crate::clock::Clock;
use crate::messaging::Timestamp;
use crate::metrics::METRICS;
use crate::postgres;

/// The oldest SQLite that is safe in WAL mode: earlier ones can corrupt the file when two connections reset
/// the log at once (<https://www.sqlite.org/wal.html#walresetbug>).
const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);

/// The pause between two tries to take the lock of an SQLite file.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A callback that herald calls with every SQL statement that it runs. Tests count the statements.
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
    /// The number of connections that read, beside the one that appends. At least one is opened.
    pub readers: u32,
    /// The longest time that a statement waits for a connection, that SQLite waits for the file's lock, and that
    /// Postgres runs a statement. After it the answer is [`super::Unavailable`].
    pub patience: Duration,
    /// Called with every statement, if there is one.
    pub observer: Option<Observer>,
}

impl std::fmt::Debug for DatabaseOptions {
    /// Without the URL: it may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseOptions").field("readers", &self.readers).finish_non_exhaustive()
    }
}

/// A database whose schema is current. A clone shares its connections.
#[derive(Debug, Clone)]
pub struct Database {
    /// The one connection that writes.
    pub(super) writer: TimeLimited<DatabaseConnection>,
    /// A pool of connections that only read.
    pub(super) reader: TimeLimited<DatabaseConnection>,
    /// The clock of this node, for what the clock of Postgres does not decide.
    clock: Clock,
    /// The SQL expression for the place of the log.
    pub(super) home: &'static str,
    /// The WAL of an SQLite file; `None` on Postgres.
    pub(super) wal: Option<Arc<Wal>>,
    /// Keeps other heralds away from an SQLite file. `None` on Postgres, and beside the herald that has the lock.
    pub(super) lock: Option<FileLock>,
}

impl Database {
    /// Connects, brings the schema up to date and makes sure that there is an epoch. It locks an SQLite file until the
    /// database is closed.
    ///
    /// # Errors
    /// A sentence for the operator that says what herald cannot open, and why.
    pub async fn open(options: &DatabaseOptions) -> Result<Self, String> {
        Self::open_with(options, false).await
    }

    /// The same for a command that may run beside the herald that has the lock of the SQLite file. If one has it, the
    /// schema must be current already.
    ///
    /// # Errors
    /// In words for the operator.
    pub async fn open_beside(options: &DatabaseOptions) -> Result<Self, String> {
        Self::open_with(options, true).await
    }

    /// The same for a command that has nothing to do in a new database. It makes none.
    ///
    /// # Errors
    /// In words for the operator.
    pub async fn open_existing(options: &DatabaseOptions) -> Result<Self, String> {
        if let Address::Sqlite(url) = Address::parse(&options.url)? {
            SqliteFile::find(&url)?;
        }
        Self::open_beside(options).await
    }

    async fn open_with(options: &DatabaseOptions, beside: bool) -> Result<Self, String> {
        let DatabaseOptions { url, readers, patience, observer } = options;
        let address = Address::parse(url)?;
        let (file, lock) = match &address {
            Address::Sqlite(url) => {
                let file = SqliteFile::create(url)?;
                let lock = acquire_lock(&file, &address, *patience, beside).await?;
                (Some(file), lock)
            }
            Address::Postgres(options) => {
                postgres::inspect(options, *patience).await?;
                (None, None)
            }
        };
        if let Some(file) = &file
            && !beside
        {
            damage::refuse(file, *patience).await?;
        }
        let connection = TimeLimited::for_migration(&address, *patience).await?;
        check_sqlite(&connection).await?;
        let migrated = schema::bring_up_to_date(&connection, &address, *patience).await;
        connection.close().await.map_err(|e| e.to_string())?;
        migrated?;
        let prepared = Prepared::default();
        let mut writer = TimeLimited::connect(&address, 1, *patience, &prepared).await?;
        let mut reader = TimeLimited::connect(&address, (*readers).max(1), *patience, &prepared).await?;
        if let Some(observer) = observer {
            writer.observe(observer);
            reader.observe(observer);
        }
        let wal = file.map(|file| Arc::new(Wal::new(file.beside("-wal"), url.clone())));
        let mut database = Self { writer, reader, clock: Clock::default(), home: "NULL", wal, lock };
        database.settle_head().await.map_err(|e| format!("cannot read the log's head: {e}"))?;
        Ok(database)
    }

    /// The same database, read and written by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The clock of this node.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// The time now, by the clock of this node.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Notes the size of an SQLite file's WAL in the metrics. The WAL grows while a transaction reads.
    pub(super) fn measure_wal(&self) {
        let Some(wal) = &self.wal else { return };
        let bytes = wal.path().metadata().map_or(0, |wal| wal.len());
        METRICS.wal_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

/// Takes the lock of an SQLite file, and finishes a restore that was stopped. It waits up to `patience`, since a herald
/// that is about to end may still have the lock. `None` when `beside` allows to work beside the herald that has it.
pub(super) async fn acquire_lock(
    file: &SqliteFile,
    address: &Address,
    patience: Duration,
    beside: bool,
) -> Result<Option<FileLock>, String> {
    let until = Instant::now() + patience;
    loop {
        if let Some(lock) = file.try_lock()? {
            restore::finish(file)?;
            return Ok(Some(lock));
        }
        if beside && is_current(address, patience).await {
            return Ok(None);
        }
        if Instant::now() >= until {
            return Err(file.is_taken());
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Whether the schema is known to be current.
async fn is_current(address: &Address, patience: Duration) -> bool {
    let Ok(connection) = TimeLimited::for_migration(address, patience).await else { return false };
    let is_current = schema::is_current(&connection).await;
    // The connection has only read, so an error loses nothing.
    let _ = connection.close().await;
    is_current == Ok(true)
}

async fn check_sqlite(connection: &impl ConnectionTrait) -> Result<(), String> {
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
