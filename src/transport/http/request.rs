//! Reads an operation from a request: from the body of a POST, or from the URL of a GET.

use std::collections::HashMap;

use axum::extract::Query;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use percent_encoding::percent_decode_str;

use super::error::RequestError;
use crate::graphql::Params;

/// The header in which an `EventSource` that connects again names the last event that it received.
const LAST_EVENT_ID: &str = "last-event-id";

/// The parameter of the URL that replaces this header where a client cannot send headers (event-source-polyfill).
const LAST_EVENT_ID_PARAMETER: &str = "lastEventId";

/// The parameters of a GraphQL request in a URL.
const PARAMETERS: [&str; 5] = ["query", "variables", "extensions", "operationName", "documentId"];

/// Accepts JSON only, because a foreign page can send every other content type without asking first.
///
/// It does not read what follows the media type, because some clients write `application/json;utf-8`.
pub(super) fn require_json(headers: &HeaderMap) -> Result<(), RequestError> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.map(|text| text.split(';').next().unwrap_or_default().trim());
    match media_type {
        Some(media_type) if media_type.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(RequestError::NotJson),
    }
}

/// The parameters in the body of a POST.
pub(super) fn body_params(bytes: &[u8]) -> Result<Params, RequestError> {
    let text = std::str::from_utf8(bytes).map_err(RequestError::NotUtf8)?;
    if text.trim_start_matches('\u{feff}').trim_start().starts_with('[') {
        return Err(RequestError::Batch);
    }
    Params::read(text).map_err(|reason| RequestError::InvalidBody { reason })
}

/// The parameters in the URL of a GET.
pub(super) fn url_params(uri: &Uri) -> Result<Params, RequestError> {
    let mut fields = url_fields(uri)?;
    let mut text = |name: &str| fields.remove(name).filter(|text| !text.is_empty());
    let (variables, extensions) = (text("variables"), text("extensions"));
    let params = Params {
        document_id: text("documentId"),
        operation_name: text("operationName"),
        query: fields.remove("query"),
        ..Params::default()
    };
    let params = params.with_json(variables.as_deref(), extensions.as_deref());
    params.map_err(|reason| RequestError::InvalidUrl { reason })
}

/// The parameters that a URL names, each once. One that means nothing to herald may come more often.
fn url_fields(uri: &Uri) -> Result<HashMap<String, String>, RequestError> {
    if percent_decode_str(uri.query().unwrap_or_default()).decode_utf8().is_err() {
        return Err(RequestError::InvalidUrl { reason: "it is not UTF-8".into() });
    }
    let Query(pairs) =
        Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(RequestError::UndecodableUrl)?;
    let mut fields = HashMap::new();
    for (name, value) in pairs {
        if PARAMETERS.contains(&name.as_str()) && fields.contains_key(&name) {
            return Err(RequestError::InvalidUrl { reason: format!("it has `{name}` twice") });
        }
        fields.insert(name, value);
    }
    Ok(fields)
}

/// The last event that an `EventSource` received before it connected again. The header wins over the URL, because the
/// page may have written the URL long before.
pub(in crate::transport) fn last_event_id(parts: &Parts) -> Option<String> {
    let header = parts.headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty());
    if let Some(id) = header {
        return Some(id.to_str().unwrap_or_default().to_owned());
    }
    let Query(mut fields) = Query::<HashMap<String, String>>::try_from_uri(&parts.uri).ok()?;
    fields.remove(LAST_EVENT_ID_PARAMETER).filter(|id| !id.is_empty())
}
