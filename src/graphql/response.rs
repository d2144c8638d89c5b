//! Responses, as bytes and as refusals.

use std::sync::Arc;

use async_graphql::{ErrorExtensionValues, ServerError, Value};
use axum::http::HeaderMap;

use super::budget::Budget;
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

/// Errors that a response tells. A document can have as many as it has tokens, and nobody reads them.
const MAX_ERRORS: usize = 100;

/// What a request came to. Every error in it has a code.
#[derive(Debug, Default)]
pub(crate) struct Response {
    errors: Vec<ServerError>,
    /// The data as JSON; `None` when nothing was executed.
    data: Option<String>,
    /// Headers for a response over HTTP.
    pub(crate) http_headers: HeaderMap,
    /// What the answer takes up until it is read.
    kept: Option<Arc<Budget>>,
}

/// A response as text, with what it takes up. Whoever writes it keeps it until it is written.
#[derive(Debug)]
pub(crate) struct Written {
    text: String,
    kept: Option<Arc<Budget>>,
}

impl Written {
    /// The same in another form.
    pub(crate) fn replaced(self, text: String) -> Self {
        Self { text, ..self }
    }

    /// Whether it takes up anything that others wait for.
    pub(crate) fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl AsRef<[u8]> for Written {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Response {
    /// The response to a request that is not executed.
    pub(crate) fn refused(errors: Vec<ServerError>) -> Self {
        Self { errors: told(errors, VALIDATION_FAILED), ..Self::default() }
    }

    /// The response to a request that was executed. `data` is JSON.
    pub(crate) fn executed(data: String, errors: Vec<ServerError>) -> Self {
        Self { errors: told(errors, "BAD_INPUT"), data: Some(data), ..Self::default() }
    }

    /// Whether the request was refused before anything was executed.
    pub(crate) fn is_refusal(&self) -> bool {
        self.data.is_none()
    }

    /// Whether part of the answer is missing because the database could not be read.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.codes().any(|code| code == "UNAVAILABLE")
    }

    /// The codes of its errors.
    pub(crate) fn codes(&self) -> impl Iterator<Item = &str> {
        self.errors.iter().filter_map(code)
    }

    /// The messages of its errors.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &str> {
        self.errors.iter().map(|error| error.message.as_str())
    }

    /// The response as JSON. There is no `data` entry when nothing was executed.
    pub(crate) fn to_json(&self) -> String {
        self.count();
        let errors = self.errors_json();
        match (&self.data, self.errors.is_empty()) {
            (Some(data), true) => ["{\"data\":", data, "}"].concat(),
            (Some(data), false) => ["{\"errors\":", &errors, ",\"data\":", data, "}"].concat(),
            (None, _) => ["{\"errors\":", &errors, "}"].concat(),
        }
    }

    /// Has the response keep what it takes up.
    pub(super) fn keep(&mut self, budget: Arc<Budget>) {
        self.kept = Some(budget);
    }

    /// The response as JSON, with what it takes up.
    pub(crate) fn write(self) -> Written {
        Written { text: self.to_json(), kept: self.kept }
    }

    /// The errors alone, as the WebSocket protocol's `error` message wants them.
    pub(crate) fn to_errors_json(&self) -> String {
        self.count();
        self.errors_json()
    }

    fn errors_json(&self) -> String {
        // What GraphQL produced can always be written as JSON.
        serde_json::to_string(&self.errors).unwrap_or_default()
    }

    fn count(&self) {
        for code in self.codes() {
            METRICS.count_error(code);
        }
    }
}

/// A response that is nothing but this error.
pub(crate) fn failure(error: &Error) -> Response {
    let async_graphql::Error { message, source, extensions } = error.clone().into();
    let mut error = ServerError::new(message, None);
    error.source = source;
    error.extensions = extensions;
    Response::refused(vec![error])
}

/// A response that refuses a request with a code.
pub(crate) fn refusal(code: &str, message: impl Into<String>) -> Response {
    Response::refused(vec![error(code, message)])
}

/// An error with a code.
pub(crate) fn error(code: &str, message: impl Into<String>) -> ServerError {
    let mut error = ServerError::new(message, None);
    set_code(&mut error, code);
    error
}

/// The code of an error.
fn code(error: &ServerError) -> Option<&str> {
    match error.extensions.as_ref()?.get("code") {
        Some(Value::String(code)) => Some(code),
        _ => None,
    }
}

/// The errors that are told. Those that async-graphql raised by itself have no code yet.
fn told(mut errors: Vec<ServerError>, fallback: &str) -> Vec<ServerError> {
    errors.truncate(MAX_ERRORS);
    for error in errors.iter_mut().filter(|error| code(error).is_none()) {
        set_code(error, fallback);
    }
    errors
}

/// Gives an error its code.
pub(super) fn set_code(error: &mut ServerError, code: &str) {
    error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("code", code);
}
