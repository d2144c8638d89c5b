//! The migrations of herald's database schema.
//!
//! Here lives every statement that creates or changes a table, written once for SQLite and Postgres. A migration is
//! plain SQL, in which `{id}`, `{bytes}` and `{bigint}` stand for column types that have different names in the two.
//! What never lives here: queries, and anything that knows what the rows mean.

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::*;

mod m20261124_000001_log;
mod m20261124_000002_session_ends;
mod m20261124_000003_foreign_keys;
mod m20261130_000004_places;
mod m20261130_000005_repeatable;
mod m20261201_000006_event_data;
mod m20261202_000007_identities;
mod m20261203_000008_conversations;
mod m20261204_000009_services;
mod m20261206_000011_blocks;
mod m20261208_000012_webhooks;
mod m20261209_000013_sharing;
mod m20261210_000014_retention;
mod m20261211_000015_settling;

/// Applies the migrations in order, each once. The table `seaql_migrations` has the names of those that were applied.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261124_000001_log::Migration),
            Box::new(m20261124_000002_session_ends::Migration),
            Box::new(m20261124_000003_foreign_keys::Migration),
            Box::new(m20261130_000004_places::Migration),
            Box::new(m20261130_000005_repeatable::Migration),
            Box::new(m20261201_000006_event_data::Migration),
            Box::new(m20261202_000007_identities::Migration),
            Box::new(m20261203_000008_conversations::Migration),
            Box::new(m20261204_000009_services::Migration),
            Box::new(m20261206_000011_blocks::Migration),
            Box::new(m20261208_000012_webhooks::Migration),
            Box::new(m20261209_000013_sharing::Migration),
            Box::new(m20261210_000014_retention::Migration),
            Box::new(m20261211_000015_settling::Migration),
        ]
    }
}

/// Runs each statement of `script` (separated by `;`) in the dialect of the database behind `manager`.
async fn run_script(manager: &SchemaManager<'_>, script: &str) -> Result<(), DbErr> {
    for statement in statements(manager, script) {
        manager.get_connection().execute_unprepared(&statement).await?;
    }
    Ok(())
}

/// Runs the statements of `script` that have not been executed yet. On SQLite, earlier versions of herald ran a
/// migration without a transaction. When one was killed during a migration, the first statements were executed and the
/// migration was not recorded.
async fn finish_script(manager: &SchemaManager<'_>, script: &str) -> Result<(), DbErr> {
    for statement in statements(manager, script) {
        let is_sqlite = manager.get_database_backend() == sea_orm::DbBackend::Sqlite;
        if !(is_sqlite && is_done(manager, &statement).await?) {
            manager.get_connection().execute_unprepared(&statement).await?;
        }
    }
    Ok(())
}

fn statements(manager: &SchemaManager<'_>, script: &str) -> Vec<String> {
    let (id, bytes, bigint) = match manager.get_database_backend() {
        sea_orm::DbBackend::Postgres => ("uuid", "bytea", "bigint"),
        // In SQLite, `INTEGER PRIMARY KEY` makes the position the id of the row. `BIGINT` would not.
        _ => ("blob", "blob", "integer"),
    };
    let script = script.replace("{id}", id).replace("{bytes}", bytes).replace("{bigint}", bigint);
    script.split(';').map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

/// Whether SQLite has the table, index or column that this statement creates. SQLite stores the text of the statement
/// for a table and an index.
async fn is_done(manager: &SchemaManager<'_>, statement: &str) -> Result<bool, DbErr> {
    let added = statement.strip_prefix("ALTER TABLE ").and_then(|rest| rest.split_once(" ADD COLUMN "));
    if let Some((table, column)) = added {
        let column = column.split_whitespace().next().unwrap_or_default();
        return manager.has_column(table, column).await;
    }
    let same = sea_orm::Statement::from_sql_and_values(
        sea_orm::DbBackend::Sqlite,
        "SELECT 1 FROM sqlite_schema WHERE sql = $1",
        [statement.into()],
    );
    Ok(manager.get_connection().query_one_raw(same).await?.is_some())
}
