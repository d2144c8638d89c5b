//! What is looked at before herald relies on a Postgres. Everything that waits has an end, and a reason to tell.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Error, Row};
use tokio::time::{sleep, timeout};

use super::{describe, settle};

/// How often it is looked whether a connection is one. Poolers of transactions give themselves away at the first time,
/// unless others use them at the same moment.
const PROBES: usize = 5;

const SHARED: &str = "there is a pooler in between that pools by transaction or by statement. herald needs connections of its \
    own: LISTEN, settings and prepared statements belong to one. Use session pooling (pool_mode = session in PgBouncer), or \
    connect directly";

const FEW: &str = "there is a pooler in between that gives herald no second connection. herald needs --database-readers + 4 at a \
    time, and that for each node: raise default_pool_size of PgBouncer, or connect directly";

/// Connects, and looks whether this Postgres can hold the log: a primary, reached by connections that are herald's own,
/// with the right characters and settings.
///
/// # Errors
/// In words for the operator: why not, and what to do.
pub async fn inspect(options: &PgConnectOptions, patience: Duration) -> Result<(), String> {
    let inspector = Inspector { options, patience };
    inspector.inspect().await.map_err(|error| format!("cannot use this Postgres: {}", describe(&error)))
}

/// Returns once Postgres cannot be reached, for those who wait for an answer that may take any time: why not.
pub async fn lost(options: &PgConnectOptions, patience: Duration) -> String {
    loop {
        sleep(patience).await;
        if let Err(error) = reach(options, patience).await {
            return error;
        }
    }
}

/// Connects, and says why that is impossible if it is.
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
            self.are_apart(&mut connection, &mut other).await?;
        }
        self.within(other.close()).await?;
        self.within(settle(&mut connection, self.patience)).await?;
        self.look_at_server(&mut connection).await?;
        self.within(connection.close()).await
    }

    /// Fails if the two connections can be those of others, too. A pooler of transactions gives the process that was used
    /// last, or the one that was used longest ago, to whoever begins a transaction.
    async fn are_apart(&self, connection: &mut PgConnection, other: &mut PgConnection) -> Result<(), Error> {
        let process = self.process(connection).await?;
        let again = self.process(connection).await?;
        match self.within(sqlx::raw_sql("BEGIN").execute(&mut *other)).await {
            Ok(_) => {}
            // The first connection has all that there is, and keeps it.
            Err(Error::PoolTimedOut) => return Err(refusal(FEW)),
            // Where it is pooled by statement, there are no transactions.
            Err(_) => return Err(refusal(SHARED)),
        }
        let others = self.process(other).await?;
        let at_last = if others == process { others.clone() } else { self.process(connection).await? };
        self.within(sqlx::raw_sql("COMMIT").execute(&mut *other)).await?;
        if others == process || again != process || at_last != process {
            return Err(refusal(SHARED));
        }
        Ok(())
    }

    /// The process of Postgres that answers.
    async fn process(&self, connection: &mut PgConnection) -> Result<String, Error> {
        self.ask(connection, "SELECT pg_backend_pid()::text").await
    }

    async fn look_at_server(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let encoding = self.ask(connection, "SELECT current_setting('server_encoding')").await?;
        if encoding != "UTF8" {
            return Err(refusal(format!(
                "the database's encoding is {encoding}, which does not have every character. Create one with ENCODING 'UTF8' \
                 TEMPLATE template0"
            )));
        }
        for (setting, cost) in [
            ("fsync", "a crash of its machine can lose what was answered, or the whole database"),
            ("full_page_writes", "a crash of its machine can leave pages half written"),
        ] {
            let value = self.ask(connection, &format!("SELECT current_setting('{setting}')")).await?;
            if value == "off" {
                tracing::warn!("Postgres runs with {setting} = off: {cost}");
            }
        }
        Ok(())
    }

    /// The one text that answers, by the simple protocol, which poolers know best.
    async fn ask(&self, connection: &mut PgConnection, question: &str) -> Result<String, Error> {
        let question = sqlx::raw_sql(AssertSqlSafe(question.to_owned()));
        self.within(question.fetch_one(connection)).await?.try_get(0)
    }

    async fn within<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        timeout(self.patience, answer).await.unwrap_or(Err(Error::PoolTimedOut))
    }
}

fn refusal(reason: impl Into<String>) -> Error {
    Error::InvalidArgument(reason.into())
}
