//! GraphQL over HTTP (<https://graphql.github.io/graphql-over-http/draft/>): one request, one response.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::Variables;
use async_graphql::parser::types::OperationType;
use axum::extract::{Query, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;

use super::Shared;
use super::body;
use super::caller::caller;
use super::respond::{MediaType, bad_request, not_allowed, refuse, respond};
use crate::config::seconds;

/// The parameters of a request, by POST or by GET.
#[derive(Debug, Deserialize)]
struct Params {
    query: Option<String>,
    #[serde(rename = "operationName")]
    operation_name: Option<String>,
    variables: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(rename = "extensions")]
    _extensions: Option<serde_json::Map<String, serde_json::Value>>,
}

/// What the request's method allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Post,
}

/// Executes a query or a mutation that came as JSON.
pub(super) async fn post(shared: Arc<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if let Err(refusal) = json_only(&parts.headers) {
        return *refusal;
    }
    let limits = &shared.limits;
    let patience = seconds(limits.request_timeout);
    let bytes = match body::read(&parts.headers, body, limits.max_body_bytes, patience).await {
        Ok(bytes) => bytes,
        Err(refusal) => return *refusal,
    };
    match params(&bytes) {
        Ok(params) => execute(&shared, &parts, params, Method::Post).await,
        Err(refusal) => *refusal,
    }
}

/// Executes a query that came in the URL.
pub(super) async fn get(shared: Arc<Shared>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match url_params(&parts.uri) {
        Ok(params) => execute(&shared, &parts, params, Method::Get).await,
        Err(refusal) => *refusal,
    }
}

async fn execute(
    shared: &Shared,
    parts: &axum::http::request::Parts,
    params: Params,
    method: Method,
) -> Response {
    let Some(media_type) = MediaType::negotiate(&parts.headers) else {
        let message = "Accept application/json or application/graphql-response+json.";
        return refuse(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", message);
    };
    let Some(query) = params.query else {
        return bad_request("The request has no `query`.");
    };
    let caller = match caller(shared, &parts.headers, &parts.extensions).await {
        Ok(caller) => Arc::new(caller),
        Err(refusal) => return *refusal,
    };
    let variables = params.variables.map_or_else(Variables::default, |variables| {
        Variables::from_json(serde_json::Value::Object(variables))
    });
    let prepared = match shared.engine.prepare(&query, params.operation_name, variables) {
        Ok(prepared) => prepared,
        Err(refusal) => return respond(media_type, *refusal),
    };
    match prepared.kind {
        OperationType::Subscription => bad_request(
            "Subscriptions are served over WebSocket, subprotocol graphql-transport-ws, on this same path.",
        ),
        OperationType::Mutation if method == Method::Get => {
            not_allowed("POST", "Mutations are executed by POST only.")
        }
        _ => respond(media_type, shared.engine.execute(&prepared, caller).await),
    }
}

/// Only JSON is taken: every other content type can be sent by a foreign page without asking first.
fn json_only(headers: &HeaderMap) -> Result<(), Box<Response>> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.map(|text| text.split(';').next().unwrap_or_default().trim());
    match media_type {
        Some(media_type) if media_type.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(Box::new(bad_request("Send the request as content-type: application/json."))),
    }
}

fn params(bytes: &[u8]) -> Result<Params, Box<Response>> {
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Box::new(bad_request("Batches are not supported: send one operation a request.")));
    }
    // serde_json stops at a depth of 128 by itself.
    serde_json::from_slice(bytes)
        .map_err(|error| Box::new(bad_request(format!("The body is not a GraphQL request: {error}."))))
}

fn url_params(uri: &axum::http::Uri) -> Result<Params, Box<Response>> {
    let bad = |what: &str| Box::new(bad_request(what));
    let Query(mut fields) = Query::<HashMap<String, String>>::try_from_uri(uri)
        .map_err(|_| bad("The query string cannot be decoded."))?;
    let mut object = |name: &str| -> Result<_, Box<Response>> {
        fields
            .remove(name)
            .filter(|text| !text.is_empty())
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| bad(&format!("`{name}` is not a JSON object: {error}.")))
    };
    Ok(Params {
        variables: object("variables")?,
        _extensions: object("extensions")?,
        query: fields.remove("query"),
        operation_name: fields.remove("operationName").filter(|name| !name.is_empty()),
    })
}
