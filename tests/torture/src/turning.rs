//! Makes the log go back while the nodes run: a standby without the last events becomes the primary, or a backup is
//! restored.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement,
    TransactionTrait,
};
use tokio::time::sleep;

use crate::history::{History, Turn};
use crate::record;
use crate::servers::Servers;
use crate::world::World;

/// Everything of a herald, from what others refer to, to what refers to others. [`keep`] fails when a table is missing.
const TABLES: [&str; 15] = [
    "users",
    "blocks",
    "sessions",
    "service_keys",
    "conversations",
    "participants",
    "own_participations",
    "messages",
    "events",
    "log_head",
    "session_ends",
    "starts",
    "webhooks",
    "webhook_rules",
    "webhook_calls",
];

/// What is written for at least so long is lost: the nodes are to have seen it.
const LAG: Duration = Duration::from_secs(2);

/// Has the standby take the place of the primary, with what was written in this time before lost, unless it is
/// synchronous.
pub(crate) async fn fail_over(
    world: &World,
    servers: &Servers,
    lag: Duration,
    history: &History,
) -> Result<(), String> {
    let kept = history.now();
    servers.catch_up().await?;
    if !servers.is_synchronous() {
        servers.cut_replication();
        sleep(lag.max(LAG)).await;
    }
    let since = history.now();
    history.turn(Turn { kept, since, until: u64::MAX, lost: None });
    servers.fail_over().await?;
    for proxy in world.nodes.iter().filter_map(|node| node.database.as_ref()) {
        proxy.lead_to(servers.now().port());
    }
    let until = history.now();
    let mut lost = None;
    if !servers.is_synchronous() {
        let former = servers.former();
        former.start_again().await?;
        lost = Some(record::read(&former.url()).await?);
        former.crash().await?;
    }
    history.turn(Turn { kept, since, until, lost });
    Ok(())
}

/// Puts the database back to what it was before this time.
pub(crate) async fn restore(world: &World, lag: Duration, history: &History) -> Result<(), String> {
    let failed = |error: DbErr| format!("the database cannot be put back: {error}");
    let database = Database::connect(world.database()).await.map_err(failed)?;
    let kept = history.now();
    keep(&database).await.map_err(failed)?;
    sleep(lag.max(LAG)).await;
    let transaction = lock(&database).await.map_err(failed)?;
    let since = history.now();
    let lost = record::read_all(&transaction).await.map_err(failed)?;
    history.turn(Turn { kept, since, until: u64::MAX, lost: None });
    put_back(transaction).await.map_err(failed)?;
    history.turn(Turn { kept, since, until: history.now(), lost: Some(lost) });
    database.close().await.map_err(failed)
}

/// A transaction beside which nobody writes to the log.
async fn lock(database: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let transaction = database.begin().await?;
    transaction.execute_unprepared("UPDATE log_head SET id = id").await?;
    Ok(transaction)
}

async fn keep(database: &DatabaseConnection) -> Result<(), DbErr> {
    let transaction = lock(database).await?;
    forgets_no_table(&transaction).await?;
    for table in TABLES {
        let copy = format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}");
        transaction.execute_unprepared(&copy).await?;
    }
    transaction.commit().await
}

/// A table that is not put back would keep rows of the time that was lost, which no backup of a whole database has.
async fn forgets_no_table(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    let named = TABLES.map(|table| format!("'{table}'")).join(", ");
    let ask = format!(
        "SELECT string_agg(tablename, ', ') AS forgotten FROM pg_tables WHERE schemaname = current_schema() \
         AND tablename <> 'seaql_migrations' AND tablename NOT LIKE 'kept\\_%' AND tablename NOT IN ({named})"
    );
    let row = transaction.query_one_raw(Statement::from_string(DbBackend::Postgres, ask)).await?;
    match row.map(|row| row.try_get::<Option<String>>("", "forgotten")).transpose()?.flatten() {
        Some(forgotten) => {
            Err(DbErr::Custom(format!("a backup would forget {forgotten}: name it in TABLES")))
        }
        None => Ok(()),
    }
}

async fn put_back(transaction: DatabaseTransaction) -> Result<(), DbErr> {
    // A sign-in does not wait for the lock of the log, and neither does what people keep for themselves, so these tables
    // need a lock of their own. Readers may pass: they lock them in another order, and could deadlock with this.
    let locked = "LOCK TABLE users, sessions, blocks, own_participations IN EXCLUSIVE MODE";
    transaction.execute_unprepared(locked).await?;
    for table in TABLES.iter().rev() {
        transaction.execute_unprepared(&format!("DELETE FROM {table}")).await?;
    }
    for table in TABLES {
        transaction.execute_unprepared(&format!("INSERT INTO {table} SELECT * FROM kept_{table}")).await?;
    }
    transaction.commit().await
}
