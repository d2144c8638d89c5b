//! Every question that is asked of the log. All are batched: a caller with many keys asks once.

mod conversations;
mod events;
mod messages;

use std::fmt::Write as _;

use sea_orm::{FromQueryResult, Statement, Value};

pub use conversations::ParticipantKey;
pub use events::{Interest, Kinds, Membership, Scope};
pub use messages::{MarkTime, Receipt};

use super::{Database, Unavailable};

/// Which way a page is taken from its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the beginning.
    First,
    /// From the end.
    Last,
}

/// A stretch of a list whose elements have keys of type `K`, both ends excluded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Page<K> {
    /// Only what comes after this key in the list.
    pub after: Option<K>,
    /// Only what comes before this key in the list.
    pub before: Option<K>,
    /// How many at most.
    pub limit: usize,
    /// From which end.
    pub direction: Direction,
}

/// How many subselects go into one statement: SQLite allows 500 (`SQLITE_MAX_COMPOUND_SELECT`).
const UNION: usize = 200;

/// SQL under construction. Values are bound, never written: `$1` is understood by both databases.
#[derive(Default)]
struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        // Writing to a string cannot fail.
        let _ = write!(self.text, "${}", self.values.len());
        self
    }

    /// `(a, b, c)`; never empty, since `IN ()` is not SQL everywhere.
    fn bind_list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> &mut Self {
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

    async fn rows<R: FromQueryResult>(self, database: &Database) -> Result<Vec<R>, Unavailable> {
        let backend = database.reader.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, self.text, self.values);
        Ok(R::find_by_statement(statement).all(&database.reader).await?)
    }
}

/// Runs one subselect per key, many in one statement. `write` writes a key's subselect; `number` in it is
/// the index of the key, by which the rows are told apart.
async fn union<K, R: FromQueryResult>(
    database: &Database,
    keys: &[K],
    write: impl Fn(&mut Sql, usize, &K),
) -> Result<Vec<R>, Unavailable> {
    let mut rows = Vec::new();
    for (chunk, keys) in keys.chunks(UNION).enumerate() {
        let mut sql = Sql::default();
        for (index, key) in keys.iter().enumerate() {
            sql.push(if index == 0 { "SELECT * FROM (" } else { " UNION ALL SELECT * FROM (" });
            write(&mut sql, chunk * UNION + index, key);
            sql.push(") AS subselect");
        }
        rows.extend(sql.rows(database).await?);
    }
    Ok(rows)
}
