//! Serves one socket: a task that handles one event after another.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use futures_util::StreamExt;
use tokio::time::timeout;
use tracing::Span;

use super::close::{CloseReason, SocketEnd};
use super::events::{SocketEvent, SocketEvents};
use super::message::{AckPayload, ClientMessage, InitPayload, OperationId, ServerMessage};
use super::operation::{OperationOutput, run};
use super::outbox::Outbox;
use super::state::{AwaitingInit, Seat, State};
use crate::config::seconds;
use crate::graphql::{Caller, Params};
use crate::messaging::ConnectionId;
use crate::metrics::METRICS;
use crate::transport::Shared;
use crate::transport::listener::{Intake, Place};

/// The time in which a client answers a close frame, so that it gets to read the frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A socket, with the state of its protocol.
pub(super) struct Connection {
    shared: Arc<Shared>,
    outbox: Outbox,
    events: SocketEvents,
    state: State,
    /// The count of the bytes that have arrived only in part.
    intake: Option<Arc<Intake>>,
    /// Pings since the last frame of the client.
    unanswered_pings: u32,
}

impl Connection {
    /// A socket that waits for `connection_init`.
    pub(super) fn new(
        socket: WebSocket,
        shared: Arc<Shared>,
        caller: Caller,
        place: Place,
        intake: Option<Arc<Intake>>,
    ) -> Self {
        let (sink, frames) = socket.split();
        let limits = &shared.limits;
        let mut events = SocketEvents::new(frames);
        events.add_when(shared.stopping.clone().cancelled_owned(), SocketEvent::Stopping);
        events.add_after(seconds(limits.init_timeout), SocketEvent::InitDue);
        events.add_after(seconds(limits.ping_interval), SocketEvent::PingDue);
        let waiting = AwaitingInit { caller: Arc::new(caller), place: Arc::new(place) };
        let mut connection = Self {
            outbox: Outbox::new(sink),
            events,
            state: State::AwaitingInit(waiting),
            intake,
            unanswered_pings: 0,
            shared,
        };
        connection.watch_session();
        connection
    }

    /// Serves the socket until it ends.
    pub(super) async fn serve(mut self) {
        match self.run().await {
            SocketEnd::Close(reason) => self.close(&reason).await,
            SocketEnd::Gone(error) => tracing::debug!(?error, "the socket is gone"),
        }
    }

    /// Handles events until one of them ends the socket. It writes frames to the connection only when no event is
    /// ready, so that frames leave together.
    async fn run(&mut self) -> SocketEnd {
        loop {
            let event = match self.events.next_now() {
                Some(event) => event,
                None => match self.outbox.flush().await {
                    Ok(()) => self.events.next().await,
                    Err(end) => return end,
                },
            };
            if let Err(end) = self.handle_event(event).await {
                return end;
            }
        }
    }

    async fn close(&mut self, reason: &CloseReason) {
        METRICS.count_close(reason.code());
        tracing::debug!(code = reason.code(), ?reason, "closing a socket");
        if let Some(intake) = &self.intake {
            // The client sends only its answer to the close frame from here on.
            intake.settle();
        }
        if let State::Ready(ready) = &mut self.state {
            ready.operations.stop_all();
        }
        let closing = async {
            if self.outbox.close(reason).await.is_ok() {
                while !matches!(self.events.next().await, SocketEvent::Disconnected) {}
            }
        };
        // A client that does not answer in time is cut off.
        let _ = timeout(CLOSE_TIMEOUT, closing).await;
    }

    /// Handles one event. The futures of rare events are boxed, so that the task of a socket stays small.
    async fn handle_event(&mut self, event: SocketEvent) -> Result<(), SocketEnd> {
        match event {
            SocketEvent::Output(id, output) => self.handle_output(&id, output).await,
            SocketEvent::Received(message) => Box::pin(self.handle_frame(message?)).await,
            SocketEvent::Disconnected => Err(SocketEnd::Gone(None)),
            SocketEvent::InitDue => match self.state {
                State::AwaitingInit(_) => Err(CloseReason::InitTimeout.into()),
                State::Ready(_) => Ok(()),
            },
            SocketEvent::UnusedDue { started } => self.handle_unused_due(started),
            SocketEvent::PingDue => Box::pin(self.handle_ping_due()).await,
            // `connection_init` may have replaced the session of the cookie.
            SocketEvent::SessionEnded if self.state.caller().identified().is_ok() => Ok(()),
            SocketEvent::SessionEnded => Err(CloseReason::SessionEnded.into()),
            SocketEvent::Stopping => Err(CloseReason::Stopping.into()),
        }
    }

    async fn handle_frame(&mut self, frame: Message) -> Result<(), SocketEnd> {
        self.unanswered_pings = 0;
        if let Some(intake) = &self.intake {
            match &frame {
                Message::Ping(payload) | Message::Pong(payload) => intake.settle_control_frame(payload.len()),
                Message::Text(_) | Message::Binary(_) | Message::Close(_) => intake.settle(),
            }
        }
        match frame {
            Message::Text(text) => {
                let message = ClientMessage::read(&text).map_err(CloseReason::InvalidMessage)?;
                self.handle_message(message).await
            }
            Message::Binary(_) => {
                Err(CloseReason::InvalidMessage("binary messages are not understood".into()).into())
            }
            Message::Ping(_) => {
                self.outbox.expect_reply();
                Ok(())
            }
            Message::Pong(_) => Ok(()),
            Message::Close(_) => {
                self.outbox.expect_reply();
                self.outbox.flush().await.and(Err(SocketEnd::Gone(None)))
            }
        }
    }

