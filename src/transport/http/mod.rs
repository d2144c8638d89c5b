//! GraphQL over HTTP (<https://graphql.github.io/graphql-over-http/draft/>): a request has one response. The response
//! to a subscription stays open; [`super::stream`] writes it.

mod accept;
mod body;
mod compression;
mod error;
mod request;
mod response;

use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use tracing::Instrument;

pub(super) use self::accept::accepts_event_stream;
pub(super) use self::compression::layer as compression;
pub(super) use self::error::RequestError;
pub(super) use self::request::last_event_id;

use self::accept::{Accepted, MediaType};
use super::Shared;
use super::caller;
use super::stream::{self, Framing};
use crate::config::Limits;
use crate::graphql::{self, Caller, Cursor, Params, Prepared};

/// The method of a request. A GET never changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Post,
}

/// Executes the operation in the body of a POST.
pub(super) async fn post(shared: Arc<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let answering = async {
        request::require_json(&parts.headers)?;
        let bytes = body::read(&parts, body, &shared.limits).await?;
        execute(&shared, &parts, request::body_params(&bytes)?, Method::Post).await
    };
    answering.await.unwrap_or_else(|error| refuse(&parts, error))
}

/// Executes the query or the subscription in the URL of a GET.
pub(super) async fn get(shared: Arc<Shared>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let answering = async { execute(&shared, &parts, request::url_params(&parts.uri)?, Method::Get).await };
    answering.await.unwrap_or_else(|error| refuse(&parts, error))
}

/// Reads the JSON of a request that is not of GraphQL. `wanted` says what it must be.
pub(super) async fn read_json<T: DeserializeOwned>(
    request: Request,
    limits: &Limits,
    wanted: &'static str,
) -> Result<T, RequestError> {
    let (parts, body) = request.into_parts();
    request::require_json(&parts.headers)?;
    let bytes = body::read(&parts, body, limits).await?;
    serde_json::from_slice(&bytes).map_err(|source| RequestError::OtherJson { wanted, source })
}

/// Writes a refusal in the media type that the client prefers, because some clients read no other.
fn refuse(parts: &Parts, error: RequestError) -> Response {
    error.respond(Accepted::of(&parts.headers).response.unwrap_or(MediaType::Json))
}

async fn execute(
    shared: &Arc<Shared>,
    parts: &Parts,
    params: Params,
    method: Method,
) -> Result<Response, RequestError> {
    let accepted = Accepted::of(&parts.headers);
    let form = ResponseForm::of(accepted).ok_or(RequestError::NotAcceptable)?;
    if !params.names_a_document() {
        return Err(RequestError::NoDocument);
    }
    let last_event_id = last_event_id(parts);
    if method == Method::Get && last_event_id.as_deref() == Some(stream::COMPLETE) {
        // This answer keeps an `EventSource` from connecting again.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let caller = Arc::new(operation_caller(shared, parts, &params).await?);
    let prepared = match shared.engine.prepare(params, caller.owner()) {
        Ok(prepared) => prepared,
        Err(refusal) => return Ok(form.write(*refusal)),
    };
    let span = caller::operation_span(&prepared, &caller);
    let answering = async {
        match prepared.kind {
            OperationType::Subscription => {
                let framing = accepted.stream.ok_or(RequestError::NoStreamAccepted)?;
                let resume = last_event_id.as_deref().map(Cursor::claimed);
                Ok(subscribe(shared, caller, &prepared, resume, framing, form).await)
            }
            OperationType::Mutation if method == Method::Get => Err(RequestError::MutationByGet),
            OperationType::Mutation | OperationType::Query => {
                Ok(form.write(shared.engine.execute(&prepared, caller).await))
            }
        }
    };
    answering.instrument(span).await
}

/// Finds out who calls. The connection id in the operation's extensions wins over the one in the header.
async fn operation_caller(shared: &Shared, parts: &Parts, params: &Params) -> Result<Caller, RequestError> {
    let mut caller = caller::identify(shared, &parts.headers, &parts.extensions).await?;
    if let Some(id) = params.connection_id() {
        caller.connection = Some(caller::connection_id(id, "`extensions.connectionId`")?);
    }
    caller.trace = params.trace();
    Ok(caller)
}

async fn subscribe(
    shared: &Arc<Shared>,
    caller: Arc<Caller>,
    prepared: &Prepared,
    resume: Option<Cursor>,
    framing: Framing,
    form: ResponseForm,
) -> Response {
    match stream::subscribe(Arc::clone(shared), caller, prepared, resume, framing).await {
        Ok(open) => open,
        Err(refusal) if framing == Framing::EventStream => stream::refusal(*refusal),
        Err(refusal) => form.write(*refusal),
    }
}

/// The form of a response that is complete at once.
#[derive(Debug, Clone, Copy)]
enum ResponseForm {
    Json(MediaType),
    EventStream,
}

impl ResponseForm {
    fn of(accepted: Accepted) -> Option<Self> {
        match (accepted.response, accepted.stream) {
            (Some(media_type), _) => Some(Self::Json(media_type)),
            (None, Some(Framing::EventStream | Framing::CloudEvents)) => Some(Self::EventStream),
            // Apollo Client takes an answer that is not in parts for the only one.
            (None, Some(Framing::Multipart)) => Some(Self::Json(MediaType::Json)),
            (None, None) => None,
        }
    }

    fn write(self, result: graphql::Response) -> Response {
        match self {
            Self::Json(media_type) => response::respond(media_type, result),
            Self::EventStream => stream::complete_response(result),
        }
    }
}
