//! Tells whether herald can use the database: it answers, it has the schema of this herald, and it accepts writes.

use std::collections::BTreeSet;

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, FromQueryResult, IdenStatic, Iterable, Statement};

use super::entities::{
    block, conversation, event, log_head, message, own_participation, participant, service_key, session,
    session_end, start, user, webhook, webhook_call, webhook_rule,
};
use super::error::{During, StorageFault, code};
use super::head::Locked;
use super::sql::Sql;
use super::{Database, Unavailable};

/// Why herald cannot use the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unready {
    /// The database does not answer.
    Silent,
    /// The schema lacks these migrations, which this herald needs.
    Older(Vec<String>),
    /// The schema has these migrations of a later herald.
    Newer(Vec<String>),
    /// A table or a column is missing.
    Damaged,
    /// The database accepts no writes.
    ReadOnly,
}

impl Unready {
    /// A sentence for the operator that says what to do.
    pub fn message(&self) -> String {
        match self {
            Self::Silent => "The database does not answer.".into(),
            Self::Older(missing) => format!(
                "The schema of the database is older than this herald: run `herald migrate`, or start this herald again. \
                 It lacks {}.",
                missing.join(", ")
            ),
            Self::Newer(unknown) => format!(
                "The schema of the database is newer than this herald: upgrade this node. It has {}.",
                unknown.join(", ")
            ),
            Self::Damaged => "A table or a column of the database is missing: run `herald check`.".into(),
            Self::ReadOnly => "The database cannot be written: is its disk full?".into(),
        }
    }
}

impl From<Unavailable> for Unready {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Now => Self::Silent,
            Unavailable::Damaged => Self::Damaged,
        }
    }
}

#[derive(FromQueryResult)]
struct AppliedRow {
    version: String,
}

impl Database {
    /// Whether the database answers and has the schema that this herald was built for.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn readiness(&self) -> Result<(), Unready> {
        let mut sql = Sql::default();
        // A plain statement: the migrator's own function would create its table.
        sql.push("SELECT version FROM seaql_migrations");
        let rows: Result<Vec<AppliedRow>, DbErr> = sql.rows(&self.reader).await;
        let applied: BTreeSet<String> = match rows {
            Err(error) if is_damage(&error) => return Err(Unready::Damaged),
            rows => rows
                .during("read the version of the schema")
                .map_err(Unready::from)?
                .into_iter()
                .map(|row| row.version)
                .collect(),
        };
        let known: BTreeSet<String> =
            Migrator::migrations().iter().map(|step| step.name().to_owned()).collect();
        let newer: Vec<String> = applied.difference(&known).cloned().collect();
        if !newer.is_empty() {
            return Err(Unready::Newer(newer));
        }
        let missing: Vec<String> = known.difference(&applied).cloned().collect();
        if !missing.is_empty() {
            return Err(Unready::Older(missing));
        }
        let everything = Statement::from_string(self.reader.get_database_backend(), every_column());
        match self.reader.query_all_raw(everything).await {
            Err(error) if is_damage(&error) => Err(Unready::Damaged),
            answer => match answer.during("look at every table") {
                Ok(_) => Ok(()),
                Err(unavailable) => Err(unavailable.into()),
            },
        }
    }

    /// Whether the log accepts writes. Tries it with an update that changes no value.
    pub async fn is_writable(&self) -> bool {
        let change = async {
            let Locked { transaction, .. } = self.lock().await?;
            transaction.execute_unprepared("UPDATE log_head SET position = position").await?;
            transaction.commit().await?;
            Ok::<_, StorageFault>(())
        };
        change.await.is_ok()
    }
}

/// A statement that names every column of every table and reads no row.
fn every_column() -> String {
    fn table<E: EntityTrait>(name: &str) -> String {
        let columns: Vec<&str> = E::Column::iter().map(|column| column.as_str()).collect();
        format!("(SELECT {} FROM {name} LIMIT 0) AS all_{name}", columns.join(", "))
    }
    let tables = [
        table::<block::Entity>("blocks"),
        table::<conversation::Entity>("conversations"),
        table::<event::Entity>("events"),
        table::<log_head::Entity>("log_head"),
        table::<message::Entity>("messages"),
        table::<own_participation::Entity>("own_participations"),
        table::<participant::Entity>("participants"),
        table::<service_key::Entity>("service_keys"),
        table::<session::Entity>("sessions"),
        table::<session_end::Entity>("session_ends"),
        table::<start::Entity>("starts"),
        table::<user::Entity>("users"),
        table::<webhook::Entity>("webhooks"),
        table::<webhook_call::Entity>("webhook_calls"),
        table::<webhook_rule::Entity>("webhook_rules"),
    ];
    format!("SELECT 1 FROM {}", tables.join(" CROSS JOIN "))
}

/// Whether a statement failed because a table or a column that it names is missing.
fn is_damage(error: &DbErr) -> bool {
    // https://www.postgresql.org/docs/current/errcodes-appendix.html: undefined table and column. SQLite has one code
    // for all that is wrong with a statement.
    matches!(code(error).as_deref(), Some("42P01" | "42703" | "1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entity_is_looked_at() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/log/entities")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let names: Vec<_> = names.filter(|name| name != "mod.rs").collect();
        let looked_at = every_column().matches(" LIMIT 0) AS all_").count();
        assert_eq!(looked_at, names.len(), "{names:?}");
    }
}
