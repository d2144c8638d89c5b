//! Bytes to operations and back.
//!
//! Here live the listener with its limits, GraphQL over HTTP with its responses that stay open, the
//! `graphql-transport-ws` protocol, the finding out of who is calling, and the playground's pages. What never lives here: anything about messages. A transport hands an
//! operation to [`crate::graphql`] and writes down what comes back.

mod addresses;
mod body;
mod caller;
mod compression;
mod framing;
mod health;
mod http;
mod intake;
mod listener;
mod metrics;
mod origins;
mod playground;
mod protocol;
mod reserve;
mod respond;
mod sockets;
mod stream;
mod websocket;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use axum::routing::{any, get};
use tokio_util::sync::CancellationToken;

pub(crate) use health::watch as watch_health;
pub(crate) use listener::serve;
pub use metrics::serve as serve_metrics;

use self::addresses::Addresses;
use self::origins::Origins;
use self::respond::refuse;
use self::sockets::Sockets;
use crate::config::{Limits, ServeArgs};
use crate::graphql::Engine;
use crate::vitals::Vitals;

/// What every transport works with.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) limits: Limits,
    pub(crate) trust_proxy: bool,
    pub(crate) origins: Origins,
    /// Whether the playground is served.
    pub(crate) playground: bool,
    pub(crate) sockets: Sockets,
    pub(crate) addresses: Addresses,
    /// Cancelled when herald is to stop: sockets say goodbye then.
    pub(crate) stopping: CancellationToken,
}

impl Shared {
    pub(crate) fn new(engine: Engine, vitals: Arc<Vitals>, args: &ServeArgs) -> Self {
        Self {
            engine,
            vitals,
            limits: args.limits.clone(),
            trust_proxy: args.trust_proxy,
            origins: Origins::new(&args.allow_origin),
            playground: !args.no_playground,
            sockets: Sockets::new(args.limits.max_sockets_per_user),
            addresses: Addresses::new(&args.limits),
            stopping: CancellationToken::new(),
        }
    }
}

/// Every path that herald answers on.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let mut graphql = any(graphql).layer(compression::layer());
    if let Some(cors) = shared.origins.cors() {
        graphql = graphql.layer(cors);
    }
    let playground = if shared.playground { playground::routes() } else { Router::new() };
    playground
        .route("/graphql", graphql)
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .fallback(nowhere)
        .method_not_allowed_fallback(not_so)
        .with_state(shared)
}

async fn graphql(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let wants_socket = request
        .headers()
        .get(header::UPGRADE)
        .is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"));
    match *request.method() {
        Method::GET if wants_socket => websocket::upgrade(shared, request).await,
        Method::GET => http::get(shared, request).await,
        Method::POST => http::post(shared, request).await,
        _ => respond::not_allowed("GET, POST", "Use POST, or GET for queries."),
    }
}

async fn nowhere() -> Response {
    refuse(StatusCode::NOT_FOUND, "NOT_FOUND", "There is nothing here: GraphQL is at /graphql.")
}

async fn not_so() -> Response {
    respond::not_allowed("GET", "Use GET.")
}
