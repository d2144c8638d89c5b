//! What herald itself asks for over HTTP. What never lives here: what it is for, and calls to webhooks.

use std::io;
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use thiserror::Error;

/// The time after which an answer is no longer waited for.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The most bytes of an answer that are read.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum FetchError {
    /// There is no connection, or it broke.
    #[error("no answer")]
    Connect(#[source] hyper_util::client::legacy::Error),
    /// The answer broke off.
    #[error("the answer broke off")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer does not end.
    #[error("the answer has more than {MAX_ANSWER_BYTES} bytes")]
    TooLong,
    /// It took too long.
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    TimedOut,
    /// The answer is a refusal, or leads elsewhere.
    #[error("the answer is {0}")]
    Status(StatusCode),
}

/// A client for HTTP and HTTPS. It follows no redirect, because whoever configures herald says where it is to ask.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl HttpClient {
    /// A client that believes the certificate authorities of the system.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn new() -> io::Result<Self> {
        let connector = HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector.build())))
    }

    /// Fetches what is at this URL.
    pub(crate) async fn get(&self, url: Uri) -> Result<Bytes, FetchError> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = url;
        self.send(request).await
    }

    /// Sends a request, and returns the body of the answer.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<Bytes, FetchError> {
        let fetch = async {
            let answer = self.0.request(request.map(Full::new)).await.map_err(FetchError::Connect)?;
            if !answer.status().is_success() {
                return Err(FetchError::Status(answer.status()));
            }
            let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
            body.map(http_body_util::Collected::to_bytes).map_err(|error| {
                if error.is::<LengthLimitError>() { FetchError::TooLong } else { FetchError::Read(error) }
            })
        };
        tokio::time::timeout(TIMEOUT, fetch).await.unwrap_or(Err(FetchError::TimedOut))
    }
}
