//! `GET /log`: the log as CloudEvents over server-sent events, for services.

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tracing::Instrument;

use super::Shared;
use super::caller;
use super::http::{RequestError, accepts_event_stream, last_event_id};
use super::stream::{self, Framing};
use crate::graphql::Cursor;

/// What the URL may say.
#[derive(Debug, Deserialize)]
struct Place {
    after: Option<String>,
}

/// Begins to tell the log after `Last-Event-ID` or else `?after=`, or from now on.
pub(super) async fn get(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    follow(shared, &parts).await.unwrap_or_else(IntoResponse::into_response)
}

async fn follow(shared: Arc<Shared>, parts: &Parts) -> Result<Response, RequestError> {
    if !accepts_event_stream(&parts.headers) {
        return Err(RequestError::NoEventStreamAccepted);
    }
    let Query(Place { after }) = Query::try_from_uri(&parts.uri).map_err(RequestError::UndecodableUrl)?;
    let caller = caller::identify(&shared, &parts.headers, &parts.extensions).await?;
    let after = last_event_id(parts).or(after).filter(|after| !after.is_empty());
    let (prepared, after) = (shared.engine.log().clone(), after.as_deref().map(Cursor::claimed));
    let span = caller::operation_span(&prepared, &caller);
    let beginning = stream::subscribe(shared, Arc::new(caller), &prepared, after, Framing::CloudEvents);
    beginning.instrument(span).await.map_err(RequestError::Log)
}
