//! `POST /delivered`: a push worker says that it delivered what a webhook told of. Its token stands for it, and it needs no
//! session.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::Shared;
use super::http::{RequestError, read_json};
use crate::webhook::{Delivered, mark_delivered};

/// What the body says. More is ignored.
#[derive(Debug, Deserialize)]
struct Said {
    token: String,
}

/// Marks what the token stands for as delivered. To say it again is answered the same.
pub(super) async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    mark(&shared, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn mark(shared: &Shared, request: Request) -> Result<Response, RequestError> {
    if request.method() != Method::POST {
        return Err(RequestError::MethodNotAllowed { allowed: "POST", advice: "Use POST." });
    }
    let Said { token } = read_json(request, &shared.limits, "an object with a `token`").await?;
    let Delivered { conversation, message } = mark_delivered(&shared.engine, &token).await?;
    let answer = json!({ "conversationId": conversation.to_string(), "messageId": message.to_string() });
    Ok(([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response())
}
