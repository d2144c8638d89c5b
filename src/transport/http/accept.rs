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
        let ranges = ranges(headers);
        if ranges.is_empty() {
            return Self { response: Some(MediaType::Json), stream: None };
        }
        let response = [MediaType::Json, MediaType::GraphqlResponse];
        // A client that takes anything means to be answered at once, so a stream is named.
        let stream = [Framing::EventStream, Framing::Multipart];
        let is_named = |precision: &Precision| *precision == Precision::Exact;
        Self {
            response: preferred(&ranges, response, |range, media_type| match media_type {
                MediaType::Json => range.takes("application", "json"),
                MediaType::GraphqlResponse => range.takes("application", "graphql-response+json"),
            }),
            stream: preferred(&ranges, stream, |range, framing| match framing {
                Framing::EventStream => range.takes("text", "event-stream").filter(is_named),
                // Without this parameter, a client asks for the protocol of `@defer`, which herald does not speak.
                Framing::Multipart => {
                    range.takes("multipart", "mixed").filter(is_named).filter(|_| range.has_subscription_spec)
                }
                Framing::CloudEvents => None,
            }),
        }
    }
}

/// Whether a client accepts server-sent events. One that sends no header accepts everything.
pub(in crate::transport) fn accepts_event_stream(headers: &HeaderMap) -> bool {
    let ranges = ranges(headers);
    ranges.is_empty() || preferred(&ranges, [()], |range, ()| range.takes("text", "event-stream")).is_some()
}

/// The media ranges of the header. A header without any says nothing, like one that is absent.
fn ranges(headers: &HeaderMap) -> Vec<Range> {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let texts = values.flat_map(|value| value.split(',')).filter(|text| !text.trim().is_empty());
    texts.map(Range::parse).collect()
}

/// The choice that the client prefers. The most precise range that takes a choice gives its quality. Of choices with the
/// same quality, it is the one whose range comes first, and then the first choice. `None` if the client takes none.
fn preferred<T: Copy>(
    ranges: &[Range],
    choices: impl IntoIterator<Item = T>,
    takes: impl Fn(&Range, T) -> Option<Precision>,
) -> Option<T> {
    let mut best: Option<(f32, usize, T)> = None;
    for choice in choices {
        let matching = ranges.iter().enumerate();
        let matching =
            matching.filter_map(|(place, range)| Some((takes(range, choice)?, place, range.quality)));
        // Of two that are as precise, the first one counts.
        let Some((_, place, quality)) = matching.min_by_key(|(precision, place, _)| (*precision, *place))
        else {
            continue;
        };
        let is_better = |(other, its_place, _): &(f32, usize, T)| {
            quality > *other || (quality >= *other && place < *its_place)
        };
        if quality > 0.0 && best.as_ref().is_none_or(is_better) {
            best = Some((quality, place, choice));
        }
    }
    best.map(|(_, _, choice)| choice)
}

/// The range that takes everything.
const ANY: &str = "*/*";

/// How much a range says of what it takes, the most precise first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Precision {
    Exact,
    Type,
    Any,
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
        let parameter = |name: &str| {
            let mut pairs = parts.clone().filter_map(|part| part.split_once('='));
            pairs.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| without_quotes(value))
        };
        let quality = parameter("q").map_or(Ok(1.0), str::parse).unwrap_or(0.0);
        // Of the only version there is: https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol
        let has_subscription_spec = parameter("subscriptionSpec") == Some("1.0");
        Self { media_type, quality, has_subscription_spec }
    }

    /// How precisely it takes this media type; `None` if it does not.
    fn takes(&self, kind: &str, subtype: &str) -> Option<Precision> {
        if self.media_type == ANY {
            return Some(Precision::Any);
        }
        match self.media_type.strip_prefix(kind)?.strip_prefix('/')? {
            "*" => Some(Precision::Type),
            named => (named == subtype).then_some(Precision::Exact),
        }
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
        assert_eq!(response("application/json;Q=0"), None);
        for none in ["", " ", ","] {
            assert_eq!(response(none), Some(MediaType::Json), "{none:?}");
        }
    }

    #[test]
    fn the_most_precise_range_gives_the_quality() {
        let response = |accept| accepted(accept).0;
        assert_eq!(response("application/json;q=0, */*"), Some(MediaType::GraphqlResponse));
        assert_eq!(response("application/*;q=0.5, application/json;q=0"), Some(MediaType::GraphqlResponse));
        assert_eq!(response("*/*;q=0.1, application/*;q=0"), None);
        assert_eq!(response("application/json;q=0.2, application/*"), Some(MediaType::GraphqlResponse));
        assert_eq!(accepted("text/*"), (None, None));
        assert_eq!(accepted("text/*, text/event-stream;q=0"), (None, None));
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
        assert_eq!(accepted("multipart/mixed;subscriptionSpec=2.0"), (None, None));
        assert_eq!(accepted("*/*"), (Some(MediaType::Json), None));
    }
}
