//! herald's database schema, step by step.
//!
//! Here lives every statement that creates or changes a table, written once for SQLite and Postgres: a
//! migration is plain SQL in which `{id}`, `{bytes}` and `{bigint}` stand for the column types that the
//! two name differently. What never lives here: queries, and anything that knows what the rows mean.

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::*;

mod m20261124_000001_log;
mod m20261124_000002_session_ends;
mod m20261124_000003_foreign_keys;
mod m20261130_000004_places;
mod m20261130_000005_repeatable;

/// Applies the migrations, in order, each once. Its table of applied names is `seaql_migrations`.
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
        ]
    }
}

/// Runs each statement of `script` (separated by `;`) in the dialect of the database behind `manager`.
async fn run_script(manager: &SchemaManager<'_>, script: &str) -> Result<(), DbErr> {
    let (id, bytes, bigint) = match manager.get_database_backend() {
        sea_orm::DbBackend::Postgres => ("uuid", "bytea", "bigint"),
        // `INTEGER PRIMARY KEY` makes the position the row's own address in SQLite; `BIGINT` would not.
        _ => ("blob", "blob", "integer"),
    };
    let script = script.replace("{id}", id).replace("{bytes}", bytes).replace("{bigint}", bigint);
    for statement in script.split(';').map(str::trim).filter(|s| !s.is_empty()) {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
