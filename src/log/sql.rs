//! SQL where the query builder would be harder to read than SQL. Every statement is written once, for both databases.

use std::fmt::Write as _;

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement, Value};

use crate::messaging::Interval;

/// How many subselects go into one statement: SQLite allows 500 (`SQLITE_MAX_COMPOUND_SELECT`).
const UNION: usize = 200;

/// SQL under construction. Values are bound, never written: `$1` is understood by both databases.
#[derive(Default)]
pub(super) struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub(super) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        // Writing to a string cannot fail.
        let _ = write!(self.text, "${}", self.values.len());
        self
    }

    /// `(a, b, c)`; never empty, since `IN ()` is not SQL everywhere.
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

    pub(super) async fn rows<R: FromQueryResult>(self, db: &impl ConnectionTrait) -> Result<Vec<R>, DbErr> {
        let statement = Statement::from_sql_and_values(db.get_database_backend(), self.text, self.values);
        R::find_by_statement(statement).all(db).await
    }
}

/// Runs one subselect per key, many in one statement. `write` writes a key's subselect; `number` in it is
/// the index of the key, by which the rows are told apart.
pub(super) async fn union<K, R: FromQueryResult>(
    db: &impl ConnectionTrait,
    keys: &[K],
    write: impl Fn(&mut Sql, i64, &K),
) -> Result<Vec<R>, DbErr> {
    let mut rows = Vec::new();
    for (chunk, keys) in keys.chunks(UNION).enumerate() {
        let mut sql = Sql::default();
        for (index, key) in keys.iter().enumerate() {
            sql.push(if index == 0 { "SELECT * FROM (" } else { " UNION ALL SELECT * FROM (" });
            write(&mut sql, i64::try_from(chunk * UNION + index).unwrap_or(i64::MAX), key);
            sql.push(") AS subselect");
        }
        rows.extend(sql.rows(db).await?);
    }
    Ok(rows)
}

/// Narrows messages (`m`) to what lies in the intervals; to nothing, where there are none.
pub(super) fn within(sql: &mut Sql, intervals: impl IntoIterator<Item = Interval>) {
    sql.push(" AND (FALSE");
    for interval in intervals {
        sql.push(" OR (m.position >= ").bind(interval.joined.0);
        if let Some(left) = interval.left {
            sql.push(" AND m.position <= ").bind(left.0);
        }
        sql.push(")");
    }
    sql.push(")");
}
