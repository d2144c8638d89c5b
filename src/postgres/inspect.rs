//! Checks a Postgres before herald relies on it. Every wait has a limit, and every failure a reason for the operator.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Error, Row};
use tokio::time::{sleep, timeout};

use super::fault::ENOUGH;
use super::{describe, settle};

/// How often herald checks that its connections are its own. The first check shows a pooler of transactions, unless
/// others use the pooler at the same moment.
const PROBES: usize = 5;

const SHARED: &str = "a pooler in between pools by transaction or by statement. herald needs connections of its own, \
    because LISTEN, settings and prepared statements belong to one connection. Use session pooling (pool_mode = \
    session in PgBouncer), or connect directly";

const TOO_FEW: &str = "a pooler in between gives herald no second connection";

/// Connects, and checks that this Postgres can hold the log: it is a primary, herald's connections are its own, and the
/// encoding and the settings are right. Each step may take as long as `patience`.
///
/// # Errors
/// Why it cannot hold the log and what to do, for the operator.
pub async fn inspect(options: &PgConnectOptions, patience: Duration) -> Result<(), String> {
    let inspector = Inspector { options, patience };
    inspector.inspect().await.map_err(|error| format!("cannot use this Postgres: {}", describe(&error)))
}

/// Returns the reason once Postgres cannot be reached. It is for a caller that waits for an answer which may take any
/// time: Postgres is tried again after each `patience`.
pub async fn lost(options: &PgConnectOptions, patience: Duration) -> String {
    loop {
        sleep(patience).await;
        if let Err(error) = reach(options, patience).await {
            return error;
        }
    }
}

/// Connects, and closes the connection again. Each step may take as long as `patience`.
///
/// # Errors
/// Why Postgres cannot be reached, for the operator.
pub async fn reach(options: &PgConnectOptions, patience: Duration) -> Result<(), String> {
    let inspector = Inspector { options, patience };
    let reached = async {
        let mut connection = inspector.within(options.connect()).await?;
        inspector.within(settle(&mut connection, patience)).await?;
        inspector.within(connection.close()).await
    };
    reached.await.map_err(|error| describe(&error))
}

struct Inspector<'a> {
    options: &'a PgConnectOptions,
    patience: Duration,
}

impl Inspector<'_> {
    async fn inspect(&self) -> Result<(), Error> {
        let mut connection = self.within(self.options.connect()).await?;
        let mut other = self.within(self.options.connect()).await?;
        for _ in 0..PROBES {
            self.check_exclusive(&mut connection, &mut other).await?;
        }
        self.within(other.close()).await?;
        self.within(settle(&mut connection, self.patience)).await?;
        self.check_server(&mut connection).await?;
        self.within(connection.close()).await
    }

    /// Fails if others can use the two connections too. A pooler of transactions hands a process of Postgres to whoever
    /// begins a transaction: the one that was used last, or the one that was used longest ago.
    async fn check_exclusive(
        &self,
        connection: &mut PgConnection,
        other: &mut PgConnection,
    ) -> Result<(), Error> {
        let process = self.process(connection).await?;
        let again = self.process(connection).await?;
        match self.within(sqlx::raw_sql("BEGIN").execute(&mut *other)).await {
            Ok(_) => {}
            // The pooler has only one, and the first connection keeps it.
            Err(Error::PoolTimedOut) => return Err(refusal(format!("{TOO_FEW}. {ENOUGH}"))),
            // A pooler of statements allows no transactions.
            Err(_) => return Err(refusal(SHARED)),
        }
        let others = self.process(other).await?;
        let afterwards = if others == process { others.clone() } else { self.process(connection).await? };
        self.within(sqlx::raw_sql("COMMIT").execute(&mut *other)).await?;
        if others == process || again != process || afterwards != process {
            return Err(refusal(SHARED));
        }
        Ok(())
    }

    /// The id of the process of Postgres that answers.
    async fn process(&self, connection: &mut PgConnection) -> Result<String, Error> {
        self.ask(connection, "SELECT pg_backend_pid()::text").await
    }

    async fn check_server(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let encoding = self.ask(connection, "SELECT current_setting('server_encoding')").await?;
        if encoding != "UTF8" {
            return Err(refusal(format!(
                "the encoding of the database is {encoding}, which lacks some characters. Create a database with \
                 ENCODING 'UTF8' TEMPLATE template0"
            )));
        }
        for (setting, cost) in [
            ("fsync", "a crash of its machine can lose what herald has answered, or the whole database"),
            ("full_page_writes", "a crash of its machine can leave half-written pages"),
        ] {
            let value = self.ask(connection, &format!("SELECT current_setting('{setting}')")).await?;
            if value == "off" {
                tracing::warn!("Postgres runs with {setting} = off: {cost}");
            }
        }
        Ok(())
    }

    /// The one text that this statement returns. It uses the simple protocol, which poolers support best.
    async fn ask(&self, connection: &mut PgConnection, statement: &str) -> Result<String, Error> {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        self.within(statement.fetch_one(connection)).await?.try_get(0)
    }

    async fn within<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        timeout(self.patience, answer).await.unwrap_or(Err(Error::PoolTimedOut))
    }
}

fn refusal(reason: impl Into<String>) -> Error {
    Error::InvalidArgument(reason.into())
}
