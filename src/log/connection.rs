//! Connections to the database: how herald opens them, and how long it waits for an answer. The statements are in the
//! other files of this room.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, Connection, SqliteConnection};
use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    QueryResult, RuntimeErr, SqlxPostgresConnector, Statement, TransactionOptions, TransactionTrait,
};

use super::Observer;
use super::address::Address;
use super::diagnosis::Diagnosis;
use super::error::DATABASE;
use super::prepared::Prepared;
use crate::postgres;

/// How much longer than Postgres itself herald waits for a statement. The error that Postgres gives says more than
/// herald's own.
const GRACE: Duration = Duration::from_secs(1);

/// The longest time that the connections to an SQLite file may take to close. Each first ends its statement. A herald
/// that stops must not wait for one that never ends.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// The size in bytes to which SQLite cuts the file of its WAL when it restarts the WAL. The file grows beyond this size
/// while a transaction reads.
const MAX_WAL_BYTES: &str = "67108864";

/// A connection, a pool of connections or a transaction, with a limit on the time that each answer takes. When a
/// network goes silent, TCP keeps a connection open for a quarter of an hour. A caller must not wait so long.
#[derive(Debug, Clone)]
pub(super) struct TimeLimited<C> {
    inner: C,
    /// The limit; `None` for SQLite, which runs in this process and limits its own waiting.
    patience: Option<Duration>,
    /// Finds out why there is no connection. `None` for SQLite and within a transaction.
    diagnosis: Option<Diagnosis>,
    /// The statements that the connections have prepared. `None` for SQLite, which prepares them again by itself.
    prepared: Option<Prepared>,
}

impl<C> TimeLimited<C> {
    async fn wait<T>(&self, answer: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let answered = match self.patience {
            Some(patience) => tokio::time::timeout(patience, answer).await.unwrap_or_else(|_| Err(silent())),
            None => answer.await,
        };
        match (&answered, &self.diagnosis) {
            (Ok(_), _) => DATABASE.worked(),
            (Err(DbErr::ConnectionAcquire(_)), Some(diagnosis)) => diagnosis.begin(),
            (Err(error), _) => self.prepared.iter().for_each(|prepared| prepared.note(error)),
        }
        answered
    }
}

fn silent() -> DbErr {
    DbErr::Conn(RuntimeErr::Internal("the database does not answer".into()))
}

