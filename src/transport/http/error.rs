//! The reasons for which herald refuses an HTTP request before the request becomes an operation.

use std::io;
use std::str::Utf8Error;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use thiserror::Error;

use super::accept::MediaType;
use super::response::as_json;
use crate::error::Error;
use crate::graphql::{self, BAD_REQUEST, LIMIT_EXCEEDED};

/// Seconds after which a client may try again that holds too much at present.
const RETRY_AFTER_SECONDS: &str = "5";

/// Why herald refuses a request. The text is the message that the client reads; a source is only logged.
#[derive(Debug, Error)]
pub(in crate::transport) enum RequestError {
    #[error("There is nothing here: GraphQL is at /graphql.")]
    NotFound,
    #[error("{advice}")]
    MethodNotAllowed { allowed: &'static str, advice: &'static str },
    #[error(
        "Accept application/json or application/graphql-response+json; text/event-stream or \
         multipart/mixed;subscriptionSpec=1.0 for a subscription."
    )]
    NotAcceptable,
    #[error("Send the request as content-type: application/json.")]
    NotJson,
    #[error("Send the body as it is, or with content-encoding: gzip.")]
    UnsupportedCoding,
    #[error("The body is larger than {max_bytes} bytes.")]
    BodyTooLarge { max_bytes: usize },
    #[error("The body did not arrive in time.")]
    BodyTooSlow(#[source] tokio::time::error::Elapsed),
    #[error("The body ended early.")]
    BodyEndedEarly(#[source] axum::Error),
    #[error("The body is not what its content-encoding says: gzip.")]
    NotGzip(#[source] io::Error),
    #[error("The body is not UTF-8.")]
    NotUtf8(#[source] Utf8Error),
    #[error("The body is not {wanted}.")]
    OtherJson { wanted: &'static str, source: serde_json::Error },
    #[error("Batches are not supported: send one operation a request.")]
    Batch,
    #[error("The body is not a GraphQL request: {reason}.")]
    InvalidBody { reason: String },
    #[error("The query string cannot be decoded.")]
    UndecodableUrl(#[source] QueryRejection),
    #[error("The URL is not a GraphQL request: {reason}.")]
    InvalidUrl { reason: String },
    /// An intermediary may have read another name than herald would.
    #[error("A request names its host in one `Host` header (RFC 9112, section 3.2).")]
    NotOneHost,
    #[error("The request has no `query`.")]
    NoDocument,
    #[error("{place} {reason}.")]
    InvalidConnectionId { place: &'static str, reason: String },
    #[error(
        "Subscribe over WebSocket, subprotocol graphql-transport-ws, or accept text/event-stream, or \
         multipart/mixed;subscriptionSpec=1.0."
    )]
    NoStreamAccepted,
    #[error("Mutations are executed by POST only.")]
    MutationByGet,
    #[error("Ask for the WebSocket subprotocol {0}.")]
    NoSubprotocol(&'static str),
    #[error("{}.", .0.body_text())]
    NotAnUpgrade(#[source] WebSocketUpgradeRejection),
    #[error(
        "A cookie is accepted only from pages of this host: send a bearer token instead, or start \
         herald with --allow-origin."
    )]
    CookieFromForeignPage,
    #[error("This address has too many bytes of requests under way.")]
    TooManyUnfinishedBytes,
    #[error("This address has too many requests and sockets under way.")]
    TooManyRequests,
    #[error("This address has too many sockets on which nobody is signed in.")]
    TooManyAnonymousSockets,
    #[error("Accept text/event-stream.")]
    NoEventStreamAccepted,
    /// The log is not told.
    #[error("{}", .0.messages().next().unwrap_or_default())]
    Log(Box<graphql::Response>),
    #[error("{reason}")]
    NotReady { reason: String },
    /// herald cannot find out who is calling.
    #[error("{}", .0.message())]
    Caller(Error),
}

impl RequestError {
    /// Writes the refusal in this media type, and logs its cause within the span of the request.
    pub(super) fn respond(self, media_type: MediaType) -> Response {
        let (status, code) = self.status_and_code();
        let message = self.to_string();
        tracing::debug!(code, error = ?self, "refused a request");
        let mut response = Response::new(Body::from(graphql::refusal(code, message).to_json()));
        *response.status_mut() = status;
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        as_json(response, media_type)
    }

    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Self::MethodNotAllowed { .. } | Self::MutationByGet => {
                (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED")
            }
            Self::NotAcceptable | Self::NoEventStreamAccepted => {
                (StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE")
            }
            Self::UnsupportedCoding => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE"),
            Self::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE"),
            Self::BodyTooSlow(_) => (StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT"),
            Self::CookieFromForeignPage => (StatusCode::FORBIDDEN, "FORBIDDEN"),
            Self::TooManyUnfinishedBytes | Self::TooManyRequests | Self::TooManyAnonymousSockets => {
                (StatusCode::TOO_MANY_REQUESTS, LIMIT_EXCEEDED)
            }
            Self::NotReady { .. } => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Self::Log(refusal) => log_status(refusal.codes().next().unwrap_or_default()),
            Self::Caller(error) => {
                let status = match error {
                    Error::Unauthenticated | Error::UnknownKey | Error::Jwt(_) => StatusCode::UNAUTHORIZED,
                    Error::Forbidden(_) | Error::AccountDisabled => StatusCode::FORBIDDEN,
                    Error::BadInput { .. } | Error::DeliveredToken(_) => StatusCode::BAD_REQUEST,
                    Error::NotFound(_) => StatusCode::NOT_FOUND,
                    Error::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
                    Error::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::INTERNAL_SERVER_ERROR,
                };
                (status, error.code())
            }
            Self::NotJson
            | Self::BodyEndedEarly(_)
            | Self::NotGzip(_)
            | Self::NotUtf8(_)
            | Self::OtherJson { .. }
            | Self::Batch
            | Self::InvalidBody { .. }
            | Self::UndecodableUrl(_)
            | Self::InvalidUrl { .. }
            | Self::NotOneHost
            | Self::NoDocument
            | Self::InvalidConnectionId { .. }
            | Self::NoStreamAccepted
            | Self::NoSubprotocol(_)
            | Self::NotAnUpgrade(_) => (StatusCode::BAD_REQUEST, BAD_REQUEST),
        }
    }

    /// The header that tells a client what herald would accept, or when.
    fn header(&self) -> Option<(HeaderName, &'static str)> {
        match self {
            Self::MethodNotAllowed { allowed, .. } => Some((header::ALLOW, allowed)),
            Self::MutationByGet => Some((header::ALLOW, "POST")),
            // RFC 9110, section 12.5.3.
            Self::UnsupportedCoding => Some((header::ACCEPT_ENCODING, "gzip")),
            Self::TooManyUnfinishedBytes | Self::TooManyRequests | Self::TooManyAnonymousSockets => {
                Some((header::RETRY_AFTER, RETRY_AFTER_SECONDS))
            }
            _ => None,
        }
    }
}

/// The status with which the log is refused, with the code.
fn log_status(code: &str) -> (StatusCode, &'static str) {
    match code {
        "UNAUTHENTICATED" => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
        "FORBIDDEN" => (StatusCode::FORBIDDEN, "FORBIDDEN"),
        "BAD_INPUT" => (StatusCode::BAD_REQUEST, "BAD_INPUT"),
        "CURSOR_INVALID" => (StatusCode::BAD_REQUEST, "CURSOR_INVALID"),
        // The place is not there any more, and will not be again.
        "CURSOR_EXPIRED" => (StatusCode::GONE, "CURSOR_EXPIRED"),
        LIMIT_EXCEEDED => (StatusCode::TOO_MANY_REQUESTS, LIMIT_EXCEEDED),
        "UNAVAILABLE" => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
    }
}

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        self.respond(MediaType::Json)
    }
}

impl From<Error> for RequestError {
    fn from(error: Error) -> Self {
        Self::Caller(error)
    }
}
