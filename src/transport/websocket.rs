//! GraphQL over WebSocket: one task per socket, which reads, executes and writes in turn.

use std::sync::Arc;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, SinkExt};
use tokio::time::{Duration, Instant, interval_at, timeout};
use tokio_stream::{StreamExt, StreamMap};

use super::Shared;
use super::caller::{caller, token};
use super::listener::Held;
use super::protocol::{self, ClientMessage, Goodbye, SUBPROTOCOL, Subscribe};
use super::respond::bad_request;
use super::sockets::Slot;
use crate::config::seconds;
use crate::error::Error;
use crate::graphql::{Caller, Cursor, LIMIT_EXCEEDED, errors_json, refusal};
use crate::messaging::ConnectionId;
use crate::random;

mod operation;

use operation::{Output, run};

/// Bytes that a socket keeps for reading, and gathers before writing: small, since there are many sockets.
const BUFFER: usize = 4 * 1024;

/// Bytes that may wait to be written to a socket. One answer must fit.
const WAITING: usize = 16 * 1024 * 1024;

/// Frames that are written before a socket looks at other things again.
const BURST: usize = 64;

/// How long a client is given to answer a close frame, so that it gets to read it.
const FAREWELL: Duration = Duration::from_secs(1);

/// Accepts a socket, or says why not.
pub(super) async fn upgrade(shared: Arc<Shared>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let offered = parts.headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let speaks = offered
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|protocol| protocol.trim() == SUBPROTOCOL);
    if !speaks {
        return bad_request(format!("Ask for the WebSocket subprotocol {SUBPROTOCOL}."));
    }
    let caller = match caller(&shared, &parts.headers, &parts.extensions).await {
        Ok(caller) => caller,
        Err(refusal) => return *refusal,
    };
    let held = parts.extensions.get::<Arc<Held>>().cloned();
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return bad_request(format!("{}.", rejection.body_text())),
    };
    let most = shared.limits.max_body_bytes;
    upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(WAITING)
        .max_message_size(most)
        .max_frame_size(most)
        .on_upgrade(move |socket| async move {
            // The place among the connections is kept for as long as the socket is served.
            let _held = held;
            Connection::new(socket, shared, caller).serve().await;
        })
        .into_response()
}

/// Why a socket stops being served.
enum End {
    /// herald closes it.
    Goodbye(Goodbye),
    /// It is gone: closed by the client, broken, or not accepting bytes.
    Gone,
}

impl From<Goodbye> for End {
    fn from(goodbye: Goodbye) -> Self {
        Self::Goodbye(goodbye)
    }
}

struct Connection {
    socket: WebSocket,
    shared: Arc<Shared>,
    caller: Arc<Caller>,
    /// What has been agreed at `connection_init`.
    acknowledged: Option<Slotted>,
    operations: StreamMap<Arc<str>, BoxStream<'static, Output>>,
    /// Returns when the caller's session ends.
    session: BoxFuture<'static, ()>,
    /// Pings that went out since the client was last heard.
    unanswered: u32,
}

/// The place among the user's sockets; anonymous sockets have none.
struct Slotted {
    _slot: Option<Slot>,
}

impl Connection {
    fn new(socket: WebSocket, shared: Arc<Shared>, caller: Caller) -> Self {
        let caller = Arc::new(caller);
        Self {
            socket,
            shared,
            session: session_end(&caller),
            caller,
            acknowledged: None,
            operations: StreamMap::new(),
            unanswered: 0,
        }
    }

