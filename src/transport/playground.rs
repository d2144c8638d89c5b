//! Serves the playground, which is a chat at `/` and GraphiQL at `/graphiql`. Its files are embedded in the binary.

use std::borrow::Cow;
use std::io::Read as _;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::bufread::GzDecoder;
use rust_embed::{Embed, EmbeddedFile};

use super::http::RequestError;
use super::sign_in;
use crate::config::IdentityArgs;

/// The files that Vite builds. A debug build reads them from the folder at each request.
#[derive(Embed)]
#[folder = "playground/dist"]
struct Files;

/// The content security policy of the chat, up to the hosts that it may talk to. The page may load what herald serves;
/// browsers run no inline script and apply no inline style.
const CHAT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'";

/// The content security policy of GraphiQL, whose editor Monaco needs two things more. It writes `style` elements and
/// `style` attributes, and neither a hash nor a nonce covers the latter. It draws the waves under mistakes as `data:`
/// images.
const GRAPHIQL_POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page of a herald that was built without the playground.
const NOT_BUILT_PAGE: &str = "<!doctype html><title>herald</title><p>This herald was built without its playground: \
    install Node.js 20 or later, which brings npm, and run <code>cargo run --release</code> again. \
    GraphQL is at <a href=/graphql>/graphql</a>.";

/// What the playground of this herald is told and allowed.
pub(crate) struct Playground {
    chat_policy: HeaderValue,
    sign_in: Bytes,
}

impl Playground {
    pub(super) fn new(args: &IdentityArgs) -> Self {
        let mut policy = CHAT_POLICY.to_owned();
        if let Some(origin) = sign_in::issuer_origin(args) {
            policy = format!("{policy} {origin}");
        }
        let chat_policy = policy.parse().unwrap_or(HeaderValue::from_static(CHAT_POLICY));
        Self { chat_policy, sign_in: sign_in::document(args) }
    }
}

/// The routes of the playground.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(playground: &Playground) -> Router<S> {
    let Playground { chat_policy, sign_in } = playground;
    let (chat_policy, sign_in) = (chat_policy.clone(), sign_in.clone());
    let graphiql_policy = HeaderValue::from_static(GRAPHIQL_POLICY);
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { page("index.html", chat_policy, &headers) }))
        .route(
            "/graphiql",
            get(|headers: HeaderMap| async move { page("graphiql.html", graphiql_policy, &headers) }),
        )
        .route("/sign-in", get(|| async move { sign_in::answer(sign_in) }))
        .route("/assets/{*file}", get(asset))
}

/// Answers with a page. A browser asks each time whether its copy is current.
fn page(name: &str, policy: HeaderValue, headers: &HeaderMap) -> Response {
    let mut response = match find(name) {
        Some(file) => {
            let tag = etag(&file.embedded);
            let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| *known == tag);
            let mut response =
                if is_known { StatusCode::NOT_MODIFIED.into_response() } else { body(name, file, headers) };
            response.headers_mut().insert(header::ETAG, tag);
            response
        }
        None => Html(NOT_BUILT_PAGE).into_response(),
    };
    let answer = response.headers_mut();
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer.insert(header::CONTENT_SECURITY_POLICY, policy);
    answer.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Answers with an asset of a page. Its name contains a hash of its content, so a browser never asks again.
async fn asset(uri: Uri, headers: HeaderMap) -> Response {
    let name = uri.path().trim_start_matches('/');
    let Some(file) = find(name) else { return RequestError::NotFound.into_response() };
    let mut response = body(name, file, &headers);
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(header::CACHE_CONTROL, forever);
    response
}

/// A file of the playground.
struct File {
    embedded: EmbeddedFile,
    /// Whether it is embedded as gzip. The build puts a `.gz` in the place of each file that is not tiny.
    is_compressed: bool,
}

fn find(name: &str) -> Option<File> {
    match Files::get(&format!("{name}.gz")) {
        Some(embedded) => Some(File { embedded, is_compressed: true }),
        None => Files::get(name).map(|embedded| File { embedded, is_compressed: false }),
    }
}

/// Answers with a file, compressed if the client accepts gzip.
fn body(name: &str, file: File, headers: &HeaderMap) -> Response {
    // `mime_guess` does not know this extension.
    let media_type = if name.ends_with(".graphql") { "text/plain" } else { media_type(name) };
    let File { embedded: EmbeddedFile { data, .. }, is_compressed } = file;
    let sends_gzip = is_compressed && reads_gzip(headers);
    let content = if is_compressed && !sends_gzip { decompress(&data).map(Cow::Owned) } else { Ok(data) };
    let Ok(content) = content else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let mut response = Response::new(Body::from(content));
    let answer = response.headers_mut();
    if sends_gzip {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    answer.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn media_type(name: &str) -> &'static str {
    mime_guess::from_path(name).first_raw().unwrap_or("application/octet-stream")
}

fn decompress(gzip: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut content)?;
    Ok(content)
}

fn reads_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|accepted| accepted.to_str().ok())
        .flat_map(|accepted| accepted.split(','))
        .any(|coding| coding.trim() == "gzip" || coding.trim().starts_with("gzip;"))
}

fn etag(file: &EmbeddedFile) -> HeaderValue {
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&file.metadata.sha256_hash()[..16]));
    tag.parse().unwrap_or(HeaderValue::from_static("\"\""))
}
