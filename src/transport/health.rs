//! Whether herald lives, and whether it is of use.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::respond::refuse;

/// The process lives.
pub(super) async fn live() -> Response {
    "ok\n".into_response()
}

/// The database answers, its schema is current, and herald is not about to stop.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    if shared.stopping.is_cancelled() {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "herald is stopping.");
    }
    if !shared.engine.services().database.is_ready().await {
        let message = "The database does not answer, or its schema is not current.";
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message);
    }
    "ready\n".into_response()
}
