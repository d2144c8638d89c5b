//! GraphQL over WebSocket: one task per socket, which reads, executes and writes in turn.

use std::sync::Arc;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::future::AbortHandle;
use futures_util::stream::{self, BoxStream, SelectAll, SplitSink, StreamExt};
use futures_util::{FutureExt, SinkExt};
use tokio::time::{Duration, timeout};
use tracing::{Instrument, Span};

use super::Shared;
use super::addresses::Place;
use super::caller::{caller, token};
use super::intake::{Intake, Unfinished};
use super::listener::Held;
use super::protocol::{self, ClientMessage, Goodbye, SUBPROTOCOL};
use super::respond::{bad_request, too_many};
use super::sockets::Slot;
use crate::config::seconds;
use crate::error::Error;
use crate::graphql::{BAD_REQUEST, Caller, Cursor, LIMIT_EXCEEDED, Params, refusal};
use crate::messaging::ConnectionId;
use crate::metrics::{Counted, METRICS};
use crate::network::Network;
use crate::random;

mod operation;

use operation::{Output, run};

/// Bytes that a socket keeps for reading: small, since there are many sockets, and what clients say is short.
const READ_BUFFER: usize = 1024;

/// Bytes that are gathered before they are written.
const WRITE_BUFFER: usize = 4 * 1024;

