//! Responses: how herald makes them and writes them as JSON. Every error has a code.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::{ErrorExtensionValues, ServerError, Value};
use axum::http::HeaderMap;

use super::budget::Budget;
use crate::error::Error;
use crate::hub::Answer;
use crate::metrics::METRICS;

/// The request is not a GraphQL request.
pub(crate) const BAD_REQUEST: &str = "BAD_REQUEST";
/// The document cannot be parsed.
pub(crate) const PARSE_FAILED: &str = "GRAPHQL_PARSE_FAILED";
/// The document or its variables do not fit the schema.
pub(crate) const VALIDATION_FAILED: &str = "GRAPHQL_VALIDATION_FAILED";
/// The document asks for more than this herald allows.
pub(crate) const LIMIT_EXCEEDED: &str = "LIMIT_EXCEEDED";

/// Errors that a response has at most. A document can have as many errors as tokens, and nobody reads so many.
const MAX_ERRORS: usize = 100;

/// The response to a request. Every error in it has a code.
#[derive(Debug, Default)]
pub(crate) struct Response {
    errors: Vec<ServerError>,
    /// `None` when nothing was executed.
    data: Option<Data>,
    /// Headers to add when the response goes over HTTP.
    pub(crate) http_headers: HeaderMap,
    /// The budget, which holds the permit of a large answer until the client has read it.
    budget: Option<Arc<Budget>>,
}

/// The data of a response.
#[derive(Debug, Default)]
pub(crate) struct Data {
    pub(crate) json: String,
    /// The offsets in ascending order at which null stands for what is different for each subscriber of an event.
    pub(crate) gaps: Vec<usize>,
}

impl From<&str> for Data {
    fn from(json: &str) -> Self {
        Self { json: json.to_owned(), gaps: Vec::new() }
    }
}

/// A response as text. The transport keeps it until the client has read it, because it holds the permit of a large
/// answer.
#[derive(Debug)]
pub(crate) struct Written {
    text: String,
    budget: Option<Arc<Budget>>,
}

impl Written {
    /// The same response with another text.
    pub(crate) fn replaced(self, text: String) -> Self {
        Self { text, ..self }
    }

    /// Whether it holds a permit that other answers wait for.
    pub(crate) fn is_kept(&self) -> bool {
        self.budget.is_some()
    }

    /// The JSON text.
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
        Self { errors: with_codes(errors, VALIDATION_FAILED), ..Self::default() }
    }

    /// The response to a request that was executed.
    pub(crate) fn executed(data: Data, errors: Vec<ServerError>) -> Self {
        Self { errors: with_codes(errors, "BAD_INPUT"), data: Some(data), ..Self::default() }
    }

    /// Whether herald refused the request and executed nothing.
    pub(crate) fn is_refusal(&self) -> bool {
        self.data.is_none()
    }

    /// Whether part of the answer is missing because the database could not be read.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.codes().any(|code| code == "UNAVAILABLE")
    }

    /// Whether part of the answer is missing because a row of the database is damaged.
    pub(crate) fn is_damaged(&self) -> bool {
        self.errors.iter().any(|error| error.source::<Error>() == Some(&Error::Damaged))
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
        let Some(Data { json, .. }) = &self.data else {
            return ["{\"errors\":", &self.errors_json(), "}"].concat();
        };
        [&*self.before_data(), json, "}"].concat()
    }

    /// The response for everyone with the same view of an event.
    pub(crate) fn to_shared(&self) -> Answer {
        let gaps = self.data.iter().flat_map(|data| &data.gaps);
        let before = self.before_data().len();
        Answer::new(self.to_json(), &gaps.map(|gap| before + gap).collect::<Vec<_>>())
    }

    fn before_data(&self) -> Cow<'static, str> {
        if self.errors.is_empty() {
            return "{\"data\":".into();
        }
        ["{\"errors\":", &self.errors_json(), ",\"data\":"].concat().into()
    }

    /// Makes the response hold this budget, and with it the permit.
    pub(super) fn keep(&mut self, budget: Arc<Budget>) {
        self.budget = Some(budget);
    }

    /// The response as JSON, with the permit that it holds.
    pub(crate) fn write(self) -> Written {
        Written { text: self.to_json(), budget: self.budget }
    }

    /// The errors alone, as the WebSocket protocol's `error` message wants them.
    pub(crate) fn to_errors_json(&self) -> String {
        self.count();
        self.errors_json()
    }

    fn errors_json(&self) -> String {
        // The errors of GraphQL can always be written as JSON.
        serde_json::to_string(&self.errors).unwrap_or_default()
    }

    fn count(&self) {
        for code in self.codes() {
            METRICS.count_error(code);
        }
    }
}

/// A response with this error alone.
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

/// At most [`MAX_ERRORS`] of the errors. An error that async-graphql raised has no code yet, and gets `fallback`.
fn with_codes(mut errors: Vec<ServerError>, fallback: &str) -> Vec<ServerError> {
    errors.truncate(MAX_ERRORS);
    for error in errors.iter_mut().filter(|error| code(error).is_none()) {
        set_code(error, fallback);
    }
    errors
}

/// Sets the code of an error.
pub(super) fn set_code(error: &mut ServerError, code: &str) {
    error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("code", code);
}
