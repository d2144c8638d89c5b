//! The cookie that carries a session's token in browsers.

use cookie::time::Duration;
use cookie::{Cookie, SameSite};

use crate::accounts::{Live, Token};

/// The name of the cookie.
pub(crate) const NAME: &str = "herald_session";

/// The `Set-Cookie` header that signs a browser in until the session ends.
pub(super) fn set(token: &Token, session: &Live, is_secure: bool) -> String {
    let lifetime = Duration::try_from(session.remaining()).unwrap_or(Duration::MAX);
    header(token.to_string(), lifetime, is_secure)
}

/// The `Set-Cookie` header that makes a browser forget the cookie.
pub(super) fn clear(is_secure: bool) -> String {
    header(String::new(), Duration::ZERO, is_secure)
}

/// Scripts cannot read the cookie, and browsers never send it along from other sites. With `is_secure`, they send it
/// over TLS only.
fn header(value: String, max_age: Duration, is_secure: bool) -> String {
    let cookie = Cookie::build((NAME, value))
        .path("/")
        .max_age(max_age)
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(is_secure);
    cookie.build().to_string()
}
