//! What arrives on a connection and is not whole yet: how much of it there may be on an address's account, and, of a
//! WebSocket message, how long it may take.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::addresses::Account;

/// What a connection is about. Whoever understands it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The next request's head.
    Head,
    /// A request whose head has arrived: whoever reads its body counts, and refuses it with an answer.
    Body,
    /// A WebSocket, whose messages may take so long.
    Socket(Duration),
}

#[derive(Debug)]
struct State {
    account: Arc<Account>,
    phase: Phase,
    /// Bytes that arrived and are not part of anything that is whole.
    bytes: usize,
    /// When the message that they belong to must be whole.
    due: Option<Instant>,
}

/// Why a connection is not read from any longer.
#[derive(Debug)]
pub(super) enum Unfinished {
    /// The address has too many bytes under way.
    TooMuch,
    /// The message did not arrive in time.
    TooSlow,
}

impl std::fmt::Display for Unfinished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooMuch => "its address has too much under way",
            Self::TooSlow => "a message did not arrive in time",
        })
    }
}

impl std::error::Error for Unfinished {}

/// What of a connection is not whole yet.
#[derive(Debug)]
pub(super) struct Intake(Mutex<State>);

impl Intake {
    pub(super) fn new(account: Arc<Account>) -> Self {
        Self(Mutex::new(State { account, phase: Phase::Head, bytes: 0, due: None }))
    }

    /// A request's head has arrived. What follows is on this account: behind a proxy, only the head tells whose it is.
    pub(super) fn begin_request(&self, account: Arc<Account>) {
        let mut state = self.state();
        state.settle(0);
        state.account = account;
        state.phase = Phase::Body;
    }

    /// The request is answered.
    pub(super) fn end_request(&self) {
        let mut state = self.state();
        state.settle(0);
        state.phase = Phase::Head;
    }

    /// From here on there are WebSocket messages, which arrive within `patience`.
    pub(super) fn begin_socket(&self, patience: Duration) {
        let mut state = self.state();
        state.settle(0);
        state.phase = Phase::Socket(patience);
    }

    /// What was under way has arrived as a whole.
    pub(super) fn settle(&self) {
        self.state().settle(0);
    }

    /// A WebSocket's control frame with so much in it has arrived, perhaps between the parts of a message.
    pub(super) fn settle_control(&self, payload: usize) {
        // Two bytes of head and four of the mask (RFC 6455, section 5.2).
        let frame = payload + 6;
        let mut state = self.state();
        let rest = state.bytes.saturating_sub(frame);
        state.settle(rest);
    }

    /// So many bytes of a request's body are kept until it is whole; whether there are no more than there may be.
    pub(super) fn keep(&self, bytes: usize) -> bool {
        self.state().add(bytes)
    }

    fn arrived(&self, bytes: usize) -> Result<(), Unfinished> {
        let mut state = self.state();
        match state.phase {
            Phase::Body => return Ok(()),
            Phase::Socket(patience) if state.due.is_none() => state.due = Some(Instant::now() + patience),
            Phase::Head | Phase::Socket(_) => {}
        }
        if state.add(bytes) { Ok(()) } else { Err(Unfinished::TooMuch) }
    }

    fn due(&self) -> Option<Instant> {
        self.state().due
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        self.account.add_bytes(bytes)
    }

    /// All but `rest` bytes were part of something that is whole now.
    fn settle(&mut self, rest: usize) {
        self.account.remove_bytes(self.bytes - rest);
        self.bytes = rest;
        if rest == 0 {
            self.due = None;
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.settle(0);
    }
}

/// A TCP stream that tells its [`Intake`] what arrives.
#[derive(Debug)]
pub(super) struct Metered {
    stream: TcpStream,
    intake: Arc<Intake>,
    /// Only there while something is waited for that is due.
    due: Option<Pin<Box<Sleep>>>,
}

impl Metered {
    pub(super) fn new(stream: TcpStream, intake: Arc<Intake>) -> Self {
        Self { stream, intake, due: None }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                let arrived = buf.filled().len() - before;
                Poll::Ready(self.intake.arrived(arrived).map_err(io::Error::other))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let Some(due) = self.intake.due() else {
                    self.due = None;
                    return Poll::Pending;
                };
                if self.due.as_ref().is_none_or(|sleep| sleep.deadline() != due) {
                    self.due = Some(Box::pin(sleep_until(due)));
                }
                if let Some(sleep) = &mut self.due {
                    ready!(sleep.as_mut().poll(cx));
                }
                Poll::Ready(Err(io::Error::other(Unfinished::TooSlow)))
            }
        }
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
