//! Statements that Postgres has prepared. It refuses one when a column that it returns has another type now, as after a
//! migration. A statement lives as long as its connection, so the pool closes every connection that is older than the
//! refusal.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::PgDatabaseError;
use sea_orm::{DbErr, RuntimeErr};

/// The function of Postgres that refuses such a statement. The code of the error (0A000) stands for other refusals too,
/// and its message may be in any language.
const REFUSED_BY: &str = "RevalidateCachedQuery";

/// The statements of the connections of a database, in all of its pools. A clone shares them.
#[derive(Debug, Clone, Default)]
pub(super) struct Prepared {
    /// When one was refused last.
    // A `std` mutex, because it is locked only to copy the time and never across an await.
    refused: Arc<Mutex<Option<Instant>>>,
}

impl Prepared {
    /// Notes a failure, which may be such a refusal.
    pub(super) fn note(&self, error: &DbErr) {
        if is_refusal(error).unwrap_or(false) {
            tracing::warn!(
                "a column of the database has another type now: herald opens its connections anew"
            );
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    /// Whether a connection of this age may have statements that are refused.
    pub(super) fn is_outdated(&self, age: Duration) -> bool {
        let refused = *self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.is_some_and(|refused| refused.elapsed() <= age)
    }
}

fn is_refusal(error: &DbErr) -> Option<bool> {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return None;
    };
    let error = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    Some(error.routine() == Some(REFUSED_BY))
}
