//! Reading a request's body: no more than allowed, in no more than the time allowed.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use flate2::bufread::GzDecoder;
use tokio_stream::StreamExt;

use super::intake::Intake;
use super::respond::{bad_request, refuse, too_many};

/// The coding that is understood.
const GZIP: &str = "gzip";

/// The whole body, unpacked, or the answer that refuses it.
pub(super) async fn read(
    parts: &Parts,
    body: Body,
    most: usize,
    patience: Duration,
) -> Result<Vec<u8>, Box<Response>> {
    let headers = &parts.headers;
    let intake = parts.extensions.get::<Arc<Intake>>();
    let is_packed = is_gzip(headers)?;
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
            if intake.is_some_and(|intake| !intake.keep(chunk.len())) {
                return Err(Box::new(too_many("This address has too many bytes of requests under way.")));
            }
            bytes.extend_from_slice(&chunk);
        }
        if let Some(intake) = intake {
            intake.settle();
        }
        Ok(bytes)
    };
    let bytes = tokio::time::timeout(patience, whole).await.unwrap_or_else(|_| {
        let message = "The body did not arrive in time.";
        Err(Box::new(refuse(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", message)))
    })?;
    if is_packed { unpack(&bytes, most) } else { Ok(bytes) }
}

/// Whether the body is packed with gzip; otherwise it is as it is.
fn is_gzip(headers: &HeaderMap) -> Result<bool, Box<Response>> {
    let mut codings = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let coding = value.to_str().map_err(|_| Box::new(unsupported()))?;
        codings.extend(coding.split(',').map(|coding| coding.trim().to_ascii_lowercase()));
    }
    codings.retain(|coding| !coding.is_empty() && coding != "identity");
    match codings.as_slice() {
        [] => Ok(false),
        [only] if only == GZIP || only == "x-gzip" => Ok(true),
        _ => Err(Box::new(unsupported())),
    }
}

/// A few bytes can stand for very many: no more than `most` are unpacked. Only one member is, as every client writes it;
/// thousands of empty ones would be work for nothing.
fn unpack(bytes: &[u8], most: usize) -> Result<Vec<u8>, Box<Response>> {
    let bad = || Box::new(bad_request("The body is not what its content-encoding says: gzip."));
    let mut unpacked = Vec::new();
    let mut gzip = GzDecoder::new(bytes);
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    gzip.by_ref().take(limit).read_to_end(&mut unpacked).map_err(|_| bad())?;
    if unpacked.len() > most {
        return Err(Box::new(too_large(most)));
    }
    if gzip.into_inner().is_empty() { Ok(unpacked) } else { Err(bad()) }
}

fn too_large(most: usize) -> Response {
    let message = format!("The body is larger than {most} bytes.");
    refuse(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", message)
}

fn unsupported() -> Response {
    let message = "Send the body as it is, or with content-encoding: gzip.";
    let mut http = refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message);
    // Which says what would do (RFC 9110, section 12.5.3).
    http.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(GZIP));
    http
}
