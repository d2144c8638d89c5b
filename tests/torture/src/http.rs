//! One HTTP request on a connection of its own.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What came back.
#[derive(Debug)]
pub(crate) enum Posted {
    /// A whole answer, in JSON.
    Response { status: u16, json: Value },
    /// The connection broke, or nothing came in time.
    Broken(String),
    /// A whole answer that herald should never give.
    Malformed(String),
}

/// Posts a GraphQL request to the loopback address and waits so long for the answer.
pub(crate) async fn post(
    port: u16,
    token: Option<&str>,
    connection: Option<&str>,
    body: &Value,
    patience: Duration,
) -> Posted {
    let mut request = Request::builder()
        .method("POST")
        .uri("/graphql")
        .header("host", format!("127.0.0.1:{port}"))
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .header("connection", "close");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if let Some(connection) = connection {
        request = request.header("x-connection-id", connection);
    }
    let request = match request.body(Full::new(Bytes::from(body.to_string()))) {
        Ok(request) => request,
        Err(error) => return Posted::Malformed(format!("this cannot be sent: {error}")),
    };
    match timeout(patience, exchange(port, request)).await {
        Ok(Ok((status, bytes))) => read(status, &bytes),
        Ok(Err(error)) => Posted::Broken(error),
        Err(_) => Posted::Broken("no answer in time".into()),
    }
}

/// The status with which a path is answered; `None` when nothing comes in time.
pub(crate) async fn status(port: u16, path: &str, patience: Duration) -> Option<u16> {
    let request = Request::builder().uri(path).header("host", "127.0.0.1").header("connection", "close");
    let request = request.body(Full::new(Bytes::new())).ok()?;
    let (status, _) = timeout(patience, exchange(port, request)).await.ok()?.ok()?;
    Some(status.as_u16())
}

async fn exchange(port: u16, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    // The request ends when the answer is read or the time is over.
    let driver = tokio::spawn(connection);
    let answered = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        Ok::<_, hyper::Error>((status, response.into_body().collect().await?.to_bytes()))
    };
    let answer = answered.await.map_err(|error| error.to_string());
    driver.abort();
    answer
}

fn read(status: StatusCode, bytes: &Bytes) -> Posted {
    match serde_json::from_slice(bytes) {
        Ok(json) => Posted::Response { status: status.as_u16(), json },
        // A request that does not reach GraphQL may be answered without a body, for example when its head came too
        // slowly.
        Err(_) if status != StatusCode::OK => Posted::Broken(format!("answered with a bare {status}")),
        Err(error) => {
            let text = String::from_utf8_lossy(bytes);
            Posted::Malformed(format!("an answer with {status} is no JSON ({error}): {text:?}"))
        }
    }
}
