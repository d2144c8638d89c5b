//! Answers over HTTP: always JSON, in the shape of a GraphQL response, whatever went wrong.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::framing::Framing;
use crate::graphql::{self, BAD_REQUEST, LIMIT_EXCEEDED};

/// The code with which a document that is known by its hash alone is asked for.
const PERSISTED_QUERY_NOT_FOUND: &str = "PERSISTED_QUERY_NOT_FOUND";

/// The media types that a GraphQL response can be written in
/// (<https://graphql.github.io/graphql-over-http/draft/#sec-Media-Types>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaType {
    /// `application/json`, as clients have known it for years: 200 even if the document was refused.
    Json,
    /// `application/graphql-response+json`: the status tells.
    GraphqlResponse,
}

/// What a client accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepted {
    /// The form of a response, the one most wanted.
    pub(super) response: Option<MediaType>,
    /// The form of a response that stays open, the one most wanted.
    pub(super) stream: Option<Framing>,
}

impl Accepted {
    /// Reads the `Accept` header.
    pub(super) fn by(headers: &HeaderMap) -> Self {
        let mut ranges = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).peekable();
        if ranges.peek().is_none() {
            return Self { response: Some(MediaType::Json), stream: None };
        }
        let (mut response, mut stream) = (None, None);
        for range in ranges.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
            let parameter = |name: &str| {
                parts.clone().find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).map(unquoted)
            };
            let quality = parameter("q").map_or(Ok(1.0), str::parse).unwrap_or(0.0);
            match media_type.as_str() {
                "application/graphql-response+json" => {
                    prefer(&mut response, quality, MediaType::GraphqlResponse);
                }
                "application/json" | "application/*" | "*/*" => {
                    prefer(&mut response, quality, MediaType::Json);
                }
                "text/event-stream" => prefer(&mut stream, quality, Framing::EventStream),
                // Without this parameter it asks for another protocol, that of `@defer`.
                "multipart/mixed" if parameter("subscriptionSpec").is_some() => {
                    prefer(&mut stream, quality, Framing::Multipart);
                }
                _ => {}
            }
        }
        Self { response: response.map(|(_, best)| best), stream: stream.map(|(_, best)| best) }
    }
}

/// Keeps what has the higher quality; of two with the same, the first.
fn prefer<T>(best: &mut Option<(f32, T)>, quality: f32, found: T) {
    if quality > 0.0 && best.as_ref().is_none_or(|(most, _)| quality > *most) {
        *best = Some((quality, found));
    }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

impl MediaType {
    pub(super) fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
        })
    }

    fn status(self, response: &graphql::Response) -> StatusCode {
        if !response.is_refusal() {
            return StatusCode::OK;
        }
        match response.codes().next() {
            // As Apollo Server does: clients that look into no other answer send the document then.
            Some(PERSISTED_QUERY_NOT_FOUND) => StatusCode::OK,
            Some("UNAVAILABLE") => StatusCode::SERVICE_UNAVAILABLE,
            Some(BAD_REQUEST | LIMIT_EXCEEDED) => StatusCode::BAD_REQUEST,
            _ if self == Self::GraphqlResponse => StatusCode::BAD_REQUEST,
            _ => StatusCode::OK,
        }
    }
}

/// Writes down what the execution came to.
pub(super) fn respond(media_type: MediaType, mut response: graphql::Response) -> Response {
    let headers = std::mem::take(&mut response.http_headers);
    let status = media_type.status(&response);
    let mut http = Response::new(Body::from(Bytes::from_owner(response.write())));
    *http.status_mut() = status;
    http.headers_mut().extend(headers);
    finish(http, media_type)
}

/// Refuses a request that never came to be an operation.
pub(super) fn refuse(status: StatusCode, code: &str, message: impl Into<String>) -> Response {
    let mut http = Response::new(Body::from(graphql::refusal(code, message).to_json()));
    *http.status_mut() = status;
    finish(http, MediaType::Json)
}

fn finish(mut http: Response, media_type: MediaType) -> Response {
    http.headers_mut().insert(header::CONTENT_TYPE, media_type.header());
    // What is answered is one viewer's, at one moment.
    http.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    http
}

/// Refuses a malformed request.
pub(super) fn bad_request(message: impl Into<String>) -> Response {
    refuse(StatusCode::BAD_REQUEST, BAD_REQUEST, message)
}

/// Refuses what would be more than an address may have at a time.
pub(super) fn too_many(message: &str) -> Response {
    let mut http = refuse(StatusCode::TOO_MANY_REQUESTS, LIMIT_EXCEEDED, message);
    http.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    http
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

    fn accepted(accept: &'static str) -> (Option<MediaType>, Option<Framing>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        let Accepted { response, stream } = Accepted::by(&headers);
        (response, stream)
    }

    #[test]
    fn the_media_type_is_the_one_most_wanted() {
        let response = |accept| accepted(accept).0;
        assert_eq!(Accepted::by(&HeaderMap::new()).response, Some(MediaType::Json));
        assert_eq!(response("*/*"), Some(MediaType::Json));
        assert_eq!(
            response("application/graphql-response+json, application/json;q=0.9"),
            Some(MediaType::GraphqlResponse)
        );
        assert_eq!(
            response("application/graphql-response+json;q=0.1, application/json"),
            Some(MediaType::Json)
        );
        assert_eq!(
            response("application/graphql-response+json; charset=utf-8"),
            Some(MediaType::GraphqlResponse)
        );
        assert_eq!(response("text/html"), None);
        assert_eq!(response("application/json;q=0"), None);
    }

    #[test]
    fn a_response_that_stays_open_is_framed_as_the_client_can_read_it() {
        // As urql, graphql-sse, Apollo Client and its documentation ask.
        assert_eq!(accepted("text/event-stream, multipart/mixed"), (None, Some(Framing::EventStream)));
        assert_eq!(accepted("text/event-stream"), (None, Some(Framing::EventStream)));
        assert_eq!(
            accepted("multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json;q=0.9"),
            (Some(MediaType::Json), Some(Framing::Multipart))
        );
        assert_eq!(
            accepted(r#"multipart/mixed; subscriptionSpec="1.0", application/json"#),
            (Some(MediaType::Json), Some(Framing::Multipart))
        );
        assert_eq!(accepted("multipart/mixed;deferSpec=20220824"), (None, None));
        assert_eq!(accepted("*/*"), (Some(MediaType::Json), None));
    }
}
