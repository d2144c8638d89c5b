//! How users sign in here, for the playground: `GET /sign-in`. What never lives here: signing in.

use axum::body::Bytes;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::config::{Access, IdentityArgs, Switch};

/// How users sign in.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignIn<'a> {
    password_login: bool,
    registration: &'static str,
    oidc: Option<Oidc<'a>>,
}

/// The login system at which the playground signs users in by OpenID Connect.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Oidc<'a> {
    issuer: &'a str,
    client_id: &'a str,
    scope: &'a str,
    /// The audience for which the playground asks the token to be (RFC 8707).
    resource: Option<&'a str>,
}

/// The document at `/sign-in`, as JSON.
pub(super) fn document(args: &IdentityArgs) -> Bytes {
    let oidc = args.oidc_issuer.as_deref().zip(args.oidc_client_id.as_deref());
    let sign_in = SignIn {
        password_login: args.password_login == Switch::On,
        registration: match args.registration {
            Access::Open => "open",
            Access::Closed => "closed",
        },
        oidc: oidc.map(|(issuer, client_id)| Oidc {
            issuer,
            client_id,
            scope: &args.oidc_scope,
            resource: args.jwt_audience.first().map(String::as_str),
        }),
    };
    serde_json::to_vec(&sign_in).unwrap_or_default().into()
}

/// The origin of the login system, with which pages of the playground talk.
pub(super) fn issuer_origin(args: &IdentityArgs) -> Option<String> {
    let issuer: Uri = args.oidc_issuer.as_deref()?.parse().ok()?;
    Some(format!("{}://{}", issuer.scheme_str()?, issuer.authority()?))
}

/// Answers with the document.
pub(super) fn answer(document: Bytes) -> Response {
    let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    ([json, (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))], document).into_response()
}
