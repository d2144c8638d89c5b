//! Whether herald lives, and whether it is of use.

use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Shared;
use super::respond::refuse;
use crate::config::seconds;
use crate::log::Unready;
use crate::metrics::METRICS;
use crate::vitals::Part;

/// How long the database may take to answer. Shorter than for anybody else: a proxy is to know soon.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether this is what is asked for: it is answered whatever else is refused.
pub(super) fn is_asked(uri: &Uri) -> bool {
    matches!(uri.path(), "/healthz" | "/readyz")
}

/// The process lives.
pub(super) async fn live() -> Response {
    "ok\n".into_response()
}

/// herald is of use.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match reason(&shared).await {
        None => "ready\n".into_response(),
        Some(reason) => refuse(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", &reason),
    }
}

/// Why herald is of no use now, if it is not: the database answers, its schema is current, it can be written, every part
/// of herald works, and herald is not about to stop.
async fn reason(shared: &Shared) -> Option<String> {
    if shared.stopping.is_cancelled() {
        return Some("herald is stopping.".into());
    }
    let database = &shared.engine.services().database;
    let readiness = timeout(PATIENCE, database.readiness()).await.unwrap_or(Err(Unready::Silent));
    if let Err(unready) = readiness {
        return Some(unready.message());
    }
    // Who is told to send nothing to a node that cannot write would never find out that it can again.
    if shared.vitals.reason_of(Part::Writer).is_some() {
        match timeout(PATIENCE, database.is_writable()).await {
            Ok(true) => shared.vitals.works(Part::Writer),
            _ => return Some(Unready::ReadOnly.message()),
        }
    }
    shared.vitals.reason().map(ToOwned::to_owned)
}

/// Says in the log and in the metrics when herald stops to be of use, and when it is again: for as long as it serves.
pub(crate) async fn watch(shared: Weak<Shared>, period: u64) {
    let mut looks = interval(seconds(period));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        looks.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        let reason = reason(&shared).await;
        METRICS.ready.set(i64::from(reason.is_none()));
        if reason != told {
            match &reason {
                Some(reason) => tracing::error!(reason, "not ready"),
                None => tracing::info!("ready"),
            }
            told = reason;
        }
    }
}
