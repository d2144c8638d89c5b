//! Which origins' web pages may use herald, other than those of its own host.

use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderValue, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// Stands for every origin.
const ANY: &str = "*";

/// How long a browser may remember what it was told.
const REMEMBERED: Duration = Duration::from_hours(1);

/// The origins that the operator allows, without default ports.
#[derive(Debug)]
pub(crate) struct Origins(Arc<[String]>);

impl Origins {
    pub(crate) fn new(allowed: &[String]) -> Self {
        Self(allowed.iter().map(|origin| plain(origin).to_owned()).collect())
    }

    /// Whether pages of this origin may use the cookie. Those that only `*` stands for may not.
    pub(super) fn allows(&self, origin: &str) -> bool {
        origin != ANY && self.0.iter().any(|allowed| allowed == plain(origin))
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
            let allowed = Self(Arc::clone(&self.0));
            let is_allowed = move |origin: &HeaderValue, _: &Parts| {
                origin.to_str().is_ok_and(|origin| allowed.allows(origin))
            };
            cors.allow_origin(AllowOrigin::predicate(is_allowed)).allow_credentials(true)
        })
    }
}

/// Whether pages of this origin come from the host that a request names. Proxies tend to name a host with its port.
pub(super) fn is_of_host(origin: &str, host: &str) -> bool {
    let Some((scheme, _)) = origin.split_once("://") else { return false };
    plain(origin).eq_ignore_ascii_case(plain(&format!("{scheme}://{host}")))
}

/// The origin without the port that its scheme has by default, as browsers write it.
fn plain(origin: &str) -> &str {
    let port = match origin.split_once("://") {
        Some(("https", _)) => ":443",
        Some(("http", _)) => ":80",
        _ => return origin,
    };
    origin.strip_suffix(port).unwrap_or(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_port_counts_as_none() {
        for (origin, host) in [
            ("https://a.example", "a.example"),
            ("https://a.example", "a.example:443"),
            ("https://a.example:443", "a.example"),
            ("http://a.example", "A.example:80"),
            ("http://[::1]", "[::1]:80"),
            ("http://a.example:8000", "a.example:8000"),
        ] {
            assert!(is_of_host(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("https://a.example", "a.example:80"),
            ("http://a.example", "a.example:443"),
            ("https://a.example", "a.example:4443"),
            ("https://a.example", "b.example"),
            ("https://a.example", ""),
            ("null", "null"),
        ] {
            assert!(!is_of_host(origin, host), "{origin} {host}");
        }
    }

    #[test]
    fn an_allowed_origin_is_the_same_with_its_default_port() {
        for (allowed, origin) in
            [("https://a.example:443", "https://a.example"), ("http://a.example", "http://a.example:80")]
        {
            assert!(Origins::new(&[allowed.to_owned()]).allows(origin));
        }
        assert!(!Origins::new(&["https://a.example".to_owned()]).allows("https://a.example:80"));
    }
}
