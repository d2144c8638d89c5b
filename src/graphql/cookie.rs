//! The cookie that carries a session's token in browsers.

use crate::accounts::{Live, Token};
use crate::clock;

/// The cookie's name.
pub(crate) const NAME: &str = "herald_session";

/// Sets the cookie: out of reach of scripts, and never sent along from other sites.
pub(super) fn set(token: &Token, session: &Live, secure: bool) -> String {
    let seconds = session.expires_at.0.saturating_sub(clock::now().0) / 1_000_000;
    format!("{NAME}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{}", only_tls(secure))
}

/// Takes the cookie back.
pub(super) fn clear(secure: bool) -> String {
    format!("{NAME}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict{}", only_tls(secure))
}

fn only_tls(secure: bool) -> &'static str {
    if secure { "; Secure" } else { "" }
}
