//! Reads many keys in one statement, so that a failure of one key does not fail the others.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, QueryResult};

use super::Unavailable;
use super::error::{During, may_be_one_keys_fault, report};
use super::sql::{SUBSELECTS_PER_STATEMENT, Sql, write_union};

/// The answer for each key, in the order of the keys.
pub type Each<T> = Vec<Result<T, Unavailable>>;

/// The most keys in one statement. A key has at most two values, so this stays far below the 32,766 variables that
/// SQLite allows (<https://www.sqlite.org/limits.html>) and the 65,535 that Postgres does.
pub(super) const KEYS_PER_STATEMENT: usize = 1_000;

/// Reads all keys, `at_a_time` of them in a statement. `write` writes the statement for some keys. `sort` returns one
/// answer for each of these keys, in their order. When a statement fails, perhaps because of one key, each of its keys
/// is tried alone: callers that share a statement do not share its failure.
pub(super) async fn ask<K, R: FromQueryResult, T>(
    operation: &'static str,
    db: &impl ConnectionTrait,
    keys: &[K],
    at_a_time: usize,
    write: impl Fn(&mut Sql, &[K]),
    sort: impl Fn(&[K], Vec<R>) -> Vec<T>,
) -> Each<T> {
    let mut answers = Vec::with_capacity(keys.len());
    for keys in keys.chunks(at_a_time) {
        match statement(db, keys, &write).await {
            Ok(rows) => answers.extend(sort(keys, rows).into_iter().map(Ok)),
            Err(error) if keys.len() > 1 && may_be_one_keys_fault(&error) => {
                tracing::warn!(operation, %error, keys = keys.len(), "a statement failed, trying its keys one by one");
                for key in keys {
                    let key = std::slice::from_ref(key);
                    match statement(db, key, &write).await.during(operation) {
                        Ok(rows) => answers.extend(sort(key, rows).into_iter().map(Ok)),
                        Err(unavailable) => answers.push(Err(unavailable)),
                    }
                }
            }
            Err(error) => {
                let failed = report(operation, error.into());
                answers.extend(keys.iter().map(|_| Err(failed)));
            }
        }
    }
    answers
}

/// Runs one subselect per key. `write` writes what follows `SELECT number, `.
pub(super) async fn ask_union<K, R: FromQueryResult>(
    operation: &'static str,
    db: &impl ConnectionTrait,
    keys: &[K],
    write: impl Fn(&mut Sql, &K),
) -> Each<Vec<R>> {
    let write = |sql: &mut Sql, keys: &[K]| write_union(sql, keys, &write);
    ask(operation, db, keys, SUBSELECTS_PER_STATEMENT, write, |keys, rows| lists(keys.len(), rows)).await
}

async fn statement<K, R: FromQueryResult>(
    db: &impl ConnectionTrait,
    keys: &[K],
    write: impl Fn(&mut Sql, &[K]),
) -> Result<Vec<R>, DbErr> {
    let mut sql = Sql::default();
    write(&mut sql, keys);
    sql.rows(db).await
}

/// A row of one of many subselects, and the index of its key.
pub(super) struct Numbered<R> {
    number: i64,
    row: R,
}

impl<R: FromQueryResult> FromQueryResult for Numbered<R> {
    fn from_query_result(result: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        Ok(Self { number: result.try_get(prefix, "number")?, row: R::from_query_result(result, prefix)? })
    }
}

/// Sorts rows by their key, for `keys` keys.
pub(super) fn lists<R>(keys: usize, rows: Vec<Numbered<R>>) -> Vec<Vec<R>> {
    let mut lists: Vec<_> = std::iter::repeat_with(Vec::new).take(keys).collect();
    for Numbered { number, row } in rows {
        // `write_union` bound the number of each key, so every row belongs to one of them.
        let list = usize::try_from(number).ok().and_then(|number| lists.get_mut(number));
        debug_assert!(list.is_some(), "a row of key {number}, where there are {keys}");
        if let Some(list) = list {
            list.push(row);
        }
    }
    lists
}
