//! The origins whose web pages may use herald, beside those of its own host.

use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderValue, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// The flag's value that stands for every origin.
const ANY: &str = "*";

/// The time for which a browser may remember the answer to a preflight request.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_hours(1);

/// The origins that the operator allows. None has a default port.
#[derive(Debug)]
pub(crate) struct Origins(Arc<[String]>);

impl Origins {
    pub(crate) fn new(allowed: &[String]) -> Self {
        Self(allowed.iter().map(|origin| without_default_port(origin).to_owned()).collect())
    }

    /// Tells whether pages of this origin may use the cookie. `*` allows no page to use it.
    pub(super) fn allows(&self, origin: &str) -> bool {
        origin != ANY && self.0.iter().any(|allowed| allowed == without_default_port(origin))
    }

    /// The layer that tells browsers which origins herald allows
    /// (<https://fetch.spec.whatwg.org/#http-cors-protocol>). `None` means that it allows none.
    pub(super) fn cors(&self) -> Option<CorsLayer> {
        if self.0.is_empty() {
            return None;
        }
        let cors = CorsLayer::new()
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(AllowHeaders::mirror_request())
            .max_age(PREFLIGHT_MAX_AGE);
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

/// Tells whether an origin is the host that a request names. Some proxies name the host with its default port.
pub(super) fn is_of_host(origin: &str, host: &str) -> bool {
    let Some((scheme, _)) = origin.split_once("://") else { return false };
    without_default_port(origin).eq_ignore_ascii_case(without_default_port(&format!("{scheme}://{host}")))
}

/// The origin without the default port of its scheme, as browsers write it.
fn without_default_port(origin: &str) -> &str {
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
    fn a_default_port_makes_no_difference_to_a_host() {
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
    fn a_default_port_makes_no_difference_to_an_allowed_origin() {
        for (allowed, origin) in
            [("https://a.example:443", "https://a.example"), ("http://a.example", "http://a.example:80")]
        {
            assert!(Origins::new(&[allowed.to_owned()]).allows(origin));
        }
        assert!(!Origins::new(&["https://a.example".to_owned()]).allows("https://a.example:80"));
    }
}
