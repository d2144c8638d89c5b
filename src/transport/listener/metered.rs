//! A TCP stream that reports to its [`Intake`] what it receives.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until};

use super::intake::{Intake, Unfinished};

/// A TCP stream whose reads fail when its address has too many unfinished bytes, or when a message is too slow.
#[derive(Debug)]
pub(super) struct MeteredStream {
    stream: TcpStream,
    intake: Arc<Intake>,
    /// A timer that exists only while a read waits for the rest of a message.
    due: Option<Pin<Box<Sleep>>>,
}

impl MeteredStream {
    pub(super) fn new(stream: TcpStream, intake: Arc<Intake>) -> Self {
        Self { stream, intake, due: None }
    }

    /// Waits until the message under way is overdue.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(due) = self.intake.due() else {
            self.due = None;
            return Poll::Pending;
        };
        let sleep = match &mut self.due {
            Some(sleep) if sleep.deadline() == due => sleep,
            other => other.insert(Box::pin(sleep_until(due))),
        };
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::other(Unfinished::TooSlow)))
    }
}

impl AsyncRead for MeteredStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled_before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                let received = buf.filled().len() - filled_before;
                Poll::Ready(self.intake.receive(received).map_err(io::Error::other))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_overdue(cx),
        }
    }
}

impl AsyncWrite for MeteredStream {
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
