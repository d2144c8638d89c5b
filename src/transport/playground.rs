//! The playground: a chat at `/` and GraphiQL at `/graphiql`, from the files that are embedded in the binary.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rust_embed::{Embed, EmbeddedFile};

use super::nowhere;

/// What Vite built; a debug build reads the folder when it is asked.
#[derive(Embed)]
#[folder = "playground/dist"]
struct Files;

/// What the chat may load: what is served here. Nothing that is written into the page is run or applied.
const CHAT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The same for GraphiQL, which needs two things more. Monaco, its editor, writes its theme into `style` elements and
/// draws each line with `style` attributes, which neither a hash nor a nonce would cover; and it draws the waves under
/// what is wrong as `data:` images.
const GRAPHIQL_POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Said instead, where herald was built without it.
const MISSING: &str = "<!doctype html><title>herald</title><p>This herald was built without its playground: \
    install Node.js 20 or later, which brings npm, and run <code>cargo run --release</code> again. \
    GraphQL is at <a href=/graphql>/graphql</a>.";

/// The paths of the playground.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { page("index.html", CHAT_POLICY, &headers) }))
        .route(
            "/graphiql",
            get(|headers: HeaderMap| async move { page("graphiql.html", GRAPHIQL_POLICY, &headers) }),
        )
        .route("/assets/{*file}", get(asset))
}

/// A page. A browser asks each time whether it is still the same.
fn page(name: &str, policy: &'static str, headers: &HeaderMap) -> Response {
    let mut response = match Files::get(name) {
        Some(file) => {
            let tag = etag(&file);
            let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| *known == tag);
            let mut response =
                if is_known { StatusCode::NOT_MODIFIED.into_response() } else { body(name, file, headers) };
            response.headers_mut().insert(header::ETAG, tag);
            response
        }
        None => Html(MISSING).into_response(),
    };
    let answer = response.headers_mut();
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    answer.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// A part of a page. Its name changes with what is in it, so a browser never needs to ask again.
async fn asset(uri: Uri, headers: HeaderMap) -> Response {
    let name = uri.path().trim_start_matches('/');
    let Some(file) = Files::get(name) else { return nowhere().await };
    let mut response = body(name, file, &headers);
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(header::CACHE_CONTROL, forever);
    response
}

/// A file, compressed where the client can read it so.
fn body(name: &str, file: EmbeddedFile, headers: &HeaderMap) -> Response {
    // The schema's is not among those that are known.
    let media_type = if name.ends_with(".graphql") { "text/plain" } else { file.metadata.mimetype() };
    let media_type = media_type.parse().unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let reads_gzip = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|accepted| accepted.to_str().ok())
        .flat_map(|accepted| accepted.split(','))
        .any(|coding| coding.trim() == "gzip" || coding.trim().starts_with("gzip;"));
    let compressed = if reads_gzip { Files::get(&format!("{name}.gz")) } else { None };
    let is_compressed = compressed.is_some();
    let mut response = Response::new(Body::from(compressed.unwrap_or(file).data));
    let answer = response.headers_mut();
    if is_compressed {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer.insert(header::CONTENT_TYPE, media_type);
    answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    answer.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn etag(file: &EmbeddedFile) -> HeaderValue {
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&file.metadata.sha256_hash()[..16]));
    tag.parse().unwrap_or(HeaderValue::from_static("\"\""))
}
