//! The messages of the `graphql-transport-ws` protocol
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>), as types.

use serde_json::{Map, Value};

use crate::graphql::{Params, members};

/// The subprotocol's name.
pub(super) const SUBPROTOCOL: &str = "graphql-transport-ws";

/// Longest id of an operation, in bytes. Clients use counters or UUIDs.
const LONGEST_ID: usize = 128;

/// What a client may say.
#[derive(Debug)]
pub(super) enum ClientMessage {
    ConnectionInit { payload: Option<Map<String, Value>> },
    Ping { payload: Option<Map<String, Value>> },
    Pong,
    Subscribe { id: String, payload: Result<Box<Params>, String> },
    Complete { id: String },
}

impl ClientMessage {
    /// Reads a message; whatever cannot be read closes the socket with the returned reason.
    ///
    /// A `subscribe` whose id can be read is always read: what is wrong with its payload concerns that operation alone.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let [kind, id, payload] =
            members(text, ["type", "id", "payload"]).map_err(|error| error.to_string())?;
        let kind: String = kind.read("type", "a string")?.ok_or("there is no `type`")?;
        let id = || {
            let id: String = id.read("id", "a string")?.ok_or("there is no `id`")?;
            let fits = (1..=LONGEST_ID).contains(&id.len());
            if fits { Ok(id) } else { Err(format!("an id has 1 to {LONGEST_ID} bytes")) }
        };
        let object = || payload.read("payload", "an object");
        Ok(match kind.as_str() {
            "connection_init" => Self::ConnectionInit { payload: object()? },
            "ping" => Self::Ping { payload: object()? },
            "pong" => Self::Pong,
            "subscribe" => Self::Subscribe { id: id()?, payload: Params::member(payload).map(Box::new) },
            "complete" => Self::Complete { id: id()? },
            _ => return Err(format!("the type {kind:?} is unknown")),
        })
    }
}

/// Why herald closes a socket, and with which code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Goodbye {
    /// Nobody is signed in, and nothing is asked. A client takes this code for the regular end: it comes back when it
    /// has something to ask, and not before, where another code would have an idle client come back for ever.
    Unused,
    /// herald is stopping; the client resumes elsewhere or later.
    Stopping,
    /// The bytes are no WebSocket messages.
    Protocol,
    /// Text that is not UTF-8.
    NotUtf8,
    /// A message over the limit.
    TooBig,
    /// herald cannot serve now.
    TryAgainLater,
    /// A message that does not come to its end; the client may be on a bad network, and comes back.
    Unfinished(String),
    /// A message that the protocol does not know.
    Invalid(String),
    /// An operation before the connection was acknowledged.
    NotAcknowledged,
    /// A token that stands for no session, a session that ended, or too many sockets.
    Forbidden(&'static str),
    /// No `connection_init` in time.
    InitTimeout,
    /// An id that is in use.
    DuplicateId,
    /// A second `connection_init`.
    TooManyInits,
}

impl Goodbye {
    /// The close code.
    pub(super) fn code(&self) -> u16 {
        match self {
            Self::Unused => 1000,
            Self::Stopping => 1001,
            Self::Protocol => 1002,
            Self::NotUtf8 => 1007,
            Self::TooBig => 1009,
            Self::TryAgainLater | Self::Unfinished(_) => 1013,
            Self::Invalid(_) => 4400,
            Self::NotAcknowledged => 4401,
            Self::Forbidden(_) => 4403,
            Self::InitTimeout => 4408,
            Self::DuplicateId => 4409,
            Self::TooManyInits => 4429,
        }
    }

    /// The reason, which must fit the 123 bytes that a close frame leaves for it (RFC 6455, section 5.5).
    pub(super) fn reason(&self) -> String {
        let reason = match self {
            Self::Unused => "Nobody is signed in and nothing was asked",
            Self::Stopping => "Going away",
            Self::Protocol => "Protocol error",
            Self::NotUtf8 => "Text must be UTF-8",
            Self::TooBig => "Message too big",
            Self::TryAgainLater => "Try again later",
            Self::Invalid(reason) => return truncate(&format!("Invalid message: {reason}"), 123).to_owned(),
            Self::NotAcknowledged => "Unauthorized",
            Self::Unfinished(reason) => return format!("Try again later: {reason}"),
            Self::Forbidden(reason) => reason,
            Self::InitTimeout => "Connection initialisation timeout",
            Self::DuplicateId => "Subscriber for this id already exists",
            Self::TooManyInits => "Too many initialisation requests",
        };
        reason.to_owned()
    }
}

/// As much of `text` as fits into `most` bytes.
fn truncate(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// How every message about the operation `id` begins; it also tells the operations of a socket apart.
pub(super) fn frame(id: &str) -> String {
    format!(r#"{{"id":{},"type":""#, Value::from(id))
}

/// `next`: an answer, already JSON, to the operation whose messages begin with `frame`.
pub(super) fn next(frame: &str, payload: &str) -> String {
    [frame, r#"next","payload":"#, payload, "}"].concat()
}

/// `error`: the errors, already JSON, that end an operation.
pub(super) fn error(frame: &str, errors: &str) -> String {
    [frame, r#"error","payload":"#, errors, "}"].concat()
}

/// `complete`: there will be no further answers.
pub(super) fn complete(frame: &str) -> String {
    [frame, r#"complete"}"#].concat()
}

/// `connection_ack`, with what a client needs to resume and to be left out of what it causes.
pub(super) fn ack(connection: &str, cursor: &str) -> String {
    let payload = serde_json::json!({ "connectionId": connection, "cursor": cursor });
    format!(r#"{{"type":"connection_ack","payload":{payload}}}"#)
}

/// `pong`, with what came with the ping.
pub(super) fn pong(payload: Option<Map<String, Value>>) -> String {
    match payload {
        Some(payload) => format!(r#"{{"type":"pong","payload":{}}}"#, Value::Object(payload)),
        None => r#"{"type":"pong"}"#.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_protocol_does_not_know_is_refused() {
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"type":"nonsense"}"#,
            r#"{"type":"subscribe"}"#,
            r#"{"type":"subscribe","id":"","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":7,"payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"\ud83d","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"1","id":"1","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","type":"subscribe","id":"1","payload":{"query":"{a}"}}"#,
            r#"["subscribe","1",{"query":"{a}"}]"#,
            r#"{"type":"complete"}"#,
            r#"{"type":"connection_init","payload":"x"}"#,
        ] {
            assert!(ClientMessage::read(bad).is_err(), "{bad}");
        }
        let huge = format!(r#"{{"type":"complete","id":"{}"}}"#, "x".repeat(1_000));
        assert!(ClientMessage::read(&huge).is_err());
    }

    #[test]
    fn a_reason_fits_a_close_frame_whatever_it_quotes() {
        let reason = Goodbye::Invalid("é".repeat(500)).reason();
        assert!(reason.len() <= 123 && reason.len() > 100);
    }

    #[test]
    fn ids_are_quoted() {
        assert_eq!(complete(&frame("a\"b")), r#"{"id":"a\"b","type":"complete"}"#);
        assert_eq!(next(&frame("1"), "{}"), r#"{"id":"1","type":"next","payload":{}}"#);
    }
}
