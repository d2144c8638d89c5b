//! Which origins' web pages may use herald, other than those of its own host.

use std::time::Duration;

use axum::http::{HeaderValue, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// Stands for every origin.
const ANY: &str = "*";

/// How long a browser may remember what it was told.
const REMEMBERED: Duration = Duration::from_hours(1);

/// The origins that the operator allows.
#[derive(Debug)]
pub(crate) struct Origins(Vec<HeaderValue>);

impl Origins {
    pub(crate) fn new(allowed: &[String]) -> Self {
        Self(allowed.iter().filter_map(|origin| origin.parse().ok()).collect())
    }

    /// Whether pages of this origin may use the cookie. Those that only `*` stands for may not.
    pub(super) fn allows(&self, origin: &str) -> bool {
        origin != ANY && self.0.iter().any(|allowed| allowed == origin)
    }

    /// Tells browsers (<https://fetch.spec.whatwg.org/#http-cors-protocol>); `None` when there is nothing to tell.
    pub(super) fn cors(&self) -> Option<CorsLayer> {
        if self.0.is_empty() {
            return None;
        }
        let cors = CorsLayer::new()
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(AllowHeaders::mirror_request())
            .max_age(REMEMBERED);
        Some(if self.0.iter().any(|allowed| allowed == ANY) {
            cors.allow_origin(AllowOrigin::any())
        } else {
            cors.allow_origin(AllowOrigin::list(self.0.clone())).allow_credentials(true)
        })
    }
}
