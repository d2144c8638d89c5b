//! Answers whether the process lives, and whether herald can serve.

use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Shared;
use super::http::RequestError;
use crate::config::seconds;
use crate::log::Unready;
use crate::metrics::METRICS;
use crate::vitals::Part;

/// The time that the database has to answer a check. It is shorter than for other statements, because a proxy must
/// know soon.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);

/// Tells whether a request is a health check. herald answers health checks whatever else it refuses.
pub(super) fn is_health_check(uri: &Uri) -> bool {
    matches!(uri.path(), "/healthz" | "/readyz")
}

/// Answers that the process lives.
pub(super) async fn live() -> Response {
    "ok\n".into_response()
}

/// Answers whether herald can serve, and if not, why. It also tells what is wrong with a part that others do without.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match reason(&shared).await {
        None => match shared.vitals.reason_of(Part::Log) {
            None => "ready\n".into_response(),
            Some(damage) => format!("ready\n{damage}\n").into_response(),
        },
        Some(reason) => RequestError::NotReady { reason }.into_response(),
    }
}

/// Why herald cannot serve now. `None` means that the database answers and has the current schema, that the writer
/// and every other part work, and that herald is not stopping.
async fn reason(shared: &Shared) -> Option<String> {
    if shared.stopping.is_cancelled() {
        return Some("herald is stopping.".into());
    }
    let database = &shared.engine.services().database;
    let readiness = timeout(DATABASE_TIMEOUT, database.readiness()).await.unwrap_or(Err(Unready::Silent));
    if let Err(unready) = readiness {
        return Some(unready.message());
    }
    // A proxy sends no mutations to a node that is not ready, so none of them would show that writing works again.
    if shared.vitals.reason_of(Part::Writer).is_some() {
        match timeout(DATABASE_TIMEOUT, database.is_writable()).await {
            Ok(true) => shared.vitals.works(Part::Writer),
            Ok(false) | Err(_) => return Some(Unready::ReadOnly.message()),
        }
    }
    shared.vitals.reason().map(ToOwned::to_owned)
}

/// Writes to the log and the metrics when herald stops being ready, and when it is ready again. It looks every
/// `period_seconds`, and ends with [`Shared`].
pub(crate) async fn watch(shared: Weak<Shared>, period_seconds: u64) {
    let mut ticks = interval(seconds(period_seconds));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut logged = None;
    loop {
        ticks.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        let reason = reason(&shared).await;
        METRICS.ready.set(i64::from(reason.is_none()));
        if reason != logged {
            match &reason {
                Some(reason) => tracing::error!(reason, "not ready"),
                None => tracing::info!("ready"),
            }
            logged = reason;
        }
    }
}
