//! Reading a request's body: no more than allowed, in no more than the time allowed.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use tokio_stream::StreamExt;

use super::respond::{bad_request, refuse};

/// The whole body, or the answer that refuses it.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    most: usize,
    patience: Duration,
) -> Result<Vec<u8>, Box<Response>> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > most) {
        return Err(Box::new(too_large(most)));
    }
    let whole = async {
        let mut chunks = body.into_data_stream();
        let mut bytes = Vec::with_capacity(announced.unwrap_or(0));
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Box::new(bad_request("The body ended early.")))?;
            if bytes.len() + chunk.len() > most {
                return Err(Box::new(too_large(most)));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    tokio::time::timeout(patience, whole).await.unwrap_or_else(|_| {
        let message = "The body did not arrive in time.";
        Err(Box::new(refuse(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", message)))
    })
}

fn too_large(most: usize) -> Response {
    let message = format!("The body is larger than {most} bytes.");
    refuse(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", message)
}
