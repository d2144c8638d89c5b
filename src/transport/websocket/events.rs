//! Everything that can happen to a socket, as one stream.

use std::time::Duration;

use axum::extract::ws::Message;
use futures_util::stream::{self, BoxStream, SelectAll, Stream, StreamExt};
use futures_util::{FutureExt, future};

use super::message::OperationId;
use super::operation::OperationOutput;

/// Something that happens to a socket.
pub(super) enum SocketEvent {
    /// A frame of the client, or the error of reading one.
    Received(Result<Message, axum::Error>),
    /// The client is gone.
    Disconnected,
    Output(OperationId, OperationOutput),
    /// The time for `connection_init` is over.
    InitDue,
    /// It is time to check whether a socket on which nobody is signed in is unused: it is if no operation runs, and the
    /// number of operations that have ever begun is still `started`.
    UnusedDue {
        started: u64,
    },
    PingDue,
    SessionEnded,
    /// herald stops.
    Stopping,
}

/// The sources of events. It polls only those that woke the task, which is mostly one operation of many.
pub(super) struct SocketEvents(SelectAll<BoxStream<'static, SocketEvent>>);

impl SocketEvents {
    /// The events of the reading half of a socket.
    pub(super) fn new(frames: impl Stream<Item = Result<Message, axum::Error>> + Send + 'static) -> Self {
        let mut events = Self(SelectAll::new());
        let disconnected = stream::once(future::ready(SocketEvent::Disconnected));
        events.add(frames.map(SocketEvent::Received).chain(disconnected).boxed());
        events
    }

    pub(super) fn add(&mut self, source: BoxStream<'static, SocketEvent>) {
        self.0.push(source);
    }

    /// Adds one event, which happens when `future` completes.
    pub(super) fn add_when(&mut self, future: impl Future<Output = ()> + Send + 'static, event: SocketEvent) {
        self.add(stream::once(future.map(|()| event)).boxed());
    }

    pub(super) fn add_after(&mut self, delay: Duration, event: SocketEvent) {
        self.add_when(tokio::time::sleep(delay), event);
    }

    /// The next event if there is one at present.
    pub(super) fn next_now(&mut self) -> Option<SocketEvent> {
        self.0.next().now_or_never().flatten()
    }

    /// Waits for the next event.
    pub(super) async fn next(&mut self) -> SocketEvent {
        self.0.next().await.unwrap_or(SocketEvent::Disconnected)
    }
}
