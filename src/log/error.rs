//! Why an operation on the database fails. The causes stay in this room: [`During::during`] is the one border at which
//! a cause is told to the operator and becomes [`Unavailable`].

use std::error::Error as _;
use std::fmt::Display;

use sea_orm::sqlx;
use sea_orm::{DbErr, RuntimeErr};
use thiserror::Error;

use crate::messaging::Unreadable;
use crate::metrics::METRICS;
use crate::trouble::Trouble;

/// Operations on the database fail.
pub(super) static DATABASE: Trouble = Trouble::new("the database fails", "the database answers again");

/// Why the database does not answer. The cause has been logged; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unavailable {
    /// It cannot answer now.
    #[error("the database cannot answer now")]
    Now,
    /// A row of it is damaged. Another try comes to the same until somebody has mended the row.
    #[error("a row of the database is damaged")]
    Damaged,
}

/// Why a part of the log cannot be read. The cause has been logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    /// The database cannot answer now.
    Unavailable,
    /// A row of it is damaged. Another try comes to the same.
    Damaged,
    /// It is no longer kept.
    Trimmed,
}

impl From<Unavailable> for ReadError {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Now => Self::Unavailable,
            Unavailable::Damaged => Self::Damaged,
        }
    }
}

impl From<ReadError> for Unavailable {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable | ReadError::Trimmed => Self::Now,
            ReadError::Damaged => Self::Damaged,
        }
    }
}

/// An operation failed.
#[derive(Debug, Error)]
#[error("cannot {operation}")]
struct StorageError {
    /// What herald was about to do: a verb and its object.
    operation: &'static str,
    source: StorageFault,
}

/// What the database did wrong, or what is wrong in it.
#[derive(Debug, Error)]
pub(super) enum StorageFault {
    /// A statement failed, or there is no connection.
    #[error(transparent)]
    Database(#[from] DbErr),
    /// The database answered with a row that herald does not write.
    #[error(transparent)]
    Inconsistent(#[from] InconsistentRow),
    /// Another row refers to this one, and herald deletes none of its kind.
    #[error("row {id} of {table} is missing")]
    Missing { table: &'static str, id: String },
    /// Herald writes the row of `log_head` when it starts.
    #[error("the row of log_head is missing")]
    NoHead,
}

/// A row that herald does not write: somebody changed it, or its disk is damaged.
#[derive(Debug, Error)]
#[error("row {id} of {table}: {column} {problem}")]
pub(super) struct InconsistentRow {
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    /// The primary key of the row.
    pub(super) id: String,
    pub(super) problem: Problem,
}

/// What is wrong with the value of a column.
#[derive(Debug, Error)]
pub(super) enum Problem {
    #[error("has {bytes} bytes, not {expected}")]
    Length { bytes: usize, expected: &'static str },
    #[error("is {0}, which is out of range")]
    OutOfRange(i64),
    #[error(transparent)]
    Event(#[from] Unreadable),
}

/// Names the operation during which something failed.
pub(super) trait During<T> {
    /// Logs the cause, if there is one, with `operation`: a verb and its object, such as "read the head". The current
    /// span adds the id of the request.
    fn during(self, operation: &'static str) -> Result<T, Unavailable>;
}

impl<T, E: Into<StorageFault>> During<T> for Result<T, E> {
    fn during(self, operation: &'static str) -> Result<T, Unavailable> {
        self.map_err(|fault| report(operation, fault.into()))
    }
}

/// Tells the operator. [`DATABASE`] writes one line for many failures, so each failure has a line at the level `debug`.
pub(super) fn report(operation: &'static str, source: StorageFault) -> Unavailable {
    let error = StorageError { operation, source };
    METRICS.database_failures.inc();
    tracing::debug!(operation, error = error.source(), "{error}");
    DATABASE.note_during(operation, &error.source);
    if is_damaged(&error.source) { Unavailable::Damaged } else { Unavailable::Now }
}

/// Tells the operator that a row is missing to which another row refers. `id` is its primary key.
pub fn missing(table: &'static str, id: impl Display) -> Unavailable {
    report("read what a row refers to", StorageFault::Missing { table, id: id.to_string() })
}

/// The database's code for a statement that it rejected; `None` for every other failure. The code is empty where the
/// database gives none.
pub(super) fn code(error: &DbErr) -> Option<String> {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return None;
    };
    Some(error.as_database_error()?.code().unwrap_or_default().into_owned())
}

/// Whether a failure may be the fault of one command of a batch, so that each command deserves a try of its own: the
/// command needs a row that is inconsistent or cannot be decoded, or the database rejects a statement for what is in it.
pub(super) fn may_be_one_commands_fault(fault: &StorageFault) -> bool {
    match fault {
        StorageFault::Database(error) => may_be_one_keys_fault(error),
        StorageFault::Inconsistent(_) | StorageFault::Missing { .. } => true,
        StorageFault::NoHead => false,
    }
}

/// Whether the database answered with a row that herald cannot read.
fn is_damaged(fault: &StorageFault) -> bool {
    match fault {
        StorageFault::Database(error) => is_undecodable(error),
        StorageFault::Inconsistent(_) | StorageFault::Missing { .. } => true,
        StorageFault::NoHead => false,
    }
}

/// Whether the database rejected a statement for what is in it. A database that is short of time, memory, disk or
/// connections, or is shutting down, fails every statement.
fn is_rejected(error: &DbErr) -> bool {
    // These classes are about connections, transactions that ended, resources, the operator and the system
    // (https://www.postgresql.org/docs/current/errcodes-appendix.html). SQLite's codes are numbers without such
    // classes.
    let Some(code) = code(error) else { return false };
    !["08", "25", "40", "53", "55", "57", "58"].iter().any(|class| code.len() == 5 && code.starts_with(class))
}

/// Whether a failure may be the fault of one key of many, so that each key deserves a try of its own: the database
/// rejects a statement for what is in it, or a row has a value that cannot be decoded.
pub(super) fn may_be_one_keys_fault(error: &DbErr) -> bool {
    is_undecodable(error) || is_rejected(error)
}

/// Whether a row has a value that cannot be decoded.
fn is_undecodable(error: &DbErr) -> bool {
    match error {
        DbErr::Query(RuntimeErr::SqlxError(error)) => matches!(
            error.as_ref(),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_)
        ),
        DbErr::Custom(_) | DbErr::Type(_) | DbErr::TryIntoErr { .. } => true,
        _ => false,
    }
}