    async fn handle_message(&mut self, message: ClientMessage) -> Result<(), SocketEnd> {
        match message {
            ClientMessage::ConnectionInit { payload } => self.handle_init(payload).await,
            ClientMessage::Ping { payload } => {
                self.outbox.send(ServerMessage::Pong { payload }.to_json()).await
            }
            ClientMessage::Pong => Ok(()),
            ClientMessage::Subscribe { id, payload } => self.handle_subscribe(id, payload).await,
            ClientMessage::Complete { id } => {
                if let State::Ready(ready) = &mut self.state {
                    ready.operations.stop(&id);
                }
                Ok(())
            }
        }
    }

    async fn handle_init(&mut self, payload: InitPayload) -> Result<(), SocketEnd> {
        let State::AwaitingInit(waiting) = &self.state else { return Err(CloseReason::TooManyInits.into()) };
        let (ready, cursor) = waiting.accept(&self.shared, payload).await?;
        if let Seat::Anonymous { .. } = ready.seat {
            self.watch_use(0);
        }
        if let Some(session) = &ready.caller.session {
            Span::current().record("user", tracing::field::display(session.user));
        }
        let caller = Arc::clone(&ready.caller);
        self.state = State::Ready(ready);
        self.watch_session();
        let connection_id = caller.connection.as_ref().map(ConnectionId::as_str).unwrap_or_default();
        let payload = AckPayload { connection_id, cursor: cursor.as_str() };
        self.outbox.send(ServerMessage::ConnectionAck(payload).to_json()).await
    }

    async fn handle_subscribe(
        &mut self,
        id: OperationId,
        payload: Result<Box<Params>, String>,
    ) -> Result<(), SocketEnd> {
        let State::Ready(ready) = &mut self.state else { return Err(CloseReason::NotAcknowledged.into()) };
        if ready.operations.contains(&id) {
            return Err(CloseReason::DuplicateId.into());
        }
        match ready.admit(payload, &self.shared.limits) {
            Ok((caller, params)) => {
                let outputs = run(Arc::clone(&self.shared), caller, params);
                self.events.add(ready.operations.start(id, outputs));
                Ok(())
            }
            Err(refusal) => {
                let errors = refusal.to_errors_json();
                self.outbox.send(ServerMessage::Error { id: &id, errors: &errors }.to_json()).await
            }
        }
    }

    async fn handle_output(&mut self, id: &OperationId, output: OperationOutput) -> Result<(), SocketEnd> {
        if let State::Ready(ready) = &mut self.state
            && output.is_last()
        {
            // The id is free before the client reads the last message, so that the client may use it again at once.
            ready.operations.remove(id);
        }
        match output {
            OperationOutput::Answer(answer) => {
                let message = ServerMessage::Next { id, payload: answer.as_str() }.to_json();
                // A large answer keeps its place until the client has it, but not a second copy of its text.
                let kept = answer.replaced(String::new());
                self.outbox.send(message).await?;
                if kept.is_kept() { self.outbox.flush().await } else { Ok(()) }
            }
            OperationOutput::Next(payload) => {
                self.outbox.send(ServerMessage::Next { id, payload: &payload }.to_json()).await
            }
            OperationOutput::Errors(errors) => {
                self.outbox.send(ServerMessage::Error { id, errors: &errors }.to_json()).await
            }
            OperationOutput::Complete => self.outbox.send(ServerMessage::Complete { id }.to_json()).await,
        }
    }

    fn handle_unused_due(&mut self, started: u64) -> Result<(), SocketEnd> {
        let State::Ready(ready) = &self.state else { return Ok(()) };
        let started_since = ready.operations.started();
        if started_since == started && ready.operations.is_empty() {
            return Err(CloseReason::Unused.into());
        }
        self.watch_use(started_since);
        Ok(())
    }

    /// Sends a ping, unless the client has not answered the last one.
    async fn handle_ping_due(&mut self) -> Result<(), SocketEnd> {
        if self.unanswered_pings >= 1 {
            return Err(SocketEnd::Gone(None));
        }
        self.unanswered_pings += 1;
        self.events.add_after(seconds(self.shared.limits.ping_interval), SocketEvent::PingDue);
        if let Some(session) = &self.state.caller().session {
            // A socket keeps its session alive. If the database cannot store this now, a later ping tries again.
            let _ = self.shared.engine.services().accounts.sessions.keep(session).await;
        }
        self.outbox.ping().await
    }

    /// Adds the end of the caller's session, or of the service's key, to the events.
    fn watch_session(&mut self) {
        let caller = Arc::clone(self.state.caller());
        if caller.session.is_some() || caller.service.is_some() {
            self.events.add_when(async move { caller.ended().await }, SocketEvent::SessionEnded);
        }
    }

    /// Adds the next check whether the socket is unused to the events.
    fn watch_use(&mut self, started: u64) {
        let delay = seconds(self.shared.limits.anonymous_timeout);
        self.events.add_after(delay, SocketEvent::UnusedDue { started });
    }
}
