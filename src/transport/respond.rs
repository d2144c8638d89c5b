//! Answers over HTTP: always JSON, in the shape of a GraphQL response, whatever went wrong.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::graphql::{self, LIMIT_EXCEEDED, code, is_request_error, to_json};

/// The media types that a GraphQL response can be written in
/// (<https://graphql.github.io/graphql-over-http/draft/#sec-Media-Types>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaType {
    /// `application/json`, as clients have known it for years: 200 even if the document was refused.
    Json,
    /// `application/graphql-response+json`: the status tells.
    GraphqlResponse,
}

impl MediaType {
    /// Chooses by the `Accept` header; `None` when it accepts neither.
    pub(super) fn negotiate(headers: &HeaderMap) -> Option<Self> {
        let mut ranges = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).peekable();
        if ranges.peek().is_none() {
            return Some(Self::Json);
        }
        let mut best: Option<(f32, Self)> = None;
        for range in ranges.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let media_type = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "application/graphql-response+json" => Self::GraphqlResponse,
                "application/json" | "application/*" | "*/*" => Self::Json,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse);
            let quality: f32 = quality.unwrap_or(0.0);
            if quality > 0.0 && best.is_none_or(|(most, _)| quality > most) {
                best = Some((quality, media_type));
            }
        }
        best.map(|(_, media_type)| media_type)
    }

    fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
        })
    }

    fn status(self, response: &async_graphql::Response) -> StatusCode {
        if !is_request_error(response) {
            return StatusCode::OK;
        }
        match response.errors.first().and_then(code) {
            Some("UNAVAILABLE") => StatusCode::SERVICE_UNAVAILABLE,
            Some(LIMIT_EXCEEDED) => StatusCode::BAD_REQUEST,
            _ if self == Self::GraphqlResponse => StatusCode::BAD_REQUEST,
            _ => StatusCode::OK,
        }
    }
}

/// Writes down what the execution came to.
pub(super) fn respond(media_type: MediaType, mut response: async_graphql::Response) -> Response {
    let headers = std::mem::take(&mut response.http_headers);
    let response = graphql::complete(response);
    let status = media_type.status(&response);
    let mut http = Response::new(Body::from(to_json(response)));
    *http.status_mut() = status;
    http.headers_mut().extend(headers);
    http.headers_mut().insert(header::CONTENT_TYPE, media_type.header());
    http
}

/// Refuses a request that never came to be an operation.
pub(super) fn refuse(status: StatusCode, code: &str, message: impl Into<String>) -> Response {
    let mut http = Response::new(Body::from(to_json(graphql::refusal(code, message))));
    *http.status_mut() = status;
    http.headers_mut().insert(header::CONTENT_TYPE, MediaType::Json.header());
    http
}

/// Refuses a malformed request.
pub(super) fn bad_request(message: impl Into<String>) -> Response {
    refuse(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
}

/// Refuses a method, and says which would do.
pub(super) fn not_allowed(allowed: &'static str, message: &str) -> Response {
    let mut http = refuse(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message);
    http.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    http
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_is_the_one_most_wanted() {
        let negotiate = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            MediaType::negotiate(&headers)
        };
        assert_eq!(MediaType::negotiate(&HeaderMap::new()), Some(MediaType::Json));
        assert_eq!(negotiate("*/*"), Some(MediaType::Json));
        assert_eq!(
            negotiate("application/graphql-response+json, application/json;q=0.9"),
            Some(MediaType::GraphqlResponse)
        );
        assert_eq!(
            negotiate("application/graphql-response+json;q=0.1, application/json"),
            Some(MediaType::Json)
        );
        assert_eq!(
            negotiate("application/graphql-response+json; charset=utf-8"),
            Some(MediaType::GraphqlResponse)
        );
        assert_eq!(negotiate("text/html"), None);
        assert_eq!(negotiate("application/json;q=0"), None);
    }
}
