//! Which answers are compressed, for clients that accept it.

use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version, header};
use tower_http::compression::predicate::{And, Predicate, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel};

/// Bytes of the shortest answer that is compressed. One that is shorter fits into one packet as it is.
const SHORTEST: u64 = 1_024;

/// How hard gzip and Brotli try. Beyond this they take several times as long for a few per cent.
const LEVEL: CompressionLevel = CompressionLevel::Precise(4);

type Wanted = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// Compresses answers that are complete at once and carry no token.
pub(super) fn layer() -> CompressionLayer<And<SizeAbove, Wanted>> {
    let wanted: Wanted = |_, _, headers, _| is_wanted(headers);
    CompressionLayer::new().quality(LEVEL).compress_when(SizeAbove::new(SHORTEST).and(wanted))
}

/// A response that stays open is left as it is: what is compressed is gathered first. So is one that carries a token,
/// which comes with its cookie: from the sizes of answers that repeat what was asked, a token beside it can be guessed
/// (BREACH, <https://www.breachattack.com>).
fn is_wanted(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    media_type.starts_with(b"application/") && !headers.contains_key(header::SET_COOKIE)
}
