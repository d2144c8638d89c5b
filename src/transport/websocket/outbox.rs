//! The writing half of a socket. It gathers frames and writes them together.

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::SinkExt;
use futures_util::stream::SplitSink;

use super::close::{CloseReason, SocketEnd};

/// The frames that wait to be written.
///
/// A client that accepts no bytes for too long is cut off by the listener's write timeout, and resumes.
pub(super) struct Outbox {
    sink: SplitSink<WebSocket, Message>,
    has_unflushed: bool,
}

impl Outbox {
    pub(super) fn new(sink: SplitSink<WebSocket, Message>) -> Self {
        Self { sink, has_unflushed: false }
    }

    /// Adds a message to the buffer. A full buffer is written first.
    pub(super) async fn send(&mut self, message: String) -> Result<(), SocketEnd> {
        self.feed(Message::Text(message.into())).await
    }

    /// Adds a ping to the buffer.
    pub(super) async fn ping(&mut self) -> Result<(), SocketEnd> {
        self.feed(Message::Ping(Vec::new().into())).await
    }

    async fn feed(&mut self, message: Message) -> Result<(), SocketEnd> {
        self.has_unflushed = true;
        self.sink.feed(message).await.map_err(SocketEnd::not_writable)
    }

    /// Says that tungstenite has a frame of its own in the buffer: the answer to a ping or to a close frame.
    pub(super) fn expect_reply(&mut self) {
        self.has_unflushed = true;
    }

    /// Writes the buffer to the connection.
    pub(super) async fn flush(&mut self) -> Result<(), SocketEnd> {
        if std::mem::take(&mut self.has_unflushed) {
            self.sink.flush().await.map_err(SocketEnd::not_writable)?;
        }
        Ok(())
    }

    /// Writes the close frame, and all frames before it.
    pub(super) async fn close(&mut self, reason: &CloseReason) -> Result<(), SocketEnd> {
        let frame = CloseFrame { code: reason.code(), reason: reason.text().into() };
        self.sink.send(Message::Close(Some(frame))).await.map_err(SocketEnd::not_writable)
    }
}
