//! Decides which responses herald compresses, for clients that accept it.

use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version, header};
use tower_http::compression::predicate::{And, Predicate, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel};

/// The size of the smallest response that herald compresses. A smaller one fits into one packet as it is.
const MIN_COMPRESSED_BYTES: u64 = 1_024;

/// The effort of gzip and Brotli. A higher level takes several times as long and saves a few per cent.
const LEVEL: CompressionLevel = CompressionLevel::Precise(4);

type IsCompressible = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// Compresses responses that are complete at once and carry no token.
pub(in crate::transport) fn layer() -> CompressionLayer<And<SizeAbove, IsCompressible>> {
    let predicate: IsCompressible = |_, _, headers, _| is_compressible(headers);
    CompressionLayer::new().quality(LEVEL).compress_when(SizeAbove::new(MIN_COMPRESSED_BYTES).and(predicate))
}

/// A response that stays open is not compressed, because a compressor holds answers back. Neither is one that carries
/// a token, which comes with its cookie: an attacker can guess a token from the sizes of compressed responses that
/// repeat the request (BREACH, <https://www.breachattack.com>).
fn is_compressible(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    media_type.starts_with(b"application/") && !headers.contains_key(header::SET_COOKIE)
}