    async fn serve(mut self) {
        let End::Goodbye(goodbye) = self.converse().await else { return };
        tracing::debug!(code = goodbye.code(), reason = goodbye.reason(), "closing a socket");
        // What was subscribed ends now; only the frame that says so is still sent.
        self.operations.clear();
        let frame = CloseFrame { code: goodbye.code(), reason: goodbye.reason().into() };
        let farewell = async {
            if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        let _ = timeout(FAREWELL, farewell).await;
    }

    async fn converse(&mut self) -> End {
        let limits = &self.shared.limits;
        let period = seconds(limits.ping_interval);
        let mut ping = interval_at(Instant::now() + period, period);
        let init = tokio::time::sleep(seconds(limits.init_timeout));
        tokio::pin!(init);
        let stopping = self.shared.stopping.clone();
        loop {
            let done = tokio::select! {
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => self.hear(message).await,
                    Some(Err(error)) => Err(broken(error)),
                    None => Err(End::Gone),
                },
                Some((id, output)) = self.operations.next() => self.tell(id, output).await,
                () = &mut init, if self.acknowledged.is_none() => Err(Goodbye::InitTimeout.into()),
                () = &mut self.session => Err(Goodbye::Forbidden("The session has ended").into()),
                () = stopping.cancelled() => Err(Goodbye::Stopping.into()),
                _ = ping.tick() => self.ping().await,
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn hear(&mut self, message: Message) -> Result<(), End> {
        self.unanswered = 0;
        match message {
            Message::Text(text) => {
                let message = ClientMessage::read(&text).map_err(Goodbye::Invalid)?;
                self.obey(message).await
            }
            Message::Binary(_) => Err(Goodbye::Invalid("binary messages are not understood".into()).into()),
            // Pongs to pings are queued by the library; they go out here.
            Message::Ping(_) => self.flush().await,
            Message::Pong(_) => Ok(()),
            // The library has the answering close frame ready; it goes out with the flush.
            Message::Close(_) => self.flush().await.and(Err(End::Gone)),
        }
    }

    async fn obey(&mut self, message: ClientMessage) -> Result<(), End> {
        match message {
            ClientMessage::ConnectionInit { payload } => {
                if self.acknowledged.is_some() {
                    return Err(Goodbye::TooManyInits.into());
                }
                self.init(payload.unwrap_or_default()).await
            }
            ClientMessage::Ping { payload } => self.send(protocol::pong(payload)).await,
            ClientMessage::Pong {} => Ok(()),
            ClientMessage::Subscribe { .. } if self.acknowledged.is_none() => {
                Err(Goodbye::NotAcknowledged.into())
            }
            ClientMessage::Subscribe { id, payload } => self.subscribe(&id, *payload).await,
            ClientMessage::Complete { id } => {
                self.operations.remove(id.as_str());
                Ok(())
            }
        }
    }

    async fn init(&mut self, payload: serde_json::Map<String, serde_json::Value>) -> Result<(), End> {
        let given = |name: &str| payload.get(name).filter(|value| !value.is_null());
        let text = |name: &str| given(name).map(|value| value.as_str().unwrap_or_default());
        let services = self.shared.engine.services();
        let mut caller = Caller::clone(&self.caller);
        if let Some(authorization) = text("authorization").or_else(|| text("Authorization")) {
            let token = token(authorization).map_err(|_| Goodbye::Forbidden("Invalid token"))?;
            let found = services.accounts.sessions.find(&token).await;
            caller.session = Some(found.map_err(|error| match error {
                Error::Unavailable => Goodbye::TryAgainLater,
                _ => Goodbye::Forbidden("Invalid token"),
            })?);
        }
        caller.connection = Some(match text("connectionId") {
            Some(id) => ConnectionId::parse(id)
                .map_err(|invalid| Goodbye::Invalid(format!("connectionId {}", invalid.0)))?,
            None => ConnectionId::trusted(format!("con_{}", random::id().simple())),
        });
        let slot = match &caller.session {
            Some(session) => {
                let slot = self.shared.sockets.take(session.user.id);
                Some(slot.ok_or(Goodbye::Forbidden("Too many sockets of this user"))?)
            }
            None => None,
        };
        let head = services.database.head().await.map_err(|_| Goodbye::TryAgainLater)?;
        let connection = caller.connection.as_ref().map(ToString::to_string).unwrap_or_default();
        self.caller = Arc::new(caller);
        self.session = session_end(&self.caller);
        self.acknowledged = Some(Slotted { _slot: slot });
        self.send(protocol::ack(&connection, Cursor::new(head).as_str())).await
    }

    async fn subscribe(&mut self, id: &str, payload: Subscribe) -> Result<(), End> {
        if self.operations.contains_key(id) {
            return Err(Goodbye::DuplicateId.into());
        }
        let most = self.shared.limits.max_operations_per_socket;
        if self.operations.len() >= most {
            let message = format!("A socket has at most {most} operations under way.");
            let errors = errors_json(refusal(LIMIT_EXCEEDED, message));
            return self.send(protocol::error(&protocol::json_id(id), &errors)).await;
        }
        let running = run(Arc::clone(&self.shared), Arc::clone(&self.caller), payload);
        self.operations.insert(id.into(), running);
        Ok(())
    }

    /// Writes what an operation put out, and with it what others have ready, and flushes once.
    async fn tell(&mut self, id: Arc<str>, output: Output) -> Result<(), End> {
        self.feed(&id, output).await?;
        for _ in 1..BURST {
            match self.operations.next().now_or_never() {
                Some(Some((id, output))) => self.feed(&id, output).await?,
                _ => break,
            }
        }
        self.flush().await
    }

    async fn feed(&mut self, id: &str, output: Output) -> Result<(), End> {
        if output.is_last() {
            // At once, so that the client may use the id again as soon as it has read this.
            self.operations.remove(id);
        }
        let json_id = protocol::json_id(id);
        let text = match output {
            Output::Next(payload) => protocol::next(&json_id, &payload),
            Output::Errors(errors) => protocol::error(&json_id, &errors),
            Output::Complete => protocol::complete(&json_id),
        };
        self.write(Message::Text(text.into())).await
    }

    async fn send(&mut self, text: String) -> Result<(), End> {
        self.write(Message::Text(text.into())).await?;
        self.flush().await
    }

    async fn ping(&mut self) -> Result<(), End> {
        if self.unanswered >= 1 {
            return Err(End::Gone);
        }
        self.unanswered += 1;
        if let Some(session) = &self.caller.session {
            // A session that a socket lives in is in use. If this cannot be noted now, it will be at a later ping.
            let _ = self.shared.engine.services().accounts.sessions.keep(session).await;
        }
        self.write(Message::Ping(Vec::new().into())).await?;
        self.flush().await
    }

    /// Hands a frame to the socket's buffer, which is written out when it is full. A client that accepts nothing
    /// for too long is cut off by the listener's write timeout, and resumes.
    async fn write(&mut self, message: Message) -> Result<(), End> {
        self.socket.feed(message).await.map_err(|_| End::Gone)
    }

    async fn flush(&mut self) -> Result<(), End> {
        self.socket.flush().await.map_err(|_| End::Gone)
    }
}

fn session_end(caller: &Arc<Caller>) -> BoxFuture<'static, ()> {
    match caller.session.clone() {
        Some(session) => async move { session.ended().await }.boxed(),
        None => std::future::pending().boxed(),
    }
}

/// Which goodbye an unreadable message deserves.
fn broken(error: axum::Error) -> End {
    match error.into_inner().downcast::<tungstenite::Error>().map(|error| *error) {
        Ok(tungstenite::Error::Capacity(_)) => Goodbye::TooBig.into(),
        Ok(tungstenite::Error::Utf8(_)) => Goodbye::NotUtf8.into(),
        Ok(tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
            End::Gone
        }
        Ok(tungstenite::Error::Protocol(_)) => Goodbye::Protocol.into(),
        _ => End::Gone,
    }
}
