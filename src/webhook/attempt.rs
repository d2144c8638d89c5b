//! One attempt at a call: a signed POST, and what its answer means. It follows no redirect, reads little of an answer, and
//! ends after a while whatever the receiver does.

use std::io;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::address::Resolver;
use super::signature::Secrets;
use super::url::WebhookUrl;
use crate::messaging::Timestamp;
use crate::trouble::causes;

/// The time after which an attempt has failed.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes of an answer that are read. Nothing in it matters: a longer one is that of something else.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// What herald says that it is.
const USER_AGENT: &str = concat!("herald/", env!("CARGO_PKG_VERSION"));

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver has accepted the call.
    Accepted,
    /// It has not: why, and how long it asks to wait.
    Failed(String, Option<Duration>),
    /// The receiver wants no calls any more (410).
    Gone,
}

/// What is said in a call.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// Names the call for ever: a repeat has the same.
    pub(super) id: String,
    /// The body, in JSON.
    pub(super) body: Bytes,
}

/// A client for calls. A clone shares its connections.
#[derive(Debug, Clone)]
pub(super) struct Client {
    https: legacy::Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    allow_private: bool,
}

impl Client {
    /// A client that believes the certificate authorities of the system.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn new(allow_private: bool) -> io::Result<Self> {
        let mut http = HttpConnector::new_with_resolver(Resolver { allow_private });
        http.enforce_http(false);
        http.set_connect_timeout(Some(TIMEOUT / 2));
        let https = HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1();
        let https = legacy::Client::builder(TokioExecutor::new()).build(https.wrap_connector(http));
        Ok(Self { https, allow_private })
    }

    /// Makes a call, at this time.
    pub(super) async fn call(
        &self,
        url: &WebhookUrl,
        secrets: &Secrets,
        message: &Message,
        now: Timestamp,
    ) -> Outcome {
        // An address in the URL is not resolved, so the resolver does not see it.
        if let Err(reason) = url.check(self.allow_private) {
            return Outcome::Failed(reason, None);
        }
        let attempt = self.post(url, secrets, message, now);
        let seconds = TIMEOUT.as_secs();
        let late = |_| Outcome::Failed(format!("no answer within {seconds} s"), None);
        tokio::time::timeout(TIMEOUT, attempt).await.unwrap_or_else(late)
    }

    async fn post(&self, url: &WebhookUrl, secrets: &Secrets, message: &Message, now: Timestamp) -> Outcome {
        let timestamp = now.0.div_euclid(1_000_000);
        let request = Request::post(url.uri())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, USER_AGENT)
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", secrets.sign(&message.id, timestamp, &message.body))
            .body(Full::new(message.body.clone()));
        let request = match request {
            Ok(request) => request,
            Err(error) => return Outcome::Failed(error.to_string(), None),
        };
        let answer = match self.https.request(request).await {
            Ok(answer) => answer,
            Err(error) => return Outcome::Failed(causes(&error), None),
        };
        let status = answer.status();
        if status == StatusCode::GONE {
            return Outcome::Gone;
        }
        if status.is_redirection() {
            return Outcome::Failed(format!("the answer is {status}: redirects are not followed"), None);
        }
        if !status.is_success() {
            let asked = retry_after(answer.headers(), now);
            return Outcome::Failed(format!("the answer is {status}"), asked);
        }
        match Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await {
            Ok(_) => Outcome::Accepted,
            Err(error) if error.is::<LengthLimitError>() => {
                let reason =
                    format!("the answer has more than {MAX_ANSWER_BYTES} bytes: is it that of a web page?");
                Outcome::Failed(reason, None)
            }
            Err(error) => Outcome::Failed(causes(&*error), None),
        }
    }
}

/// How long the receiver asks to wait: in seconds, or until a time
/// (<https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_microsecond();
    Some(Duration::from_micros(u64::try_from(until.saturating_sub(now.0)).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use tokio::net::TcpListener;

    use super::*;
    use crate::webhook::Secret;

    #[test]
    fn a_time_to_wait_is_read_in_both_forms() {
        let now = Timestamp(784_111_777_000_000);
        let read = |text: &'static str| {
            let headers = [(header::RETRY_AFTER, HeaderValue::from_static(text))].into_iter().collect();
            retry_after(&headers, now)
        };
        assert_eq!(read("120"), Some(Duration::from_mins(2)));
        assert_eq!(read("Sun, 06 Nov 1994 08:51:37 GMT"), Some(Duration::from_mins(2)));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    /// Calls a server that accepts connections and never answers.
    async fn call_silent(allow_private: bool, host: &str) -> (Outcome, TcpListener) {
        let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://{host}:{}/", silent.local_addr().unwrap().port());
        let secrets = Secrets::new(vec![Secret::draw()]).unwrap();
        let message = Message { id: "id".into(), body: Bytes::new() };
        let client = Client::new(allow_private).unwrap();
        (client.call(&url.parse().unwrap(), &secrets, &message, Timestamp(0)).await, silent)
    }

    // With the time paused, it moves on as soon as everything waits.
    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_never_answers_is_not_waited_for() {
        let (outcome, _silent) = call_silent(true, "127.0.0.1").await;
        assert!(matches!(outcome, Outcome::Failed(_, None)), "{outcome:?}");
    }

    #[tokio::test]
    async fn no_connection_is_made_to_a_private_address_by_whatever_name() {
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
            let (outcome, silent) = call_silent(false, host).await;
            let Outcome::Failed(reason, None) = outcome else { panic!("{outcome:?}") };
            assert!(reason.contains("--webhook-allow-private"), "{host}: {reason}");
            let accepted = tokio::time::timeout(Duration::ZERO, silent.accept()).await;
            assert!(accepted.is_err(), "{host} was connected to");
        }
    }
}
