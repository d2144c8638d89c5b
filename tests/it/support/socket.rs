//! A WebSocket with the `graphql-transport-ws` protocol, message by message.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{self, Message};

/// How long a test waits for what must come, before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a socket was closed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

pub(crate) struct Socket {
    pub(crate) stream: WebSocketStream<TcpStream>,
    /// The place in the log at which it was acknowledged.
    pub(crate) cursor: String,
}

impl Socket {
    /// Connects with the subprotocol and these headers.
    pub(crate) async fn connect(
        address: SocketAddr,
        headers: &[(&str, &str)],
    ) -> Result<Self, tungstenite::Error> {
        Self::connect_as(address, Some("graphql-transport-ws"), headers).await
    }

    /// Connects with any subprotocol, or none.
    pub(crate) async fn connect_as(
        address: SocketAddr,
        subprotocol: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Result<Self, tungstenite::Error> {
        let mut request = format!("ws://{address}/graphql").into_client_request()?;
        let protocol = subprotocol.map(|subprotocol| ("sec-websocket-protocol", subprotocol));
        for (name, value) in headers.iter().copied().chain(protocol) {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
        let tcp = TcpStream::connect(address).await.unwrap();
        let (stream, _) = tokio_tungstenite::client_async(request, tcp).await?;
        Ok(Self { stream, cursor: String::new() })
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.stream.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next message of the protocol; WebSocket's own pings are passed over.
    pub(crate) async fn receive(&mut self) -> Value {
        loop {
            match self.frame().await {
                Some(Message::Text(text)) => return serde_json::from_str(&text).unwrap(),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("expected a message, got {other:?}"),
            }
        }
    }

    /// The next frame, whatever it is.
    pub(crate) async fn frame(&mut self) -> Option<Message> {
        let frame = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("a frame in time");
        frame.map(Result::unwrap)
    }

    /// Waits until the server closes, whatever else it still says.
    pub(crate) async fn closed(&mut self) -> Closed {
        loop {
            match self.frame().await {
                Some(Message::Close(Some(frame))) => {
                    return Closed { code: frame.code.into(), reason: frame.reason.to_string() };
                }
                Some(Message::Close(None)) | None => panic!("closed without a code"),
                Some(_) => {}
            }
        }
    }

    /// Asks for an operation.
    pub(crate) async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.send(json!({ "id": id, "type": "subscribe", "payload": payload })).await;
    }

    /// Follows a subscription that takes `$after`, from the place at which the socket was acknowledged: whatever
    /// a test causes from then on arrives, however late the server gets to begin.
    pub(crate) async fn follow(&mut self, id: &str, query: &str) {
        self.follow_after(id, query, &self.cursor.clone()).await;
    }

    /// Follows a subscription that takes `$after` from the given cursor.
    pub(crate) async fn follow_after(&mut self, id: &str, query: &str, after: &str) {
        self.subscribe(id, query, json!({ "after": after })).await;
    }

    /// The data of the next answer to the operation `id`, which must be the next message of all.
    pub(crate) async fn next(&mut self, id: &str) -> Value {
        let mut message = self.receive().await;
        assert_eq!((&message["id"], &message["type"]), (&json!(id), &json!("next")), "{message}");
        assert!(message["payload"].get("errors").is_none(), "{message}");
        message["payload"]["data"].take()
    }

    /// The code with which the operation `id` is refused.
    pub(crate) async fn refused(&mut self, id: &str) -> String {
        let message = self.receive().await;
        assert_eq!((&message["id"], &message["type"]), (&json!(id), &json!("error")), "{message}");
        message["payload"][0]["extensions"]["code"].as_str().unwrap().to_owned()
    }

    /// The completion of the operation `id`, which must be the next message of all.
    pub(crate) async fn completed(&mut self, id: &str) {
        let message = self.receive().await;
        assert_eq!(message, json!({ "id": id, "type": "complete" }));
    }
}
