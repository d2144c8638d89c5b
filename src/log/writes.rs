//! Sends rows to the database. The statements of a small batch are sent in one call. A call costs more than such a
//! statement: on SQLite a change of threads, on Postgres a round trip. What never lives here: which rows a batch writes,
//! which is in `store`.

use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DbBackend, DbErr, EntityName, EntityTrait, IdenStatic, Iterable, Value,
};
use serde_json::{Map, json};

use super::sql::Sql;

/// Rows per statement. With at most 13 columns a row this stays far below the 32,766 parameters that SQLite
/// allows (<https://www.sqlite.org/limits.html>).
const ROWS_PER_STATEMENT: usize = 1_000;

/// The most values of statements that are sent in one call. sqlx keeps what SQLite has prepared by its text. The text of
/// a large batch depends on the number of rows of each table, so together it would be new nearly every time.
const VALUES_TOGETHER: usize = 128;

/// Statements that change different tables, in the order in which they were added. [`Writes::send`] sends the last ones.
pub(super) struct Writes<'a, C> {
    db: &'a C,
    statements: Vec<Sql>,
}

impl<'a, C: ConnectionTrait> Writes<'a, C> {
    pub(super) fn new(db: &'a C) -> Self {
        Self { db, statements: Vec::new() }
    }

    /// Adds rows of one table. `on_conflict` is what follows the values in SQL.
    pub(super) async fn insert<A: ActiveModelTrait>(
        &mut self,
        rows: impl Iterator<Item = A>,
        on_conflict: &str,
    ) -> Result<(), DbErr> {
        let columns: Vec<_> = <A::Entity as EntityTrait>::Column::iter().collect();
        let names: Vec<_> = columns.iter().map(IdenStatic::as_str).collect();
        let row = |mut row: A| columns.iter().filter_map(|column| row.take(*column).into_value()).collect();
        let mut left: Vec<Vec<Value>> = rows.map(row).collect();
        while !left.is_empty() {
            let later = left.split_off(left.len().min(ROWS_PER_STATEMENT));
            let rows = std::mem::replace(&mut left, later);
            let mut sql = Sql::default();
            sql.push("INSERT INTO ").push(A::Entity::default().table_name());
            sql.push(" (").push(&names.join(", ")).push(")");
            match self.db.get_database_backend() {
                DbBackend::Postgres => bind_json(&mut sql, &names, &rows)?,
                _ => bind_rows(&mut sql, rows),
            }
            sql.push(on_conflict);
            self.add(sql).await?;
        }
        Ok(())
    }

    /// Adds a statement. Those before it are sent if all of them are too large for one call.
    pub(super) async fn add(&mut self, sql: Sql) -> Result<(), DbErr> {
        let values: usize = self.statements.iter().map(Sql::values).sum();
        if values + sql.values() > VALUES_TOGETHER {
            self.send().await?;
        }
        self.statements.push(sql);
        Ok(())
    }

    /// Sends the statements that are not sent yet.
    pub(super) async fn send(&mut self) -> Result<(), DbErr> {
        let mut statements = std::mem::take(&mut self.statements);
        let Some(last) = statements.pop() else { return Ok(()) };
        let backend = self.db.get_database_backend();
        let mut together = Sql::default();
        for (index, statement) in statements.into_iter().enumerate() {
            match backend {
                DbBackend::Postgres => {
                    together.push(if index == 0 { "WITH " } else { ", " });
                    together.push(&format!("w{index} AS (")).append(statement).push(")");
                }
                _ => drop(together.append(statement).push(";")),
            }
            together.push(" ");
        }
        together.append(last);
        self.db.execute_raw(together.statement(backend)).await?;
        Ok(())
    }
}

/// Writes `VALUES (…), (…)`.
fn bind_rows(sql: &mut Sql, rows: Vec<Vec<Value>>) {
    for (index, row) in rows.into_iter().enumerate() {
        sql.push(if index == 0 { " VALUES " } else { ", " }).bind_list(row);
    }
}

/// Writes the rows as one value, so that the text does not depend on their number and Postgres has it prepared. The value
/// is JSON, because sea-orm cannot bind an array in which values are absent.
fn bind_json(sql: &mut Sql, columns: &[&str], rows: &[Vec<Value>]) -> Result<(), DbErr> {
    let row = |row: &Vec<Value>| -> Result<Map<String, serde_json::Value>, DbErr> {
        let fields = columns.iter().zip(row);
        fields.map(|(column, value)| Ok(((*column).to_owned(), to_json(value)?.1))).collect()
    };
    let json_rows: Vec<_> = rows.iter().map(row).collect::<Result<_, _>>()?;
    let text = serde_json::to_string(&json_rows).map_err(|error| DbErr::Json(error.to_string()))?;
    sql.push(" SELECT * FROM json_to_recordset(").bind(text).push("::json) AS rows (");
    for (index, (column, value)) in columns.iter().zip(rows.first().into_iter().flatten()).enumerate() {
        sql.push(if index == 0 { "" } else { ", " }).push(column).push(" ").push(to_json(value)?.0);
    }
    sql.push(")");
    Ok(())
}

/// The name that Postgres has for the type of a value, and the value in JSON.
fn to_json(value: &Value) -> Result<(&'static str, serde_json::Value), DbErr> {
    let bytes =
        |bytes: &Vec<u8>| bytes.iter().fold("\\x".to_owned(), |hex, byte| hex + &format!("{byte:02x}"));
    Ok(match value {
        Value::BigInt(number) => ("bigint", json!(number)),
        Value::Bool(value) => ("boolean", json!(value)),
        Value::Uuid(id) => ("uuid", json!(id)),
        Value::String(text) => ("text", json!(text)),
        Value::Bytes(value) => ("bytea", json!(value.as_ref().map(bytes))),
        other => return Err(DbErr::Type(format!("the log has no column for {other:?}"))),
    })
}
