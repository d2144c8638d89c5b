//! How answers that arrive one by one are written over HTTP: as server-sent events, or as the parts of a multipart
//! response.

use crate::graphql::Cursor;

/// What stands between the parts of a multipart response.
const BOUNDARY: &str = "\r\n--graphql";

/// The id of the event that says that there are no more. A browser's `EventSource` connects again all the same,
/// and sends it back as `Last-Event-ID`.
pub(super) const COMPLETE: &str = "complete";

/// The way of framing answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), in the "distinct
    /// connections mode" of <https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>.
    EventStream,
    /// Apollo's multipart protocol
    /// (<https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol>).
    Multipart,
}

impl Framing {
    /// The media type of the response. Of the multipart one it is written just as Apollo's own router does, since
    /// Apollo's clients compare its text.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::EventStream => "text/event-stream",
            Self::Multipart => r#"multipart/mixed;boundary="graphql";subscriptionSpec=1.0"#,
        }
    }

    /// What stands before the first answer. An `EventSource` waits `retry` milliseconds before it connects again,
    /// and then goes on after `cursor`.
    pub(super) fn opening(self, retry: u64, cursor: Option<&Cursor>) -> String {
        match (self, cursor) {
            (Self::EventStream, Some(cursor)) => format!("retry: {retry}\nid: {}\n\n", cursor.as_str()),
            (Self::EventStream, None) => format!("retry: {retry}\n\n"),
            // A part at once, so that whatever stands between has something to hand on, and the client knows that it
            // follows.
            (Self::Multipart, _) => BOUNDARY.to_owned() + &self.heartbeat(),
        }
    }

    /// An answer, already JSON, after which `cursor` goes on.
    pub(super) fn next(self, payload: &str, cursor: Option<&Cursor>) -> String {
        match (self, cursor) {
            (Self::EventStream, Some(cursor)) => {
                ["event: next\nid: ", cursor.as_str(), "\ndata: ", payload, "\n\n"].concat()
            }
            (Self::EventStream, None) => ["event: next\ndata: ", payload, "\n\n"].concat(),
            // The boundary follows its part at once: a client hands a part on when it has read what ends it.
            (Self::Multipart, _) => part(&[r#"{"payload":"#, payload, "}"]),
        }
    }

    /// A sign of life.
    pub(super) fn heartbeat(self) -> String {
        match self {
            Self::EventStream => ":\n\n".to_owned(),
            Self::Multipart => part(&["{}"]),
        }
    }

    /// There will be no further answers.
    pub(super) fn complete(self) -> String {
        match self {
            // Without a `data` line, an `EventSource` would not tell its page.
            Self::EventStream => format!("event: complete\nid: {COMPLETE}\ndata:\n\n"),
            Self::Multipart => "--\r\n".to_owned(),
        }
    }
}

fn part(body: &[&str]) -> String {
    ["\r\nContent-Type: application/json\r\n\r\n", &body.concat(), BOUNDARY].concat()
}
