//! The two ways to write answers that follow each other into one HTTP response: server-sent events, and the parts of a
//! multipart response.
//!
//! The events are written by hand. `axum::response::sse::Event` writes no `data` line for an empty text, which the
//! [`Framing::complete`] event needs, and it copies every payload to look for line breaks, which JSON never has.

use crate::graphql::{Cursor, cloud_event};

/// The text between the parts of a multipart response.
const BOUNDARY: &str = "\r\n--graphql";

/// The id of the event that says that no further answers follow. The `EventSource` of a browser connects again all
/// the same, and sends this id as `Last-Event-ID`.
pub(in crate::transport) const COMPLETE: &str = "complete";

/// The way to write answers that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transport) enum Framing {
    /// Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), in the "distinct
    /// connections mode" of <https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>.
    EventStream,
    /// Apollo's multipart protocol
    /// (<https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol>).
    Multipart,
    /// CloudEvents in JSON as server-sent events. An `EventSource` gives each to `onmessage`.
    CloudEvents,
}

impl Framing {
    /// The media type of the response. The multipart one has the exact form that Apollo's own router writes, because
    /// Apollo's clients compare the text.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::EventStream | Self::CloudEvents => "text/event-stream",
            Self::Multipart => r#"multipart/mixed;boundary="graphql";subscriptionSpec=1.0"#,
        }
    }

    /// The text before the first answer. It tells an `EventSource` to wait `retry_millis` before it connects again,
    /// and to continue after `cursor`.
    pub(super) fn opening(self, retry_millis: u64, cursor: Option<&Cursor>) -> String {
        match (self, cursor) {
            (Self::EventStream | Self::CloudEvents, Some(cursor)) => {
                format!("retry: {retry_millis}\nid: {}\n\n", cursor.as_str())
            }
            (Self::EventStream | Self::CloudEvents, None) => format!("retry: {retry_millis}\n\n"),
            // The first part comes at once, so that proxies pass the response on and the client knows that it is
            // subscribed.
            (Self::Multipart, _) => BOUNDARY.to_owned() + &self.heartbeat(),
        }
    }

    /// Writes an answer that is already JSON. A client that resumes with `cursor` continues after this answer.
    pub(super) fn next(self, payload: &str, cursor: Option<&Cursor>) -> String {
        match (self, cursor) {
            (Self::EventStream, Some(cursor)) => {
                ["event: next\nid: ", cursor.as_str(), "\ndata: ", payload, "\n\n"].concat()
            }
            (Self::EventStream, None) => ["event: next\ndata: ", payload, "\n\n"].concat(),
            (Self::CloudEvents, Some(cursor)) => {
                let event = cloud_event(payload, cursor.as_str());
                ["id: ", cursor.as_str(), "\ndata: ", &event, "\n\n"].concat()
            }
            // A refusal, which is no event of the log.
            (Self::CloudEvents, None) => ["event: error\ndata: ", payload, "\n\n"].concat(),
            // The boundary follows its part at once, because a client waits for it before it uses the part.
            (Self::Multipart, _) => part(&[r#"{"payload":"#, payload, "}"]),
        }
    }

    /// Shows client and proxies that the connection is alive. It carries no answer.
    pub(super) fn heartbeat(self) -> String {
        match self {
            Self::EventStream | Self::CloudEvents => ":\n\n".to_owned(),
            Self::Multipart => part(&["{}"]),
        }
    }

    /// Says that no further answers follow.
    pub(super) fn complete(self) -> String {
        match self {
            // An `EventSource` hides an event without a `data` line from its page.
            Self::EventStream => format!("event: complete\nid: {COMPLETE}\ndata:\n\n"),
            Self::Multipart => "--\r\n".to_owned(),
            // The log does not end. What comes before says why it breaks off.
            Self::CloudEvents => String::new(),
        }
    }
}

fn part(body: &[&str]) -> String {
    ["\r\nContent-Type: application/json\r\n\r\n", &body.concat(), BOUNDARY].concat()
}
