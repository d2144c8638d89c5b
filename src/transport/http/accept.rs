//! Reads the `Accept` header: the form of the response that a client wants.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::transport::stream::Framing;

/// The media types of a GraphQL response that is complete at once
/// (<https://graphql.github.io/graphql-over-http/draft/#sec-Media-Types>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaType {
    /// `application/json`. A refused document is answered with 200, as clients have known it for years.
    Json,
    /// `application/graphql-response+json`. A refused document is answered with 400.
    GraphqlResponse,
}

impl MediaType {
    /// The value of `Content-Type`.
    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
        })
    }
}

/// The forms of a response that a client accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepted {
    /// The preferred form of a response that is complete at once.
    pub(super) response: Option<MediaType>,
    /// The preferred form of a response that stays open.
    pub(super) stream: Option<Framing>,
}

impl Accepted {
    /// Reads the `Accept` header. A client that sends none accepts JSON.
    ///
    /// This is written by hand because `headers-accept` and `mediatype` refuse a badly written parameter, such as
    /// `application/json;utf-8`, which clients do send.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut values =
            headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
        if values.peek().is_none() {
            return Self { response: Some(MediaType::Json), stream: None };
        }
        let (mut response, mut stream) = (None, None);
        for range in values.flat_map(|value| value.split(',')).map(Range::parse) {
            match range.media_type.as_str() {
                "application/graphql-response+json" => {
                    prefer(&mut response, range.quality, MediaType::GraphqlResponse);
                }
                "application/json" | "application/*" | "*/*" => {
                    prefer(&mut response, range.quality, MediaType::Json);
                }
                "text/event-stream" => prefer(&mut stream, range.quality, Framing::EventStream),
                // Without this parameter, a client asks for the protocol of `@defer`, which herald does not speak.
                "multipart/mixed" if range.has_subscription_spec => {
                    prefer(&mut stream, range.quality, Framing::Multipart);
                }
                _ => {}
            }
        }
        Self { response: response.map(|(_, best)| best), stream: stream.map(|(_, best)| best) }
    }
}

/// Whether a client accepts server-sent events. One that sends no header accepts everything.
pub(in crate::transport) fn accepts_event_stream(headers: &HeaderMap) -> bool {
    let mut values =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    values.peek().is_none()
        || values.flat_map(|value| value.split(',')).map(Range::parse).any(|range| {
            matches!(range.media_type.as_str(), "text/event-stream" | "text/*" | "*/*") && range.quality > 0.0
        })
}

/// One media range of the header.
struct Range {
    /// Type and subtype in lower case.
    media_type: String,
    /// From 0, which refuses the range, to 1.
    quality: f32,
    has_subscription_spec: bool,
}

impl Range {
    fn parse(text: &str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let parameter =
            |name: &str| parts.clone().find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let quality = parameter("q").map(without_quotes).map_or(Ok(1.0), str::parse).unwrap_or(0.0);
        Self { media_type, quality, has_subscription_spec: parameter("subscriptionSpec").is_some() }
    }
}

/// Keeps the choice of the higher quality, and the earlier one of two with the same quality.
fn prefer<T>(best: &mut Option<(f32, T)>, quality: f32, choice: T) {
    if quality > 0.0 && best.as_ref().is_none_or(|(highest, _)| quality > *highest) {
        *best = Some((quality, choice));
    }
}

fn without_quotes(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(accept: &'static str) -> (Option<MediaType>, Option<Framing>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        let Accepted { response, stream } = Accepted::of(&headers);
        (response, stream)
    }

    #[test]
    fn the_media_type_is_the_one_of_the_highest_quality() {
        let response = |accept| accepted(accept).0;
        assert_eq!(Accepted::of(&HeaderMap::new()).response, Some(MediaType::Json));
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
        assert_eq!(response("application/json;utf-8"), Some(MediaType::Json));
        assert_eq!(response("text/html"), None);
        assert_eq!(response("application/json;q=0"), None);
    }

    #[test]
    fn a_response_that_stays_open_is_framed_as_the_client_can_read_it() {
        // The headers of urql, graphql-sse, Apollo Client and its documentation.
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
