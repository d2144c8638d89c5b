//! Brings the schema up to date. All pending migrations, with the record of them, are one transaction. If herald stops
//! amid it, the database is as before.

use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode,
    Statement, TransactionOptions,
};
use tokio::time::{Instant, sleep};

use super::address::Address;
use super::connection::TimeLimited;
use crate::postgres;

/// How many times `--database-timeout` a node waits for another that changes the schema.
const MAX_LOCK_TRIES: u32 = 12;

/// The pause between two tries to take the lock.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// What the nodes on one Postgres lock while they change the schema, beside a number for the schema's name: "hera" in
/// ASCII.
const MIGRATION_LOCK: i32 = 0x6865_7261;

/// Whether no migration is pending. It changes nothing in the database.
pub(super) async fn is_current(connection: &impl ConnectionTrait) -> Result<bool, String> {
    let pending = Migrator::get_pending_migrations_read_only(connection).await;
    pending.map(|pending| pending.is_empty()).map_err(|error| cannot_migrate(&error))
}

/// Applies the pending migrations. Where several nodes start at once, one applies them and the others wait.
///
/// # Errors
/// In words for the operator.
pub(super) async fn bring_up_to_date(
    connection: &TimeLimited<DatabaseConnection>,
    address: &Address,
    patience: Duration,
) -> Result<(), String> {
    if is_current(connection).await? {
        return Ok(());
    }
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    let transaction = connection.begin(options).await.map_err(|error| cannot_migrate(&error))?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        // The change of a large table may take any time. The wait for its lock is limited, because every other
        // statement would wait behind it.
        let millis = patience.as_millis();
        let patient = format!("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = {millis}");
        transaction.execute_unprepared(&patient).await.map_err(|error| cannot_migrate(&error))?;
        wait_for_turn(&transaction, patience * MAX_LOCK_TRIES).await?;
    }
    // The migrations may take any time while Postgres can be reached.
    let lost = async {
        match address {
            Address::Postgres(options) => postgres::lost(options, patience).await,
            Address::Sqlite(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        migrated = Migrator::up(transaction.unhurried(), None) => migrated.map_err(|error| cannot_migrate(&error))?,
        reason = lost => return Err(format!("cannot migrate the database: Postgres was lost amid it: {reason}")),
    }
    transaction.commit().await.map_err(|error| cannot_migrate(&error))
}

fn cannot_migrate(error: &DbErr) -> String {
    let error = error.to_string();
    let hint = if error.contains("already exists") {
        ". Is it the database of another program? herald needs one of its own, or a schema of its own on Postgres"
    } else {
        ""
    };
    format!("cannot migrate the database: {error}{hint}")
}

/// Waits for the lock of this schema, which goes with the transaction: not even a pooler between herald and Postgres
/// can keep it.
async fn wait_for_turn(
    transaction: &TimeLimited<DatabaseTransaction>,
    patience: Duration,
) -> Result<(), String> {
    let until = Instant::now() + patience;
    let mut told = false;
    loop {
        let take = format!(
            "SELECT pg_try_advisory_xact_lock({MIGRATION_LOCK}, hashtext(current_schema())) AS is_taken"
        );
        let taken: Option<bool> = ask(transaction, &take, "is_taken").await?.flatten();
        match taken {
            Some(true) => return Ok(()),
            Some(false) if Instant::now() < until => {}
            Some(false) => {
                let holder = find_holder(transaction).await?;
                return Err(format!(
                    "cannot migrate the database: for {} s, {holder} holds the lock for changing the schema. Start herald \
                     again when it is done; if it hangs, end it with pg_terminate_backend",
                    patience.as_secs()
                ));
            }
            None => {
                return Err(
                    "cannot migrate the database: the search_path of herald's role names no schema that \
                     exists. Create one, or set another search_path"
                        .into(),
                );
            }
        }
        if !told {
            let holder = find_holder(transaction).await?;
            tracing::warn!(
                "{holder} is changing the schema: waiting for it for up to {} s",
                patience.as_secs()
            );
            told = true;
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// The address and process of the node that holds the lock.
async fn find_holder(transaction: &TimeLimited<DatabaseTransaction>) -> Result<String, String> {
    let ask_for = format!(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = \
         (SELECT oid FROM pg_database WHERE datname = current_database()) AND objsubid = 2 \
         AND classid::bigint = {MIGRATION_LOCK} \
         AND objid::bigint = hashtext(current_schema())::bigint & 4294967295"
    );
    let process: Option<i32> = ask(transaction, &ask_for, "pid").await?;
    Ok(process.map_or_else(
        || "another herald".into(),
        |process| format!("another herald (process {process} of Postgres)"),
    ))
}

async fn ask<T: sea_orm::TryGetable>(
    transaction: &TimeLimited<DatabaseTransaction>,
    question: &str,
    column: &str,
) -> Result<Option<T>, String> {
    let question = Statement::from_string(DbBackend::Postgres, question);
    let row = transaction.query_one_raw(question).await.map_err(|error| cannot_migrate(&error))?;
    row.map(|row| row.try_get("", column)).transpose().map_err(|error| cannot_migrate(&error))
}
