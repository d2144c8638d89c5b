//! GraphQL over HTTP (<https://graphql.github.io/graphql-over-http/draft/>): one request, one response; for a
//! subscription, one that stays open.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use axum::extract::{Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::body;
use super::caller::{caller, connection};
use super::framing::{COMPLETE, Framing};
use super::respond::{Accepted, MediaType, bad_request, not_allowed, refuse, respond};
use super::stream;
use crate::config::seconds;
use crate::graphql::{self, Cursor, Params};

/// The header in which an `EventSource` that connects again says what it has got.
const LAST_EVENT_ID: &str = "last-event-id";

/// The parameter of the URL in which one that cannot send headers says it (event-source-polyfill).
const LAST_EVENT_ID_PARAMETER: &str = "lastEventId";

/// What the request's method allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Post,
}

/// Executes an operation that came as JSON.
pub(super) async fn post(shared: Arc<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let answered = async {
        json_only(&parts.headers)?;
        let limits = &shared.limits;
        let patience = seconds(limits.request_timeout);
        let bytes = body::read(&parts, body, limits.max_body_bytes, patience).await?;
        execute(&shared, &parts, params(&bytes)?, Method::Post).await
    };
    answered.await.unwrap_or_else(|refusal| refused(&parts, *refusal))
}

/// Executes a query or a subscription that came in the URL.
pub(super) async fn get(shared: Arc<Shared>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let answered = async { execute(&shared, &parts, url_params(&parts.uri)?, Method::Get).await };
    answered.await.unwrap_or_else(|refusal| refused(&parts, *refusal))
}

/// A refusal, in the media type that the client prefers: some only look into the one that GraphQL has to itself.
fn refused(parts: &Parts, mut refusal: Response) -> Response {
    if let Some(media_type) = Accepted::by(&parts.headers).response {
        refusal.headers_mut().insert(header::CONTENT_TYPE, media_type.header());
    }
    refusal
}

async fn execute(
    shared: &Arc<Shared>,
    parts: &Parts,
    params: Params,
    method: Method,
) -> Result<Response, Box<Response>> {
    let accepted = Accepted::by(&parts.headers);
    let form = Form::of(accepted).ok_or_else(|| Box::new(not_acceptable()))?;
    if !params.names_a_document() {
        return Err(Box::new(bad_request("The request has no `query`.")));
    }
    let last_event_id = last_event_id(parts);
    if last_event_id.as_deref() == Some(COMPLETE) && method == Method::Get {
        // Tells an `EventSource` that there is nothing to connect again for.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let mut caller = caller(shared, &parts.headers, &parts.extensions).await?;
    if let Some(id) = params.connection_id() {
        caller.connection = Some(connection(id, "`extensions.connectionId`")?);
    }
    let caller = Arc::new(caller);
    let prepared = match shared.engine.prepare(params) {
        Ok(prepared) => prepared,
        Err(refusal) => return Ok(form.write(*refusal)),
    };
    match (prepared.kind, accepted.stream) {
        (OperationType::Subscription, Some(framing)) => {
            let resume = last_event_id.as_deref().map(Cursor::claimed);
            Ok(match stream::follow(Arc::clone(shared), caller, &prepared, resume, framing).await {
                Ok(open) => open,
                Err(refusal) if framing == Framing::EventStream => stream::refusal(*refusal),
                Err(refusal) => form.write(*refusal),
            })
        }
        (OperationType::Subscription, None) => Err(Box::new(bad_request(
            "Subscribe over WebSocket, subprotocol graphql-transport-ws, or accept text/event-stream, or \
             multipart/mixed;subscriptionSpec=1.0.",
        ))),
        (OperationType::Mutation, _) if method == Method::Get => {
            Err(Box::new(not_allowed("POST", "Mutations are executed by POST only.")))
        }
        _ => Ok(form.write(shared.engine.execute(&prepared, caller).await)),
    }
}

/// What an `EventSource` that connects again has got. The header counts before the URL, which the page that opened
/// the source may have written long before.
fn last_event_id(parts: &Parts) -> Option<String> {
    let header = parts.headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty());
    if let Some(id) = header {
        return Some(id.to_str().unwrap_or_default().to_owned());
    }
    let Query(mut fields) = Query::<HashMap<String, String>>::try_from_uri(&parts.uri).ok()?;
    fields.remove(LAST_EVENT_ID_PARAMETER).filter(|id| !id.is_empty())
}

/// The form of an answer that is complete at once.
#[derive(Debug, Clone, Copy)]
enum Form {
    Json(MediaType),
    Events,
}

impl Form {
    fn of(accepted: Accepted) -> Option<Self> {
        match (accepted.response, accepted.stream) {
            (Some(media_type), _) => Some(Self::Json(media_type)),
            (None, Some(Framing::EventStream)) => Some(Self::Events),
            // Apollo Client reads an answer that is not in parts as the only one.
            (None, Some(Framing::Multipart)) => Some(Self::Json(MediaType::Json)),
            (None, None) => None,
        }
    }

    fn write(self, response: graphql::Response) -> Response {
        match self {
            Self::Json(media_type) => respond(media_type, response),
            Self::Events => stream::answer(response),
        }
    }
}

fn not_acceptable() -> Response {
    let message = "Accept application/json or application/graphql-response+json; text/event-stream or \
         multipart/mixed;subscriptionSpec=1.0 for a subscription.";
    refuse(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", message)
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
    let text = std::str::from_utf8(bytes).map_err(|_| Box::new(bad_request("The body is not UTF-8.")))?;
    if text.trim_start_matches('\u{feff}').trim_start().starts_with('[') {
        return Err(Box::new(bad_request("Batches are not supported: send one operation a request.")));
    }
    Params::read(text)
        .map_err(|reason| Box::new(bad_request(format!("The body is not a GraphQL request: {reason}."))))
}

fn url_params(uri: &Uri) -> Result<Params, Box<Response>> {
    let Query(mut fields) = Query::<HashMap<String, String>>::try_from_uri(uri)
        .map_err(|_| Box::new(bad_request("The query string cannot be decoded.")))?;
    let mut text = |name: &str| fields.remove(name).filter(|text| !text.is_empty());
    let (variables, extensions) = (text("variables"), text("extensions"));
    let params = Params {
        document_id: text("documentId"),
        operation_name: text("operationName"),
        query: fields.remove("query"),
        ..Params::default()
    };
    let params = params.with_json(variables.as_deref(), extensions.as_deref());
    params.map_err(|reason| Box::new(bad_request(format!("The URL is not a GraphQL request: {reason}."))))
}
