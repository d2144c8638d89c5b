//! The paths on which herald answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};

use super::http::{self, RequestError};
use super::{Shared, delivered, health, log, playground, websocket};

/// Every path, with its handler.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let mut graphql = any(graphql).layer(http::compression());
    // A push worker may be the service worker of a web page.
    let mut delivered = any(delivered::answer);
    if let Some(cors) = shared.origins.cors() {
        graphql = graphql.layer(cors.clone());
        delivered = delivered.layer(cors);
    }
    let playground = shared.playground.as_ref().map_or_else(Router::new, playground::routes);
    playground
        .route("/graphql", graphql)
        .route("/log", get(log::get))
        .route("/delivered", delivered)
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .fallback(async || RequestError::NotFound)
        .method_not_allowed_fallback(async || RequestError::MethodNotAllowed {
            allowed: "GET",
            advice: "Use GET.",
        })
        .with_state(shared)
}

async fn graphql(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let wants_socket = request
        .headers()
        .get(header::UPGRADE)
        .is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"));
    match *request.method() {
        Method::GET if wants_socket => websocket::upgrade(shared, request).await.into_response(),
        Method::GET => http::get(shared, request).await,
        Method::POST => http::post(shared, request).await,
        _ => RequestError::MethodNotAllowed { allowed: "GET, POST", advice: "Use POST, or GET for queries." }
            .into_response(),
    }
}
