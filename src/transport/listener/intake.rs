//! Counts the bytes of a connection that belong to a message or request that has arrived only in part.
//!
//! They count on the account of an address. The part of a head or of a WebSocket message also has a time in which the
//! rest must follow.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use super::addresses::Account;

/// Bytes around the payload of a client's control frame: two for the head and four for the mask (RFC 6455, section
/// 5.2).
const CONTROL_FRAME_OVERHEAD_BYTES: usize = 6;

/// What the bytes of a connection belong to. Whoever parses them tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The head of the next request. It has this time from its first byte to its last.
    Head(Duration),
    /// The body of a request. Its reader counts the bytes, and refuses a body that is too large with an answer.
    Body,
    /// WebSocket messages, each of which has this time.
    Socket(Duration),
}

#[derive(Debug)]
struct State {
    account: Arc<Account>,
    head_timeout: Duration,
    phase: Phase,
    /// The counted bytes of what has arrived only in part.
    bytes: usize,
    /// The time by which the rest of a head or of a WebSocket message must arrive.
    due: Option<Instant>,
}

/// Why herald reads no further from a connection.
#[derive(Debug, Error)]
pub(in crate::transport) enum Unfinished {
    #[error("its address has too much under way")]
    TooManyBytes,
    #[error("a head or a message did not arrive in time")]
    TooSlow,
}

/// The count of one connection's unfinished bytes.
#[derive(Debug)]
pub(in crate::transport) struct Intake(Mutex<State>);

impl Intake {
    /// The count of a connection that was just accepted. The head of its first request has to be there within
    /// `head_timeout`.
    pub(super) fn new(account: Arc<Account>, head_timeout: Duration) -> Self {
        let due = Some(Instant::now() + head_timeout);
        Self(Mutex::new(State { account, head_timeout, phase: Phase::Head(head_timeout), bytes: 0, due }))
    }

    /// Says that a request's head is complete. The rest of the request counts on `account`: behind a proxy, only the
    /// head tells which address that is.
    pub(super) fn begin_request(&self, account: Arc<Account>) {
        let mut state = self.state();
        state.keep(0);
        state.account = account;
        state.phase = Phase::Body;
    }

    /// Says that the request is answered.
    pub(super) fn end_request(&self) {
        let mut state = self.state();
        state.keep(0);
        state.phase = Phase::Head(state.head_timeout);
    }

    /// Says that WebSocket messages follow. Each has `message_timeout` from its first byte to its last.
    pub(in crate::transport) fn begin_socket(&self, message_timeout: Duration) {
        let mut state = self.state();
        state.keep(0);
        state.phase = Phase::Socket(message_timeout);
    }

    /// Says that everything that has arrived is complete.
    pub(in crate::transport) fn settle(&self) {
        self.state().keep(0);
    }

    /// Says that a WebSocket control frame is complete. Unlike [`Self::settle`], it leaves the count of a message
    /// between whose fragments the control frame arrived.
    pub(in crate::transport) fn settle_control_frame(&self, payload_bytes: usize) {
        let mut state = self.state();
        let rest = state.bytes.saturating_sub(payload_bytes + CONTROL_FRAME_OVERHEAD_BYTES);
        state.keep(rest);
    }

    /// Counts bytes of a request's body, and tells whether the address stays within its bound.
    pub(in crate::transport) fn add(&self, bytes: usize) -> bool {
        self.state().add(bytes)
    }

    /// Counts bytes that the connection received, unless they belong to a body.
    pub(super) fn receive(&self, bytes: usize) -> Result<(), Unfinished> {
        let mut state = self.state();
        match state.phase {
            Phase::Body => return Ok(()),
            Phase::Head(timeout) | Phase::Socket(timeout) => {
                state.due.get_or_insert_with(|| Instant::now() + timeout);
            }
        }
        if state.add(bytes) { Ok(()) } else { Err(Unfinished::TooManyBytes) }
    }

    /// The time by which the rest of a head or of a WebSocket message must arrive; `None` while none is under way.
    pub(super) fn due(&self) -> Option<Instant> {
        self.state().due
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        self.account.add_bytes(bytes)
    }

    /// Removes all but `rest` bytes from the count.
    fn keep(&mut self, rest: usize) {
        self.account.remove_bytes(self.bytes - rest);
        self.bytes = rest;
        if rest == 0 {
            self.due = None;
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.keep(0);
    }
}
