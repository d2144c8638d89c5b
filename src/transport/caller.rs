//! Finds out who sends a request, from its headers.

use std::net::{IpAddr, SocketAddr};

use axum::http::{Extensions, HeaderMap, HeaderValue, header};
use cookie::Cookie;
use tracing::Span;

use super::Shared;
use super::http::RequestError;
use super::origins;
use crate::accounts::{Accounts, ActAs, Credential};
use crate::error::Error;
use crate::graphql::{COOKIE, Caller, Prepared};
use crate::messaging::ConnectionId;

/// The header in which an HTTP request names the connection that it belongs to.
const CONNECTION_ID: &str = "x-connection-id";

/// The header in which a service names the user for whom it acts.
const ACT_AS: &str = "x-act-as";

/// Finds the session, the connection and the address of whoever sends a request.
///
/// # Errors
/// The bearer token stands for no session, a foreign page sends the cookie, or the connection id is malformed.
pub(super) async fn identify(
    shared: &Shared,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Caller, RequestError> {
    let connection = headers.get(CONNECTION_ID).map(|id| id.to_str().unwrap_or_default());
    let mut caller = Caller {
        session: None,
        service: None,
        connection: connection.map(|id| connection_id(id, "X-Connection-Id")).transpose()?,
        trace: None,
        address: address(shared, headers, extensions),
        is_secure: shared.trust_proxy && last_forwarded(headers, "x-forwarded-proto") == Some("https"),
    };
    let accounts = &shared.engine.services().accounts;
    if let Some(credential) = bearer_credential(headers)? {
        sign_in(accounts, &credential, &mut caller).await?;
    } else if let Some(credential) = cookie_credential(headers) {
        match accounts.identify(&credential).await {
            Ok(session) => {
                refuse_foreign_page(shared, headers)?;
                caller.session = Some(session);
            }
            // A browser keeps sending a cookie whose session has ended, and must still be able to sign in.
            Err(Error::Unauthenticated | Error::AccountDisabled | Error::Forbidden(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(user) = headers.get(ACT_AS) {
        // The id of another system may have any characters.
        act(accounts, std::str::from_utf8(user.as_bytes()).unwrap_or_default(), &mut caller).await?;
    }
    if let Some(session) = &caller.session {
        Span::current().record("user", tracing::field::display(session.user));
    }
    Ok(caller)
}

/// Has a caller be whoever a credential stands for.
///
/// # Errors
/// The credential stands for nobody, or the database does not answer.
pub(super) async fn sign_in(
    accounts: &Accounts,
    credential: &Credential,
    caller: &mut Caller,
) -> Result<(), Error> {
    (caller.session, caller.service) = match credential {
        Credential::Service(key) => (None, Some(accounts.keys.find(key).await?)),
        Credential::Token(_) | Credential::Jwt(_) => (Some(accounts.identify(credential).await?), None),
    };
    Ok(())
}

/// Has the service that calls act for the user who is named.
///
/// # Errors
/// No service calls, there is no such user, or the user is disabled.
pub(super) async fn act(accounts: &Accounts, user: &str, caller: &mut Caller) -> Result<(), Error> {
    let Some(service) = &caller.service else {
        return Err(Error::Forbidden(
            "Only a service acts for somebody: send its key as `Authorization: Bearer hsk_…`, or leave out \
             `X-Act-As`."
                .into(),
        ));
    };
    caller.session = Some(accounts.act(service, &user.parse::<ActAs>()?).await?);
    Ok(())
}

/// The span of one operation, within the span of its request or its socket, or in the trace that the client named.
pub(super) fn operation_span(prepared: &Prepared, caller: &Caller) -> Span {
    let span = tracing::debug_span!(
        "operation",
        kind = %prepared.kind,
        connection = caller.connection.as_ref().map(tracing::field::display),
    );
    if let Some(trace) = &caller.trace {
        trace.continue_in(&span);
    }
    span
}

/// The credential in the `Authorization` header. A value that is not even text stands for nobody.
fn bearer_credential(headers: &HeaderMap) -> Result<Option<Credential>, Error> {
    match headers.get(header::AUTHORIZATION).map(|value| value.to_str()) {
        None => Ok(None),
        Some(Ok(text)) => parse_credential(text),
        Some(Err(_)) => Err(Error::Unauthenticated),
    }
}

/// Reads the credential in `Bearer …`, or one without a scheme.
///
/// An empty text is no credential: Apollo's documented link sends `""` when nobody is signed in. The scheme alone is
/// a wrong credential, because no documented link sends it. This is written by hand because the `headers` crate
/// accepts neither a token without a scheme nor an empty text, and because `connection_init` carries the same text
/// without a header.
pub(super) fn parse_credential(authorization: &str) -> Result<Option<Credential>, Error> {
    let text = authorization.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let (scheme, rest) = text.split_once(' ').unwrap_or(("", text));
    let credential = if scheme.eq_ignore_ascii_case("bearer") { rest.trim() } else { text };
    credential.parse().map(Some)
}

/// Reads the connection id that stands in this place of a request.
pub(super) fn connection_id(id: &str, place: &'static str) -> Result<ConnectionId, RequestError> {
    ConnectionId::parse(id).map_err(|invalid| RequestError::InvalidConnectionId { place, reason: invalid.0 })
}

/// Refuses a request with a cookie unless it comes from a page of this host, or of an origin that the operator allows.
/// Browsers say where a request comes from. A client that does not say so is not a browser.
fn refuse_foreign_page(shared: &Shared, headers: &HeaderMap) -> Result<(), RequestError> {
    let host = text(headers, header::HOST.as_str()).unwrap_or_default();
    let is_own = |origin: &str| shared.origins.allows(origin) || origins::is_of_host(origin, host);
    let mut origins = headers.get_all(header::ORIGIN).iter().peekable();
    let is_foreign = if origins.peek().is_some() {
        // What cannot be read is of no page that is known.
        origins.any(|origin| !origin.to_str().is_ok_and(is_own))
    } else {
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        site.is_some_and(|site| !matches!(site, b"same-origin" | b"none"))
    };
    if is_foreign { Err(RequestError::CookieFromForeignPage) } else { Ok(()) }
}

/// The address that a request comes from. Behind a trusted proxy, it is the last one in `X-Forwarded-For`, because
/// the proxy itself adds that one.
pub(super) fn address(shared: &Shared, headers: &HeaderMap, extensions: &Extensions) -> IpAddr {
    let peer = extensions.get::<SocketAddr>().map_or([0, 0, 0, 0].into(), SocketAddr::ip);
    if !shared.trust_proxy {
        return peer;
    }
    last_forwarded(headers, "x-forwarded-for").and_then(forwarded_address).unwrap_or(peer)
}

/// The address in an entry of `X-Forwarded-For`. Some proxies add the port, and some write an IPv6 address in brackets or
/// quotes.
fn forwarded_address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim_matches('"');
    let with_port = || Some(entry.parse::<SocketAddr>().ok()?.ip());
    let in_brackets = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    entry.parse().ok().or_else(with_port).or_else(in_brackets)
}

/// The last entry of a header to which proxies add. Some extend the line, and some add a line.
fn last_forwarded<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let last = headers.get_all(name).iter().next_back()?;
    last.to_str().ok()?.rsplit(',').map(str::trim).find(|entry| !entry.is_empty())
}

/// The token in the cookie. A malformed token is treated as none. herald sets the cookie itself, so it is a token of
/// herald's, and never a service key.
fn cookie_credential(headers: &HeaderMap) -> Option<Credential> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(Cookie::split_parse)
        .filter_map(Result::ok)
        .find(|cookie| cookie.name() == COOKIE)
        .and_then(|cookie| cookie.value().parse().ok())
        .map(Credential::Token)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
