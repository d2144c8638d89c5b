//! Who is calling, by the headers of a request.

use std::net::{IpAddr, SocketAddr};

use axum::http::{Extensions, HeaderMap, StatusCode, header};
use axum::response::Response;

use super::Shared;
use super::origins;
use super::respond::{bad_request, refuse};
use crate::accounts::Token;
use crate::error::Error;
use crate::graphql::{COOKIE, Caller};
use crate::messaging::ConnectionId;

/// The header in which an HTTP request names the connection that it belongs to.
const CONNECTION_ID: &str = "x-connection-id";

/// Finds out who sent a request.
///
/// # Errors
/// The answer that refuses it: a bearer token that is none, a cookie sent along from a foreign site, a
/// connection id that cannot be one.
pub(super) async fn caller(
    shared: &Shared,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Caller, Box<Response>> {
    let named = headers.get(CONNECTION_ID).map(|id| id.to_str().unwrap_or_default());
    let mut caller = Caller {
        session: None,
        connection: named.map(|id| connection(id, "X-Connection-Id")).transpose()?,
        address: address(shared, headers, extensions),
        is_secure: shared.trust_proxy && forwarded(headers, "x-forwarded-proto") == Some("https"),
    };
    let sessions = &shared.engine.services().accounts.sessions;
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str());
    // What is not even text is no token.
    let authorization = authorization.map(|text| text.map_or(Err(Error::Unauthenticated), token));
    if let Some(token) = authorization.transpose().map_err(|error| Box::new(refused(&error)))?.flatten() {
        let found = sessions.find(&token).await;
        caller.session = Some(found.map_err(|error| Box::new(refused(&error)))?);
    } else if let Some(token) = cookie(headers) {
        match sessions.find(&token).await {
            Ok(session) => {
                from_here(shared, headers)?;
                caller.session = Some(session);
            }
            // A browser keeps sending a cookie whose session has ended: it must still be able to sign in.
            Err(Error::Unauthenticated) => {}
            Err(error) => return Err(Box::new(refused(&error))),
        }
    }
    Ok(caller)
}

/// The token in `Bearer …`. A bare token is taken too.
///
/// Nothing is no credential rather than a wrong one: Apollo's documented link sends `""` when nobody is signed in. The
/// scheme with nothing after it is a wrong one, since no documented link sends it and a client that does has a fault.
pub(super) fn token(authorization: &str) -> Result<Option<Token>, Error> {
    let text = authorization.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let (scheme, rest) = text.split_once(' ').unwrap_or(("", text));
    let credential = if scheme.eq_ignore_ascii_case("bearer") { rest.trim() } else { text };
    credential.parse().map(Some)
}

fn refused(error: &Error) -> Response {
    let status = match error {
        Error::Unauthenticated => StatusCode::UNAUTHORIZED,
        Error::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refuse(status, error.code(), error.message())
}

/// The connection that a request names, in the place called `what`.
pub(super) fn connection(id: &str, what: &str) -> Result<ConnectionId, Box<Response>> {
    ConnectionId::parse(id).map_err(|invalid| Box::new(bad_request(format!("{what} {}.", invalid.0))))
}

/// Whether a request that a cookie vouches for comes from a page of this very host, or of an origin that the
/// operator allows. Browsers say where a request comes from; whoever says nothing is not a browser.
fn from_here(shared: &Shared, headers: &HeaderMap) -> Result<(), Box<Response>> {
    let host = text(headers, header::HOST.as_str()).unwrap_or_default();
    let is_foreign = match text(headers, header::ORIGIN.as_str()) {
        Some(origin) if shared.origins.allows(origin) => false,
        Some(origin) => !origins::is_of_host(origin, host),
        None => matches!(text(headers, "sec-fetch-site"), Some("cross-site" | "same-site")),
    };
    if is_foreign {
        let message = "A cookie is accepted only from pages of this host: send a bearer token instead, or start \
             herald with --allow-origin.";
        return Err(Box::new(refuse(StatusCode::FORBIDDEN, "FORBIDDEN", message)));
    }
    Ok(())
}

/// The address that a request comes from.
pub(super) fn address(shared: &Shared, headers: &HeaderMap, extensions: &Extensions) -> IpAddr {
    let peer = extensions.get::<SocketAddr>().map_or([0, 0, 0, 0].into(), SocketAddr::ip);
    if !shared.trust_proxy {
        return peer;
    }
    // The last entry is the one that the trusted proxy added itself.
    forwarded(headers, "x-forwarded-for").and_then(|address| address.parse().ok()).unwrap_or(peer)
}

/// The last entry of a header that proxies add to: some to its text, some as another line.
fn forwarded<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let last = headers.get_all(name).iter().next_back()?;
    last.to_str().ok()?.rsplit(',').next().map(str::trim)
}

fn cookie(headers: &HeaderMap) -> Option<Token> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .and_then(|(_, token)| token.parse().ok())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
