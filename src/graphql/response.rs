//! Responses, as bytes and as refusals.

use async_graphql::{ErrorExtensionValues, Response, ServerError, Value};
use serde::Serialize;
use serde::ser::SerializeMap;

use crate::error::Error;
use crate::metrics::METRICS;

/// This is no GraphQL request.
pub(crate) const BAD_REQUEST: &str = "BAD_REQUEST";
/// The document cannot be parsed.
pub(crate) const PARSE_FAILED: &str = "GRAPHQL_PARSE_FAILED";
/// The document, or its variables, do not fit the schema.
pub(crate) const VALIDATION_FAILED: &str = "GRAPHQL_VALIDATION_FAILED";
/// The document asks for more than this herald allows.
pub(crate) const LIMIT_EXCEEDED: &str = "LIMIT_EXCEEDED";

/// A response that is nothing but this error.
pub(crate) fn failure(error: &Error) -> Response {
    let async_graphql::Error { message, source, extensions } = error.clone().into();
    let mut error = ServerError::new(message, None);
    error.source = source;
    error.extensions = extensions;
    Response::from_errors(vec![error])
}

/// A response that refuses a request with a code.
pub(crate) fn refusal(code: &str, message: impl Into<String>) -> Response {
    let mut error = ServerError::new(message, None);
    set_code(&mut error, code);
    Response::from_errors(vec![error])
}

/// The code of an error.
pub(crate) fn code(error: &ServerError) -> Option<&str> {
    match error.extensions.as_ref()?.get("code") {
        Some(Value::String(code)) => Some(code),
        _ => None,
    }
}

/// Whether the request was refused before anything was executed: an error of execution has a path.
pub(crate) fn is_request_error(response: &Response) -> bool {
    response.data == Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|error| error.path.is_empty())
}

/// Whether part of the answer is missing because the database could not be read.
pub(crate) fn is_unavailable(response: &Response) -> bool {
    response.errors.iter().any(|error| code(error) == Some("UNAVAILABLE"))
}

/// Gives every error a code; those that async-graphql raised by itself have none yet.
pub(crate) fn complete(mut response: Response) -> Response {
    let request_error = is_request_error(&response);
    for error in &mut response.errors {
        if code(error).is_some() {
            continue;
        }
        let fallback = match error.message.as_str() {
            "Query is too complex." => {
                error.message = "The query is too complex: ask for smaller pages with `first`.".into();
                LIMIT_EXCEEDED
            }
            "Query is nested too deep." => LIMIT_EXCEEDED,
            message if message.starts_with("The recursion depth of the query") => LIMIT_EXCEEDED,
            _ if request_error => VALIDATION_FAILED,
            _ => "BAD_INPUT",
        };
        set_code(error, fallback);
    }
    response
}

fn set_code(error: &mut ServerError, code: &str) {
    error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("code", code);
}

fn count(response: &Response) {
    for code in response.errors.iter().filter_map(code) {
        METRICS.count_error(code);
    }
}

/// The response as JSON. There is no `data` entry when nothing was executed.
pub(crate) fn to_json(response: Response) -> String {
    let response = complete(response);
    count(&response);
    // What GraphQL produced can always be written as JSON.
    serde_json::to_string(&Body(&response)).unwrap_or_default()
}

struct Body<'a>(&'a Response);

impl Serialize for Body<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.0.errors.is_empty() {
            map.serialize_entry("errors", &self.0.errors)?;
        }
        if !is_request_error(self.0) {
            map.serialize_entry("data", &self.0.data)?;
        }
        if !self.0.extensions.is_empty() {
            map.serialize_entry("extensions", &self.0.extensions)?;
        }
        map.end()
    }
}

/// The errors alone, as the WebSocket protocol's `error` message wants them.
pub(crate) fn errors_json(response: Response) -> String {
    let response = complete(response);
    count(&response);
    serde_json::to_string(&response.errors).unwrap_or_default()
}
