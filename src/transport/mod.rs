//! Turns bytes into operations, and answers into bytes.
//!
//! `listener` accepts connections, `router` sends each request to `http` or `websocket`, and `stream`
//! writes the HTTP responses that stay open. The modules beside them serve all of these. This layer knows nothing
//! about messages: it hands an operation to `crate::graphql` and writes the answer.

mod caller;
mod delivered;
mod health;
mod http;
mod listener;
mod log;
mod metrics;
mod origins;
mod playground;
mod router;
mod sign_in;
mod sockets;
mod stream;
mod websocket;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub(crate) use health::watch as watch_health;
pub(crate) use listener::serve;
pub use metrics::serve as serve_metrics;

use self::listener::Addresses;
use self::origins::Origins;
use self::playground::Playground;
use self::sockets::Sockets;
use crate::config::{Limits, ServeArgs};
use crate::graphql::Engine;
use crate::vitals::Vitals;

/// What every request and every socket needs.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) limits: Limits,
    pub(crate) trust_proxy: bool,
    pub(crate) origins: Origins,
    /// The playground, if herald serves it.
    pub(crate) playground: Option<Playground>,
    pub(crate) sockets: Sockets,
    pub(crate) addresses: Addresses,
    /// Cancelled when herald begins to stop.
    pub(crate) stopping: CancellationToken,
}

impl Shared {
    pub(crate) fn new(engine: Arc<Engine>, vitals: Arc<Vitals>, args: &ServeArgs) -> Self {
        Self {
            engine,
            vitals,
            limits: args.limits.clone(),
            trust_proxy: args.trust_proxy,
            origins: Origins::new(&args.allow_origin),
            playground: (!args.no_playground).then(|| Playground::new(&args.identity)),
            sockets: Sockets::new(args.limits.max_sockets_per_user),
            addresses: Addresses::new(&args.limits),
            stopping: CancellationToken::new(),
        }
    }
}
