//! Serves the numbers for operators, on a port of its own: clients must not see them.

use std::io;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::METRICS;

/// The media type of the text (<https://prometheus.io/docs/specs/om/open_metrics_spec/#overall-structure>).
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers `GET /metrics` with [`METRICS`] for as long as the future is polled.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    axum::serve(listener, Router::new().route("/metrics", get(text))).await
}

async fn text() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], METRICS.text())
}
