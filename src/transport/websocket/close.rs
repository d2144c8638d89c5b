//! Why a socket stops being served, and with which code herald closes it.

use std::error::Error as StdError;
use std::io;

use thiserror::Error;
use tungstenite::error::{CapacityError, ProtocolError};

use crate::transport::listener::Unfinished;

/// The space that a close frame has for its reason (RFC 6455, section 5.5).
const MAX_REASON_BYTES: usize = 123;

/// Why herald closes a socket. The text is the reason in the close frame; what else a variant carries is only logged.
#[derive(Debug, Error)]
pub(super) enum CloseReason {
    /// Nobody is signed in, and no operation runs. graphql-ws takes this code for the regular end and comes back when
    /// an operation waits; after another code, a client that connects eagerly would come back for ever.
    #[error("Nobody is signed in and nothing was asked")]
    Unused,
    /// herald stops. The client resumes on another node, or later.
    #[error("Going away")]
    Stopping,
    #[error("Protocol error")]
    Protocol(#[source] ProtocolError),
    #[error("Text must be UTF-8")]
    NotUtf8(String),
    #[error("Message too big")]
    TooBig(#[source] CapacityError),
    /// The database does not answer. It has logged the cause.
    #[error("Try again later")]
    Unavailable,
    /// A message stays incomplete. Perhaps the client is on a bad network, so it may come back.
    #[error("Try again later: {0}")]
    Unfinished(#[source] io::Error),
    #[error("Invalid message: {0}")]
    InvalidMessage(String),
    #[error("Unauthorized")]
    NotAcknowledged,
    /// The token stands for no session, for this reason.
    #[error("Invalid token")]
    InvalidToken(String),
    /// The client may not act for the user whom it names, for this reason.
    #[error("Forbidden: {0}")]
    Forbidden(String),
    /// The token of another login system is not believed: a sentence that says why.
    #[error("Invalid token: {0}")]
    Refused(String),
    #[error("The session has ended")]
    SessionEnded,
    #[error("Too many sockets of this user")]
    TooManySockets,
    #[error("Connection initialisation timeout")]
    InitTimeout,
    #[error("Subscriber for this id already exists")]
    DuplicateId,
    #[error("Too many initialisation requests")]
    TooManyInits,
}

impl CloseReason {
    /// The close code. 4400 and above are those of the `graphql-transport-ws` protocol.
    pub(super) fn code(&self) -> u16 {
        match self {
            Self::Unused => 1000,
            Self::Stopping => 1001,
            Self::Protocol(_) => 1002,
            Self::NotUtf8(_) => 1007,
            Self::TooBig(_) => 1009,
            Self::Unavailable | Self::Unfinished(_) => 1013,
            Self::InvalidMessage(_) => 4400,
            Self::NotAcknowledged => 4401,
            Self::InvalidToken(_)
            | Self::Forbidden(_)
            | Self::Refused(_)
            | Self::SessionEnded
            | Self::TooManySockets => 4403,
            Self::InitTimeout => 4408,
            Self::DuplicateId => 4409,
            Self::TooManyInits => 4429,
        }
    }

    /// The text of the close frame. It is cut off where it does not fit.
    pub(super) fn text(&self) -> String {
        let mut text = self.to_string();
        text.truncate(text.floor_char_boundary(MAX_REASON_BYTES));
        text
    }
}

/// What ends the serving of a socket.
#[derive(Debug)]
pub(super) enum SocketEnd {
    /// herald closes the socket.
    Close(CloseReason),
    /// The socket is gone: the client closed it, it broke with this error, or the client accepts no bytes.
    Gone(Option<axum::BoxError>),
}

impl SocketEnd {
    /// The end of a socket to which herald cannot write.
    pub(super) fn not_writable(error: axum::Error) -> Self {
        Self::Gone(Some(error.into_inner()))
    }
}

impl From<CloseReason> for SocketEnd {
    fn from(reason: CloseReason) -> Self {
        Self::Close(reason)
    }
}

/// Maps an error of reading to the end that it means.
impl From<axum::Error> for SocketEnd {
    fn from(error: axum::Error) -> Self {
        use tungstenite::Error;

        match error.into_inner().downcast::<Error>().map(|error| *error) {
            Ok(Error::Capacity(error)) => CloseReason::TooBig(error).into(),
            Ok(Error::Utf8(error)) => CloseReason::NotUtf8(error).into(),
            Ok(Error::Protocol(error @ ProtocolError::ResetWithoutClosingHandshake)) => {
                Self::Gone(Some(error.into()))
            }
            Ok(Error::Protocol(error)) => CloseReason::Protocol(error).into(),
            Ok(Error::Io(error)) if is_unfinished(&error) => CloseReason::Unfinished(error).into(),
            Ok(error) => Self::Gone(Some(error.into())),
            Err(error) => Self::Gone(Some(error)),
        }
    }
}

fn is_unfinished(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn StdError + Send + Sync>::is::<Unfinished>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_fits_a_close_frame_whatever_it_quotes() {
        let text = CloseReason::InvalidMessage("é".repeat(500)).text();
        assert!(text.len() <= MAX_REASON_BYTES && text.len() > 100);
    }
}