/// Bytes that may wait to be written to a socket. One answer must fit.
const WAITING: usize = 16 * 1024 * 1024;

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
    // Whoever it is, nobody is signed in on a socket before its `connection_init`.
    let Some(anonymous) = shared.addresses.account(Network::of(caller.address)).anonymous() else {
        return too_many("This address has too many sockets on which nobody is signed in.");
    };
    let held = parts.extensions.get::<Arc<Held>>().cloned();
    let place = parts.extensions.get::<Arc<Place>>().cloned();
    let intake = parts.extensions.get::<Arc<Intake>>().cloned();
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return bad_request(format!("{}.", rejection.body_text())),
    };
    let most = shared.limits.max_body_bytes;
    // What the socket comes to say is known by the request that opened it.
    let span = Span::current();
    upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(WAITING)
        .max_message_size(most)
        .max_frame_size(most)
        .on_upgrade(move |socket| {
            let serving = async move {
                // The place among the connections is kept for as long as the socket is served.
                let _held = (held, place);
                let _counted = Counted::new(&METRICS.sockets);
                if let Some(intake) = &intake {
                    intake.begin_socket(seconds(shared.limits.request_timeout));
                }
                Connection::new(socket, shared, caller, anonymous, intake).serve().await;
            };
            serving.instrument(span)
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

/// Whatever may happen to a socket.
enum Happening {
    /// The client says something, or cannot be understood.
    Heard(Result<Message, axum::Error>),
    /// The client is gone.
    HungUp,
    /// The operation whose messages begin so has put something out.
    Put(Arc<str>, Output),
    /// The time to say `connection_init` is over.
    InitDue,
    /// It is time to look whether anything was asked on a socket of nobody, which had begun so many operations before.
    UnusedDue(u64),
    /// It is time for a ping.
    PingDue,
    /// The session has ended.
    SessionEnded,
    /// herald is stopping.
    Stopping,
}

struct Connection {
    sink: SplitSink<WebSocket, Message>,
    /// Everything that may happen, in one set, which polls only what was woken: most of the time one operation.
    happenings: SelectAll<BoxStream<'static, Happening>>,
    /// The operations under way, by the beginning of their messages.
    operations: Vec<(Arc<str>, AbortHandle)>,
    shared: Arc<Shared>,
    caller: Arc<Caller>,
    /// Counts what arrives and is not whole yet.
    intake: Option<Arc<Intake>>,
    /// The place among the address's sockets on which nobody is signed in, while nobody is.
    anonymous: Option<Place>,
    /// Operations that were begun, ever.
    begun: u64,
    /// What has been agreed at `connection_init`.
    acknowledged: Option<Slotted>,
    /// Whether frames wait to be flushed.
    unflushed: bool,
    /// Pings that went out since the client was last heard.
    unanswered: u32,
}

/// The place among the user's sockets; anonymous sockets have none.
struct Slotted {
    _slot: Option<Slot>,
}

impl Connection {
    fn new(
        socket: WebSocket,
        shared: Arc<Shared>,
        caller: Caller,
        anonymous: Place,
        intake: Option<Arc<Intake>>,
    ) -> Self {
        let (sink, stream) = socket.split();
        let mut connection = Self {
            sink,
            happenings: SelectAll::new(),
            operations: Vec::new(),
            caller: Arc::new(caller),
            intake,
            anonymous: Some(anonymous),
            begun: 0,
            acknowledged: None,
            unflushed: false,
            unanswered: 0,
            shared,
        };
        let heard = stream.map(Happening::Heard).chain(stream::once(async { Happening::HungUp }));
        connection.happenings.push(heard.boxed());
        let stopping = connection.shared.stopping.clone();
        connection.expect(stopping.cancelled_owned(), Happening::Stopping);
        connection.expect(elapsed(connection.shared.limits.init_timeout), Happening::InitDue);
        connection.expect(elapsed(connection.shared.limits.ping_interval), Happening::PingDue);
        connection.expect_end_of_session();
        connection
    }

    /// Has something happen once `due` is over.
    fn expect(&mut self, due: impl Future<Output = ()> + Send + 'static, happening: Happening) {
        self.happenings.push(stream::once(due.map(|()| happening)).boxed());
    }

    fn expect_end_of_session(&mut self) {
        if let Some(session) = self.caller.session.clone() {
            self.expect(async move { session.ended().await }, Happening::SessionEnded);
        }
    }

    /// Looks in a while whether anything was asked meanwhile.
    fn expect_use(&mut self) {
        let due = elapsed(self.shared.limits.anonymous_timeout);
        self.expect(due, Happening::UnusedDue(self.begun));
    }

    async fn serve(mut self) {
        let End::Goodbye(goodbye) = self.converse().await else { return };
        METRICS.count_close(goodbye.code());
        tracing::debug!(code = goodbye.code(), reason = goodbye.reason(), "closing a socket");
        if let Some(intake) = &self.intake {
            // Nothing more is read but the answer to the close frame.
            intake.settle();
        }
        // What was subscribed ends now; only the frame that says so is still sent.
        for (_, operation) in self.operations.drain(..) {
            operation.abort();
        }
        let frame = CloseFrame { code: goodbye.code(), reason: goodbye.reason().into() };
        let farewell = async {
            if self.sink.send(Message::Close(Some(frame))).await.is_ok() {
                while !matches!(self.happenings.next().await, None | Some(Happening::HungUp)) {}
            }
        };
        let _ = timeout(FAREWELL, farewell).await;
    }

    /// Deals with what happens, one after the other, until there is a reason to end.
    async fn converse(&mut self) -> End {
        loop {
            let happening = match self.happenings.next().now_or_never() {
                Some(happening) => happening,
                // Nothing else is ready: what was gathered is written out, in one go.
                None => match self.flush().await {
                    Ok(()) => self.happenings.next().await,
                    Err(end) => return end,
                },
            };
            let done = match happening {
                Some(Happening::Put(frame, output)) => self.put(&frame, output).await,
                // What is rare is boxed, so that a socket that just follows carries little.
                Some(happening) => Box::pin(self.heed(happening)).await,
                None => Err(End::Gone),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn heed(&mut self, happening: Happening) -> Result<(), End> {
        match happening {
            Happening::Put(frame, output) => self.put(&frame, output).await,
            Happening::Heard(Ok(message)) => self.hear(message).await,
            Happening::Heard(Err(error)) => Err(broken(error)),
            Happening::HungUp => Err(End::Gone),
            Happening::InitDue if self.acknowledged.is_some() => Ok(()),
            Happening::InitDue => Err(Goodbye::InitTimeout.into()),
            Happening::UnusedDue(begun) if begun == self.begun && self.operations.is_empty() => {
                Err(Goodbye::Unused.into())
            }
            Happening::UnusedDue(_) => {
                self.expect_use();
                Ok(())
            }
            Happening::PingDue => self.ping().await,
            // A cookie's session may have been replaced by another at `connection_init`.
            Happening::SessionEnded if self.caller.viewer().is_ok() => Ok(()),
            Happening::SessionEnded => Err(Goodbye::Forbidden("The session has ended").into()),
            Happening::Stopping => Err(Goodbye::Stopping.into()),
        }
    }

    async fn hear(&mut self, message: Message) -> Result<(), End> {
        self.unanswered = 0;
        if let Some(intake) = &self.intake {
            match &message {
                Message::Ping(payload) | Message::Pong(payload) => intake.settle_control(payload.len()),
                _ => intake.settle(),
            }
        }
        match message {
            Message::Text(text) => {
                let message = ClientMessage::read(&text).map_err(Goodbye::Invalid)?;
                self.obey(message).await
            }
            Message::Binary(_) => Err(Goodbye::Invalid("binary messages are not understood".into()).into()),
            // The library has the answering pong ready; it goes out with the next flush.
            Message::Ping(_) => {
                self.unflushed = true;
                Ok(())
            }
            Message::Pong(_) => Ok(()),
            // And so it has the answering close frame.
            Message::Close(_) => {
                self.unflushed = true;
                self.flush().await.and(Err(End::Gone))
            }
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
            ClientMessage::Ping { payload } => self.write(protocol::pong(payload)).await,
            ClientMessage::Pong => Ok(()),
            ClientMessage::Subscribe { .. } if self.acknowledged.is_none() => {
                Err(Goodbye::NotAcknowledged.into())
            }
            ClientMessage::Subscribe { id, payload } => self.subscribe(&id, payload).await,
            ClientMessage::Complete { id } => {
                if let Some(operation) = self.forget(&protocol::frame(&id)) {
                    operation.abort();
                }
                Ok(())
            }
        }
    }

    async fn init(&mut self, payload: serde_json::Map<String, serde_json::Value>) -> Result<(), End> {
        let given = |name: &str| payload.get(name).filter(|value| !value.is_null());
        let text = |name: &str| given(name).map(|value| value.as_str().unwrap_or_default());
        let services = self.shared.engine.services();
        let mut caller = Caller::clone(&self.caller);
        let authorization = ["authorization", "Authorization"].map(|name| {
            // What is not even text is no token.
            given(name).map(|value| value.as_str().map_or(Err(Error::Unauthenticated), token))
        });
        let authorization: Result<Vec<_>, _> = authorization.into_iter().flatten().collect();
        let tokens = authorization.map_err(|_| Goodbye::Forbidden("Invalid token"))?;
        if let Some(token) = tokens.into_iter().flatten().next() {
            let found = services.accounts.sessions.find(&token).await;
            caller.session = Some(found.map_err(|error| match error {
                Error::Unavailable => Goodbye::TryAgainLater,
                _ => Goodbye::Forbidden("Invalid token"),
            })?);
        }
        caller.connection = Some(match (text("connectionId"), caller.connection.take()) {
            (Some(id), _) => ConnectionId::parse(id)
                .map_err(|invalid| Goodbye::Invalid(format!("connectionId {}", invalid.0)))?,
            (None, Some(named)) => named,
            (None, None) => ConnectionId::trusted(format!("con_{}", random::id().simple())),
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
        self.expect_end_of_session();
        if slot.is_some() {
            self.anonymous = None;
        } else {
            self.expect_use();
        }
        self.acknowledged = Some(Slotted { _slot: slot });
        self.write(protocol::ack(&connection, Cursor::new(head).as_str())).await
    }

    async fn subscribe(&mut self, id: &str, payload: Result<Box<Params>, String>) -> Result<(), End> {
        let frame: Arc<str> = protocol::frame(id).into();
        if self.operations.iter().any(|(known, _)| *known == frame) {
            return Err(Goodbye::DuplicateId.into());
        }
        let payload = match payload {
            Ok(payload) => *payload,
            Err(reason) => {
                let message = format!("The payload is not a GraphQL request: {reason}.");
                return self.refuse(&frame, BAD_REQUEST, message).await;
            }
        };
        let most = self.shared.limits.max_operations_per_socket;
        if self.operations.len() >= most {
            let message = format!("A socket has at most {most} operations under way.");
            return self.refuse(&frame, LIMIT_EXCEEDED, message).await;
        }
        let mut caller = Arc::clone(&self.caller);
        if let Some(id) = payload.connection_id() {
            match ConnectionId::parse(id) {
                Ok(id) => caller = Arc::new(Caller { connection: Some(id), ..Caller::clone(&caller) }),
                Err(invalid) => {
                    let message = format!("`extensions.connectionId` {}.", invalid.0);
                    return self.refuse(&frame, BAD_REQUEST, message).await;
                }
            }
        }
        let outputs = run(Arc::clone(&self.shared), caller, payload);
        let key = Arc::clone(&frame);
        let (outputs, operation) =
            stream::abortable(outputs.map(move |output| Happening::Put(Arc::clone(&key), output)));
        self.happenings.push(outputs.boxed());
        self.operations.push((frame, operation));
        self.begun += 1;
        Ok(())
    }

    /// Ends an operation before it begins.
    async fn refuse(&mut self, frame: &str, code: &str, message: String) -> Result<(), End> {
        let errors = refusal(code, message).to_errors_json();
        self.write(protocol::error(frame, &errors)).await
    }

    /// Takes an operation off the list of those under way.
    fn forget(&mut self, frame: &str) -> Option<AbortHandle> {
        let index = self.operations.iter().position(|(known, _)| known.as_ref() == frame)?;
        Some(self.operations.swap_remove(index).1)
    }

    async fn put(&mut self, frame: &str, output: Output) -> Result<(), End> {
        let is_last = output.is_last();
        let text = match output {
            Output::Answer(answer) => {
                let text = protocol::next(frame, answer.as_str());
                let kept = answer.replaced(String::new());
                self.write(text).await?;
                // What others wait for is kept until the client has the answer.
                return if kept.is_kept() { self.flush().await } else { Ok(()) };
            }
            Output::Next(payload) => protocol::next(frame, &payload),
            Output::Errors(errors) => protocol::error(frame, &errors),
            Output::Complete => protocol::complete(frame),
        };
        if is_last {
            // At once, so that the client may use the id again as soon as it has read this.
            self.forget(frame);
        }
        self.write(text).await
    }

    async fn ping(&mut self) -> Result<(), End> {
        if self.unanswered >= 1 {
            return Err(End::Gone);
        }
        self.unanswered += 1;
        self.expect(elapsed(self.shared.limits.ping_interval), Happening::PingDue);
        if let Some(session) = &self.caller.session {
            // A session that a socket lives in is in use. If this cannot be noted now, it will be at a later ping.
            let _ = self.shared.engine.services().accounts.sessions.keep(session).await;
        }
        self.unflushed = true;
        self.sink.feed(Message::Ping(Vec::new().into())).await.map_err(|_| End::Gone)
    }

    /// Hands a message to the socket's buffer, which is written out when it is full or when nothing else is ready.
    /// A client that accepts nothing for too long is cut off by the listener's write timeout, and resumes.
    async fn write(&mut self, text: String) -> Result<(), End> {
        self.unflushed = true;
        self.sink.feed(Message::Text(text.into())).await.map_err(|_| End::Gone)
    }

    async fn flush(&mut self) -> Result<(), End> {
        if std::mem::take(&mut self.unflushed) {
            self.sink.flush().await.map_err(|_| End::Gone)?;
        }
        Ok(())
    }
}

async fn elapsed(delay: u64) {
    tokio::time::sleep(seconds(delay)).await;
}

/// What an error of reading has inside.
type Why = dyn std::error::Error + Send + Sync;

/// Which goodbye an unreadable message deserves.
fn broken(error: axum::Error) -> End {
    match error.into_inner().downcast::<tungstenite::Error>().map(|error| *error) {
        Ok(tungstenite::Error::Capacity(_)) => Goodbye::TooBig.into(),
        Ok(tungstenite::Error::Utf8(_)) => Goodbye::NotUtf8.into(),
        Ok(tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
            End::Gone
        }
        Ok(tungstenite::Error::Protocol(_)) => Goodbye::Protocol.into(),
        Ok(tungstenite::Error::Io(error)) if error.get_ref().is_some_and(Why::is::<Unfinished>) => {
            Goodbye::Unfinished(error.to_string()).into()
        }
        _ => End::Gone,
    }
}
