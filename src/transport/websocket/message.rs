//! The messages of the `graphql-transport-ws` protocol
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>), as types.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::graphql::{Member, Params, members};
use crate::trace::TRACEPARENT;

/// The longest id that a client may give an operation. Clients use counters or UUIDs.
const MAX_ID_BYTES: usize = 128;

/// The JSON object of a `ping`.
type Payload = Map<String, Value>;

/// A message of a client.
#[derive(Debug)]
pub(super) enum ClientMessage {
    ConnectionInit {
        payload: InitPayload,
    },
    Ping {
        payload: Option<Payload>,
    },
    Pong,
    /// The payload is the reason, as the end of a sentence, where it is no GraphQL request.
    Subscribe {
        id: OperationId,
        payload: Result<Box<Params>, String>,
    },
    Complete {
        id: OperationId,
    },
}

/// The `type` of a client's message.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ClientMessageType {
    ConnectionInit,
    Ping,
    Pong,
    Subscribe,
    Complete,
}

/// The members of a `connection_init` payload that herald reads.
#[derive(Debug, Default)]
pub(super) struct InitPayload {
    /// The values of `authorization` and `Authorization`, as far as they are there. For a value that is not a string,
    /// it is the reason, as the end of a sentence.
    pub(super) authorizations: Vec<Result<String, String>>,
    /// The user for whom a service acts.
    pub(super) act_as: Option<String>,
    pub(super) connection_id: Option<String>,
    /// Where a trace goes on, in the form of the header `traceparent`.
    pub(super) traceparent: Option<String>,
}

impl ClientMessage {
    /// Reads a message.
    ///
    /// The members are read one by one (`graphql/members.rs`), so that a `subscribe` with a bad payload ends its
    /// operation and not the socket.
    ///
    /// # Errors
    /// What is wrong with the message, as the end of a sentence. It closes the socket.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let [kind, id, payload] =
            members(text, ["type", "id", "payload"]).map_err(|error| error.to_string())?;
        let expected = "connection_init, ping, pong, subscribe or complete";
        let kind: ClientMessageType = kind.read("type", expected)?.ok_or("there is no `type`")?;
        Ok(match kind {
            ClientMessageType::ConnectionInit => {
                Self::ConnectionInit { payload: InitPayload::read(payload)? }
            }
            ClientMessageType::Ping => Self::Ping { payload: payload.read("payload", "an object")? },
            ClientMessageType::Pong => Self::Pong,
            ClientMessageType::Subscribe => {
                Self::Subscribe { id: OperationId::read(id)?, payload: Params::member(payload).map(Box::new) }
            }
            ClientMessageType::Complete => Self::Complete { id: OperationId::read(id)? },
        })
    }
}

impl InitPayload {
    fn read(payload: Member<'_>) -> Result<Self, String> {
        let names = ["authorization", "Authorization", "connectionId", "actAs", TRACEPARENT];
        let members = payload.object("payload", names)?;
        let Some([lower, upper, connection_id, act_as, traceparent]) = members else {
            return Ok(Self::default());
        };
        let authorizations = [lower.read(names[0], "a string"), upper.read(names[1], "a string")];
        Ok(Self {
            authorizations: authorizations.into_iter().filter_map(Result::transpose).collect(),
            connection_id: connection_id.read(names[2], "a string")?,
            act_as: act_as.read(names[3], "a string")?,
            // Whatever is no place in a trace is ignored, of whatever type it is.
            traceparent: traceparent.read(names[4], "a string").unwrap_or_default(),
        })
    }
}

/// The id that a client gives an operation, as the JSON string that each message about the operation repeats.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct OperationId(Arc<str>);

impl OperationId {
    fn read(id: Member<'_>) -> Result<Self, String> {
        let id: String = id.read("id", "a string")?.ok_or("there is no `id`")?;
        if (1..=MAX_ID_BYTES).contains(&id.len()) {
            Ok(Self::new(id))
        } else {
            Err(format!("an id has 1 to {MAX_ID_BYTES} bytes"))
        }
    }

    fn new(id: String) -> Self {
        Self(Value::from(id).to_string().into())
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message of herald.
#[derive(Debug)]
pub(super) enum ServerMessage<'a> {
    ConnectionAck(AckPayload<'a>),
    Pong { payload: Option<Payload> },
    Next { id: &'a OperationId, payload: &'a str },
    Error { id: &'a OperationId, errors: &'a str },
    Complete { id: &'a OperationId },
}

/// What a client needs to resume, and to be left out of what it causes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AckPayload<'a> {
    pub(super) connection_id: &'a str,
    pub(super) cursor: &'a str,
}

impl ServerMessage<'_> {
    /// Writes the message. `payload` and `errors` are JSON already and shared by many sockets, so this joins texts:
    /// serde would parse the payload again for each socket.
    pub(super) fn to_json(&self) -> String {
        match self {
            Self::ConnectionAck(payload) => {
                // A struct of texts can always be written as JSON.
                let payload = serde_json::to_string(payload).unwrap_or_default();
                [r#"{"type":"connection_ack","payload":"#, &payload, "}"].concat()
            }
            Self::Pong { payload: Some(payload) } => {
                // So can a JSON object.
                let payload = serde_json::to_string(payload).unwrap_or_default();
                [r#"{"type":"pong","payload":"#, &payload, "}"].concat()
            }
            Self::Pong { payload: None } => r#"{"type":"pong"}"#.to_owned(),
            Self::Next { id, payload } => {
                [r#"{"id":"#, &id.0, r#","type":"next","payload":"#, payload, "}"].concat()
            }
            Self::Error { id, errors } => {
                [r#"{"id":"#, &id.0, r#","type":"error","payload":"#, errors, "}"].concat()
            }
            Self::Complete { id } => [r#"{"id":"#, &id.0, r#","type":"complete"}"#].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_the_protocol_does_not_define_is_refused() {
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
            r#"{"type":"connection_init","payload":["x"]}"#,
        ] {
            assert!(ClientMessage::read(bad).is_err(), "{bad}");
        }
        let huge = format!(r#"{{"type":"complete","id":"{}"}}"#, "x".repeat(1_000));
        assert!(ClientMessage::read(&huge).is_err());
    }

    #[test]
    fn what_a_connection_init_carries_beyond_the_protocol_does_not_matter() {
        let text =
            r#"{"type":"connection_init","payload":{"other":1e400,"authorization":7,"connectionId":"desk"}}"#;
        let Ok(ClientMessage::ConnectionInit { payload }) = ClientMessage::read(text) else {
            panic!("{text} is readable")
        };
        assert_eq!(payload.connection_id.as_deref(), Some("desk"));
        assert_eq!(payload.authorizations, [Err("`authorization` must be a string".to_owned())]);
    }

    #[test]
    fn an_id_is_written_as_a_json_string() {
        let id = OperationId::new("a\"b".into());
        assert_eq!(ServerMessage::Complete { id: &id }.to_json(), r#"{"id":"a\"b","type":"complete"}"#);
        let id = OperationId::new("1".into());
        assert_eq!(
            ServerMessage::Next { id: &id, payload: "{}" }.to_json(),
            r#"{"id":"1","type":"next","payload":{}}"#
        );
    }
}