#[async_trait::async_trait]
impl<C: ConnectionTrait> ConnectionTrait for TimeLimited<C> {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.wait(self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.wait(self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.wait(self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.wait(self.inner.query_all_raw(statement)).await
    }
}

impl TimeLimited<DatabaseConnection> {
    /// Opens all `connections` at once, so that a wrong setting shows at the start. When one of them has a statement refused,
    /// all are opened anew that share `prepared`.
    ///
    /// # Errors
    /// In words for the operator.
    pub(super) async fn connect(
        address: &Address,
        connections: u32,
        patience: Duration,
        prepared: &Prepared,
    ) -> Result<Self, String> {
        match address {
            Address::Sqlite(url) => {
                let mut connect = ConnectOptions::new(url);
                connect
                    .max_connections(connections)
                    .min_connections(connections)
                    .acquire_timeout(patience)
                    .idle_timeout(None)
                    .max_lifetime(None)
                    .sqlx_logging(false)
                    .map_sqlx_sqlite_pool_opts(|pool| {
                        pool.after_release(|connection, _| Box::pin(is_outside_transaction(connection)))
                    })
                    .map_sqlx_sqlite_opts(move |sqlite| {
                        sqlite
                            .journal_mode(SqliteJournalMode::Wal)
                            .synchronous(SqliteSynchronous::Full)
                            .busy_timeout(patience)
                            .pragma("journal_size_limit", MAX_WAL_BYTES)
                            // What was redacted is overwritten, and not just no longer referred to.
                            .pragma("secure_delete", "ON")
                            .statement_cache_capacity(256)
                    });
                Ok(Self {
                    inner: open_sqlite(connect).await?,
                    patience: None,
                    diagnosis: None,
                    prepared: None,
                })
            }
            Address::Postgres(options) => {
                let prepared = prepared.clone();
                let inner = open_postgres(options, connections, patience, prepared.clone()).await?;
                let diagnosis = Some(Diagnosis::new((**options).clone(), patience));
                Ok(Self { inner, patience: Some(patience + GRACE), diagnosis, prepared: Some(prepared) })
            }
        }
    }

    /// Opens one connection that can change the schema.
    ///
    /// # Errors
    /// In words for the operator.
    pub(super) async fn for_migration(address: &Address, patience: Duration) -> Result<Self, String> {
        match address {
            Address::Sqlite(url) => {
                one_of_sqlite(url, patience, |sqlite| sqlite.journal_mode(SqliteJournalMode::Wal)).await
            }
            Address::Postgres(_) => Self::connect(address, 1, patience, &Prepared::default()).await,
        }
    }

    /// Opens one connection that only reads. It changes neither an SQLite file nor the files beside it.
    ///
    /// # Errors
    /// In words for the operator.
    pub(super) async fn for_checking(address: &Address, patience: Duration) -> Result<Self, String> {
        match address {
            Address::Sqlite(url) => {
                one_of_sqlite(url, patience, |sqlite| sqlite.create_if_missing(false).read_only(true)).await
            }
            Address::Postgres(_) => Self::connect(address, 1, patience, &Prepared::default()).await,
        }
    }

    /// Calls `observer` with every statement from now on.
    pub(super) fn observe(&mut self, observer: &Observer) {
        let observe = Arc::clone(&observer.0);
        self.inner.set_metric_callback(move |info| observe(&info.statement.sql));
    }

    /// Begins a transaction.
    pub(super) async fn begin(
        &self,
        options: TransactionOptions,
    ) -> Result<TimeLimited<DatabaseTransaction>, DbErr> {
        let inner = self.wait(self.inner.begin_with_options(options)).await?;
        Ok(TimeLimited { inner, patience: self.patience, diagnosis: None, prepared: self.prepared.clone() })
    }

    /// Waits for the statements under way and closes every connection, within the limit on the time of an answer, or within
    /// [`CLOSE_TIMEOUT`].
    pub(super) async fn close(self) -> Result<(), DbErr> {
        let patience = self.patience.unwrap_or(CLOSE_TIMEOUT);
        tokio::time::timeout(patience, self.inner.close()).await.unwrap_or_else(|_| Err(silent()))
    }
}

impl TimeLimited<DatabaseTransaction> {
    /// Gives the transaction without the limit, for statements that may take any time.
    pub(super) fn unhurried(&self) -> &DatabaseTransaction {
        &self.inner
    }

    /// Commits. After an error, the transaction may or may not be committed.
    pub(super) async fn commit(self) -> Result<(), DbErr> {
        let Self { inner, patience, .. } = self;
        TimeLimited { inner: (), patience, diagnosis: None, prepared: None }.wait(inner.commit()).await
    }

    /// Undoes every change of the transaction.
    pub(super) async fn rollback(self) -> Result<(), DbErr> {
        let Self { inner, patience, .. } = self;
        TimeLimited { inner: (), patience, diagnosis: None, prepared: None }.wait(inner.rollback()).await
    }
}

/// Opens one connection to an SQLite file, with the options that `particular` adds.
async fn one_of_sqlite(
    url: &str,
    patience: Duration,
    particular: impl Fn(SqliteConnectOptions) -> SqliteConnectOptions + Send + Sync + 'static,
) -> Result<TimeLimited<DatabaseConnection>, String> {
    let mut connect = ConnectOptions::new(url);
    connect
        .max_connections(1)
        .acquire_timeout(patience)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| particular(sqlite.busy_timeout(patience)));
    Ok(TimeLimited { inner: open_sqlite(connect).await?, patience: None, diagnosis: None, prepared: None })
}

async fn open_sqlite(options: ConnectOptions) -> Result<DatabaseConnection, String> {
    let opened = sea_orm::Database::connect(options).await;
    opened.map_err(|error| format!("cannot open the SQLite database: {error}"))
}

/// Opens a pool whose connections have the settings that herald needs. The pool pings each connection that comes back
/// to it, and closes one that does not answer: its last statement may still run, or its network may be gone.
async fn open_postgres(
    options: &PgConnectOptions,
    connections: u32,
    patience: Duration,
    prepared: Prepared,
) -> Result<DatabaseConnection, String> {
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .min_connections(connections)
        .acquire_timeout(patience)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection: &mut PgConnection, _| {
            Box::pin(postgres::settle(connection, patience))
        })
        .before_acquire(move |_, connection| {
            let is_of_use = !prepared.is_outdated(connection.age);
            Box::pin(async move { Ok(is_of_use) })
        })
        .after_release(move |connection: &mut PgConnection, _| {
            Box::pin(async move {
                let answer = tokio::time::timeout(patience, connection.ping()).await;
                answer.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut)).map(|()| true)
            })
        });
    let pool = pool.connect_with(options.clone()).await;
    let pool =
        pool.map_err(|error| format!("cannot connect to Postgres: {}", postgres::describe_another(&error)))?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

/// Whether the pool may keep a connection that comes back to it. After some failures, such as a full disk, SQLite rolls
/// back by itself. sqlx then believes that the transaction is still open, and would never commit the statements that
/// follow. The pool closes such a connection.
async fn is_outside_transaction(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // The connection's own thread may not have run the rollback yet. It answers this ping after the rollback.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}
