//! Whether herald lives, and whether it is of use.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::respond::refuse;

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

/// The database answers, its schema is current, and herald is not about to stop.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    if shared.stopping.is_cancelled() {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "herald is stopping.");
    }
    let ready = tokio::time::timeout(PATIENCE, shared.engine.services().database.is_ready()).await;
    if !ready.unwrap_or(false) {
        let message = "The database does not answer, or its schema is not current.";
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message);
    }
    "ready\n".into_response()
}
