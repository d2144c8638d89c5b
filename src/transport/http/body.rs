//! Reads the body of a request: at most as many bytes, and for at most as long, as the limits allow.

use std::io::{self, Read};
use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use flate2::bufread::GzDecoder;
use tokio_stream::StreamExt;

use super::error::RequestError;
use crate::config::{Limits, seconds};
use crate::transport::listener::Intake;

/// Reads the whole body and decompresses it.
pub(super) async fn read(parts: &Parts, body: Body, limits: &Limits) -> Result<Vec<u8>, RequestError> {
    let max_bytes = limits.max_body_bytes;
    let is_compressed = is_gzip(&parts.headers)?;
    let reading = receive(parts, body, max_bytes);
    let received = tokio::time::timeout(seconds(limits.request_timeout), reading).await;
    let bytes = received.map_err(RequestError::BodyTooSlow)??;
    if is_compressed { decompress(&bytes, max_bytes) } else { Ok(bytes) }
}

/// Receives the body, and counts its bytes on the address's account until the body is complete.
async fn receive(parts: &Parts, body: Body, max_bytes: usize) -> Result<Vec<u8>, RequestError> {
    let intake = parts.extensions.get::<Arc<Intake>>();
    let announced = content_length(&parts.headers);
    if announced.is_some_and(|length| length > max_bytes) {
        return Err(RequestError::BodyTooLarge { max_bytes });
    }
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::with_capacity(announced.unwrap_or(0));
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(RequestError::BodyEndedEarly)?;
        if bytes.len() + chunk.len() > max_bytes {
            return Err(RequestError::BodyTooLarge { max_bytes });
        }
        if intake.is_some_and(|intake| !intake.add(chunk.len())) {
            return Err(RequestError::TooManyUnfinishedBytes);
        }
        bytes.extend_from_slice(&chunk);
    }
    if let Some(intake) = intake {
        intake.settle();
    }
    Ok(bytes)
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Tells whether the body is compressed with gzip, which is the only coding that herald reads.
fn is_gzip(headers: &HeaderMap) -> Result<bool, RequestError> {
    let mut codings = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let Ok(text) = value.to_str() else { return Err(RequestError::UnsupportedCoding) };
        codings.extend(text.split(',').map(|coding| coding.trim().to_ascii_lowercase()));
    }
    codings.retain(|coding| !coding.is_empty() && coding != "identity");
    match codings.as_slice() {
        [] => Ok(false),
        [only] if only == "gzip" || only == "x-gzip" => Ok(true),
        _ => Err(RequestError::UnsupportedCoding),
    }
}

/// Decompresses at most `max_bytes`, because a few compressed bytes can stand for very many. It reads one gzip member
/// only, as every client writes it: thousands of empty members would cost time for nothing.
fn decompress(bytes: &[u8], max_bytes: usize) -> Result<Vec<u8>, RequestError> {
    let mut decompressed = Vec::new();
    let mut gzip = GzDecoder::new(bytes);
    let one_too_many = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    gzip.by_ref().take(one_too_many).read_to_end(&mut decompressed).map_err(RequestError::NotGzip)?;
    if decompressed.len() > max_bytes {
        return Err(RequestError::BodyTooLarge { max_bytes });
    }
    if !gzip.into_inner().is_empty() {
        return Err(RequestError::NotGzip(io::Error::other("further bytes follow the first member")));
    }
    Ok(decompressed)
}
