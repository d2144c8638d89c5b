//! Finds out why there is no connection to Postgres. A pool that gives none in time does not say why.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::sqlx::postgres::PgConnectOptions;
use tokio::time::sleep;

use crate::postgres;

/// The pause after a cause was logged, before the next one is looked for.
const REPEAT_PAUSE: Duration = Duration::from_secs(10);

/// Looks for the cause and logs it. One search runs at a time.
#[derive(Clone)]
pub(super) struct Diagnosis(Arc<Case>);

struct Case {
    options: PgConnectOptions,
    patience: Duration,
    is_open: AtomicBool,
}

impl std::fmt::Debug for Diagnosis {
    /// Without the options: they hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Diagnosis")
    }
}

impl Diagnosis {
    pub(super) fn new(options: PgConnectOptions, patience: Duration) -> Self {
        Self(Arc::new(Case { options, patience, is_open: AtomicBool::new(false) }))
    }

    /// Begins a search in a task of its own, unless one runs.
    pub(super) fn begin(&self) {
        if self.0.is_open.swap(true, Ordering::AcqRel) {
            return;
        }
        let case = Arc::clone(&self.0);
        tokio::spawn(async move {
            match postgres::reach(&case.options, case.patience).await {
                Ok(()) => tracing::warn!(
                    "no connection to Postgres was free in time, but it can be reached: --database-readers are too few, or \
                     it is too slow"
                ),
                Err(reason) => tracing::error!("Postgres cannot be reached: {reason}"),
            }
            sleep(REPEAT_PAUSE).await;
            case.is_open.store(false, Ordering::Release);
        });
    }
}
