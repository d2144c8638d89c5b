//! Builds SQL where the query builder would be harder to read than SQL. Each statement serves both databases.

use std::fmt::Write as _;
use std::sync::Arc;

use sea_orm::{
    ColIdx, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, IdenStatic, Iterable,
    QueryResult, Statement, TryGetError, TryGetable, Value,
};

use super::batch::{Numbered, lists};

/// The most subselects in one statement. SQLite allows 500 (`SQLITE_MAX_COMPOUND_SELECT`). At up to 16 values each they
/// stay below the 32,766 variables of SQLite and the 65,535 of Postgres.
pub(super) const SUBSELECTS_PER_STATEMENT: usize = 200;

/// A statement under construction. Values are bound, never written into the text, which has a `?` for each.
#[derive(Default)]
pub(super) struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    /// The number of values that are bound.
    pub(super) fn values(&self) -> usize {
        self.values.len()
    }

    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub(super) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.push("?")
    }

    /// Writes another statement, or a part of one.
    pub(super) fn append(&mut self, other: Self) -> &mut Self {
        self.values.extend(other.values);
        self.push(&other.text)
    }

    /// The statement for this database. Postgres wants the values numbered. SQLite understands numbers too, but looks each
    /// of them up by its name.
    pub(super) fn statement(self, backend: DbBackend) -> Statement {
        let Self { mut text, values } = self;
        if backend == DbBackend::Postgres {
            let mut numbered = String::with_capacity(text.len() + 2 * values.len());
            for (number, part) in text.split('?').enumerate() {
                if number > 0 {
                    // Writing to a string cannot fail.
                    let _ = write!(numbered, "${number}");
                }
                numbered.push_str(part);
            }
            text = numbered;
        }
        Statement::from_sql_and_values(backend, text, values)
    }

    /// Writes `(a, b, c)`. It writes `(NULL)` when there are no values, since `IN ()` is not SQL everywhere.
    pub(super) fn bind_list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> &mut Self {
        self.push("(");
        let mut any = false;
        for value in values {
            if any {
                self.push(", ");
            }
            any = true;
            self.bind(value);
        }
        if !any {
            self.push("NULL");
        }
        self.push(")")
    }

    /// Writes the columns of a table, `alias.first, alias.second`. A statement never says `*` instead: a later herald may
    /// have added columns, and Postgres then refuses what this one has prepared.
    pub(super) fn columns<E: EntityTrait>(&mut self, alias: &str) -> &mut Self {
        for (index, column) in E::Column::iter().enumerate() {
            self.push(if index == 0 { "" } else { ", " }).push(alias).push(".").push(column.as_str());
        }
        self
    }

    /// Writes a table `wanted` with the columns `column1` and `column2`, as both databases name them. There must be at
    /// least one pair.
    pub(super) fn bind_pairs<A: Into<Value>, B: Into<Value>>(
        &mut self,
        pairs: impl IntoIterator<Item = (A, B)>,
    ) -> &mut Self {
        self.push("(VALUES ");
        for (index, (first, second)) in pairs.into_iter().enumerate() {
            self.push(if index == 0 { "(" } else { ", (" });
            self.bind(first).push(", ").bind(second).push(")");
        }
        self.push(") AS wanted")
    }

    pub(super) async fn rows<R: FromQueryResult>(self, db: &impl ConnectionTrait) -> Result<Vec<R>, DbErr> {
        R::find_by_statement(self.statement(db.get_database_backend())).all(db).await
    }
}

/// A number that SQL computes as `bigint`, as an unsigned `T`. A statement with a number that does not fit fails.
pub(super) struct Unsigned<T>(pub(super) T);

impl<T> TryGetable for Unsigned<T>
where
    T: TryFrom<i64>,
    T::Error: std::error::Error + Send + Sync + 'static,
{
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        let number = i64::try_get_by(row, index)?;
        T::try_from(number).map(Self).map_err(|source| {
            let (from, into) = ("i64", std::any::type_name::<T>());
            TryGetError::DbErr(DbErr::TryIntoErr { from, into, source: Arc::new(source) })
        })
    }
}

/// Writes one subselect per key. `write` writes what follows `SELECT number, `. The number is the index of the key, and
/// tells which key a row belongs to.
pub(super) fn write_union<K>(sql: &mut Sql, keys: &[K], write: impl Fn(&mut Sql, &K)) {
    for (number, key) in (0_i64..).zip(keys) {
        sql.push(if number == 0 { "SELECT * FROM (" } else { " UNION ALL SELECT * FROM (" });
        sql.push("SELECT ").bind(number).push(" AS number, ");
        write(sql, key);
        sql.push(") AS subselect");
    }
}

/// Runs one subselect per key, many in one statement. Returns a list of rows for each key.
pub(super) async fn union<K, R: FromQueryResult>(
    db: &impl ConnectionTrait,
    keys: &[K],
    write: impl Fn(&mut Sql, &K),
) -> Result<Vec<Vec<R>>, DbErr> {
    let mut found = Vec::with_capacity(keys.len());
    for keys in keys.chunks(SUBSELECTS_PER_STATEMENT) {
        let mut sql = Sql::default();
        write_union(&mut sql, keys, &write);
        let rows: Vec<Numbered<R>> = sql.rows(db).await?;
        found.extend(lists(keys.len(), rows));
    }
    Ok(found)
}
