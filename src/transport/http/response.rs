//! Responses that are complete at once: JSON in the shape of a GraphQL response, whatever went wrong.

use std::mem;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::accept::MediaType;
use crate::graphql::{self, BAD_REQUEST, LIMIT_EXCEEDED};

/// The code with which herald asks for a document that it knows by its hash alone.
const PERSISTED_QUERY_NOT_FOUND: &str = "PERSISTED_QUERY_NOT_FOUND";

/// Writes the result of an operation.
pub(super) fn respond(media_type: MediaType, mut result: graphql::Response) -> Response {
    let headers = mem::take(&mut result.http_headers);
    let status = status(media_type, &result);
    let mut response = Response::new(Body::from(Bytes::from_owner(result.write())));
    *response.status_mut() = status;
    response.headers_mut().extend(headers);
    as_json(response, media_type)
}

fn status(media_type: MediaType, result: &graphql::Response) -> StatusCode {
    if !result.is_refusal() {
        return StatusCode::OK;
    }
    match result.codes().next() {
        // Apollo Server answers so too: clients that read no other answer then send the document.
        Some(PERSISTED_QUERY_NOT_FOUND) => StatusCode::OK,
        Some("UNAVAILABLE") => StatusCode::SERVICE_UNAVAILABLE,
        Some(BAD_REQUEST | LIMIT_EXCEEDED) => StatusCode::BAD_REQUEST,
        _ if media_type == MediaType::GraphqlResponse => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

/// Adds the headers of a JSON response. A response belongs to one viewer at one moment, so nobody may store it.
pub(super) fn as_json(mut response: Response, media_type: MediaType) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
