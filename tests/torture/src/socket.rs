//! A client's WebSocket with the `graphql-transport-ws` protocol.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};

/// How long a socket may take from being asked for to being acknowledged.
const OPENING: Duration = Duration::from_secs(4);

/// The id of the one operation on a socket.
const OPERATION: &str = "1";

/// An acknowledged socket.
pub(crate) struct Socket {
    stream: WebSocketStream<TcpStream>,
    /// The place in the log at which it was acknowledged.
    pub(crate) cursor: String,
}

/// What is heard on a socket.
#[derive(Debug)]
pub(crate) enum Heard {
    /// An answer to the subscription.
    Next(Value),
    /// The subscription was refused.
    Refused(Value),
    /// There is nothing more to come of the subscription.
    Complete,
    /// A sign of life.
    Alive,
    /// herald closed it, with a code if it said one.
    Closed(Option<u16>, String),
    /// It broke.
    Lost(String),
    /// Something that the protocol does not have.
    Strange(String),
}

impl Socket {
    /// Opens a socket and has it acknowledged. The error is what was heard instead.
    pub(crate) async fn open(port: u16, token: &str, connection: &str) -> Result<Self, Heard> {
        match timeout(OPENING, Self::connect(port, token, connection)).await {
            Ok(opened) => opened,
            Err(_) => Err(Heard::Lost("not acknowledged in time".into())),
        }
    }

    async fn connect(port: u16, token: &str, connection: &str) -> Result<Self, Heard> {
        let tcp = TcpStream::connect(("127.0.0.1", port)).await;
        let tcp = tcp.map_err(|error| Heard::Lost(error.to_string()))?;
        let mut request =
            format!("ws://127.0.0.1:{port}/graphql").into_client_request().map_err(|error| lost(&error))?;
        let protocol = HeaderValue::from_static("graphql-transport-ws");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let (stream, _) =
            tokio_tungstenite::client_async(request, tcp).await.map_err(|error| lost(&error))?;
        let mut socket = Self { stream, cursor: String::new() };
        let authorization = format!("Bearer {token}");
        let payload = json!({ "authorization": authorization, "connectionId": connection });
        socket.say(&json!({ "type": "connection_init", "payload": payload })).await?;
        loop {
            let Some(message) = socket.message().await? else { continue };
            let payload = &message["payload"];
            return match (message["type"].as_str(), payload["cursor"].as_str()) {
                (Some("connection_ack"), Some(cursor)) if payload["connectionId"] == connection => {
                    cursor.clone_into(&mut socket.cursor);
                    Ok(socket)
                }
                _ => Err(Heard::Strange(format!("instead of connection_ack: {message}"))),
            };
        }
    }

    /// Subscribes. There is one subscription on a socket.
    pub(crate) async fn subscribe(&mut self, query: &str, variables: &Value) -> Result<(), Heard> {
        let payload = json!({ "query": query, "variables": variables });
        self.say(&json!({ "id": OPERATION, "type": "subscribe", "payload": payload })).await
    }

    /// What is heard next. May be dropped and called again.
    pub(crate) async fn hear(&mut self) -> Heard {
        let mut message = match self.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return Heard::Alive,
            Err(heard) => return heard,
        };
        if message["id"] != OPERATION {
            return Heard::Strange(format!("not of this operation: {message}"));
        }
        match message["type"].as_str() {
            Some("next") => Heard::Next(message["payload"].take()),
            Some("error") => Heard::Refused(message["payload"].take()),
            Some("complete") => Heard::Complete,
            _ => Heard::Strange(format!("no message of the protocol: {message}")),
        }
    }

    async fn say(&mut self, message: &Value) -> Result<(), Heard> {
        self.stream.send(Message::text(message.to_string())).await.map_err(|error| lost(&error))
    }

    /// The next message of the protocol; `None` for a ping, which is answered by itself.
    async fn message(&mut self) -> Result<Option<Value>, Heard> {
        match self.stream.next().await {
            Some(Ok(Message::Text(text))) => match serde_json::from_str(text.as_str()) {
                Ok(message) => Ok(Some(message)),
                Err(error) => Err(Heard::Strange(format!("no JSON ({error}): {text:?}"))),
            },
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
            Some(Ok(Message::Close(Some(frame)))) => {
                Err(Heard::Closed(Some(frame.code.into()), frame.reason.as_str().to_owned()))
            }
            Some(Ok(Message::Close(None))) | None => Err(Heard::Closed(None, String::new())),
            Some(Ok(other)) => Err(Heard::Strange(format!("a frame that is no text: {other:?}"))),
            Some(Err(error)) => Err(lost(&error)),
        }
    }
}

/// What a failure of the connection comes to. A refused upgrade has a status that says why.
fn lost(error: &Error) -> Heard {
    match error {
        Error::Http(response) if response.status().as_u16() != 503 => {
            Heard::Strange(format!("the upgrade was refused with {}", response.status()))
        }
        Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake
            | ProtocolError::HandshakeIncomplete
            | ProtocolError::SendAfterClosing,
        )
        | Error::Io(_)
        | Error::Http(_)
        | Error::ConnectionClosed
        | Error::AlreadyClosed => Heard::Lost(error.to_string()),
        other => Heard::Strange(other.to_string()),
    }
}
