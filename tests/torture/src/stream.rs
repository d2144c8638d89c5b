//! A subscription over HTTP: one response that stays open, as server-sent events or as the parts of a multipart
//! response.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::socket::Heard;

/// How long a response may take to begin.
const OPENING: Duration = Duration::from_secs(6);

/// What stands between the parts of a multipart response.
const BOUNDARY: &str = "\r\n--graphql";

/// What stands after the last boundary.
const END: &str = "--\r\n";

/// The media type of what opens nothing, in its older form, which has the status 200.
const JSON: &str = "application/json";

/// How answers are written into the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    EventStream,
    Multipart,
}

impl Framing {
    fn accept(self) -> &'static str {
        match self {
            Self::EventStream => "text/event-stream",
            Self::Multipart => "multipart/mixed;subscriptionSpec=1.0, application/json",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::EventStream => "text/event-stream",
            Self::Multipart => r#"multipart/mixed;boundary="graphql";subscriptionSpec=1.0"#,
        }
    }

    fn separator(self) -> &'static str {
        match self {
            Self::EventStream => "\n\n",
            Self::Multipart => BOUNDARY,
        }
    }
}

/// A subscription as it is asked for.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) token: &'a str,
    pub(crate) connection: &'a str,
    pub(crate) query: &'a str,
    pub(crate) variables: &'a Value,
    /// The header `Last-Event-ID`.
    pub(crate) last_event_id: Option<&'a str>,
}

/// An open response.
pub(crate) struct Stream {
    framing: Framing,
    body: Incoming,
    /// What has arrived and is not whole yet.
    rest: Vec<u8>,
    /// Held, so that the connection stays.
    _sender: SendRequest<Full<Bytes>>,
    _driver: Driver,
}

/// What reads and writes the connection. Ended on drop.
struct Driver(JoinHandle<hyper::Result<()>>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Stream {
    /// Asks for a response, and returns when its beginning has arrived: with the id of its first server-sent event,
    /// after which it follows. The error is what was heard instead.
    pub(crate) async fn open(
        port: u16,
        framing: Framing,
        asked: Asked<'_>,
    ) -> Result<(Self, Option<String>), Heard> {
        match timeout(OPENING, Self::begin(port, framing, asked)).await {
            Ok(opened) => opened,
            Err(_) => Err(Heard::Lost("no response in time".into())),
        }
    }

    async fn begin(port: u16, framing: Framing, asked: Asked<'_>) -> Result<(Self, Option<String>), Heard> {
        let tcp = TcpStream::connect(("127.0.0.1", port)).await;
        let tcp = tcp.map_err(|error| Heard::Lost(error.to_string()))?;
        let (mut sender, connection) = handshake(TokioIo::new(tcp)).await.map_err(|error| lost(&error))?;
        let driver = Driver(tokio::spawn(connection));
        let request = request(port, framing, &asked).map_err(|error| Heard::Strange(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(|error| lost(&error))?;
        let content_type = response.headers().get("content-type").cloned();
        let is_json =
            content_type.as_ref().is_some_and(|found| found.as_bytes().starts_with(JSON.as_bytes()));
        if response.status() != StatusCode::OK || is_json {
            return Err(refused(response).await);
        }
        let body = response.into_body();
        let mut stream = Self { framing, body, rest: Vec::new(), _sender: sender, _driver: driver };
        if content_type.as_ref().is_none_or(|found| found != framing.content_type()) {
            return Err(Heard::Strange(format!("a response of the type {content_type:?}")));
        }
        let opening = stream.block().await?;
        let first = match framing {
            Framing::EventStream => Event::read(&opening)?.id,
            Framing::Multipart if opening.is_empty() => None,
            Framing::Multipart => return Err(Heard::Strange(format!("instead of a boundary: {opening:?}"))),
        };
        Ok((stream, first))
    }

    /// What is heard next. May be dropped and called again.
    pub(crate) async fn hear(&mut self) -> Heard {
        let block = match self.block().await {
            Ok(block) => block,
            Err(heard) => return heard,
        };
        let heard = match self.framing {
            Framing::EventStream => Event::read(&block).and_then(Event::heard),
            Framing::Multipart => part(&block),
        };
        heard.unwrap_or_else(|heard| heard)
    }

    /// What comes up to the next separator. The error is what is heard when there is none.
    async fn block(&mut self) -> Result<String, Heard> {
        let separator = self.framing.separator().as_bytes();
        loop {
            if self.framing == Framing::Multipart && self.rest.starts_with(END.as_bytes()) {
                return Err(Heard::Complete);
            }
            if let Some(at) = self.rest.windows(separator.len()).position(|here| here == separator) {
                let block = self.rest.drain(..at + separator.len()).take(at).collect();
                return String::from_utf8(block).map_err(|error| Heard::Strange(error.to_string()));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.rest.extend_from_slice(&bytes);
                    }
                }
                Some(Err(error)) => return Err(lost(&error)),
                // herald closes a stream that it cannot continue.
                None => return Err(Heard::Strange("a response ended before it was complete".into())),
            }
        }
    }
}

fn request(
    port: u16,
    framing: Framing,
    asked: &Asked<'_>,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut request = Request::post("/graphql")
        .header("host", format!("127.0.0.1:{port}"))
        .header("content-type", "application/json")
        .header("accept", framing.accept())
        .header("authorization", format!("Bearer {}", asked.token))
        .header("x-connection-id", asked.connection);
    if let Some(id) = asked.last_event_id {
        request = request.header("last-event-id", id);
    }
    let body = json!({ "query": asked.query, "variables": asked.variables });
    request.body(Full::new(Bytes::from(body.to_string())))
}

/// What a response says that opens nothing.
async fn refused(response: Response<Incoming>) -> Heard {
    let status = response.status();
    let bytes = match response.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return lost(&error),
    };
    let errors = serde_json::from_slice(&bytes).map(|mut json: Value| json["errors"].take());
    match errors {
        Ok(errors) if errors.is_array() => Heard::Refused(errors),
        // A request that does not reach GraphQL may be answered without a body.
        _ if bytes.is_empty() => Heard::Lost(format!("answered with a bare {status}")),
        _ => Heard::Strange(format!("answered with {status}: {:?}", String::from_utf8_lossy(&bytes))),
    }
}

/// What a failure of the connection comes to.
fn lost(error: &hyper::Error) -> Heard {
    if error.is_parse() && !error.is_incomplete_message() {
        return Heard::Strange(format!("no HTTP: {error}"));
    }
    Heard::Lost(error.to_string())
}

/// A server-sent event. `None` for a comment.
#[derive(Debug, Default)]
struct Event {
    kind: Option<String>,
    id: Option<String>,
    data: Option<String>,
}

impl Event {
    fn read(block: &str) -> Result<Self, Heard> {
        let mut event = Self::default();
        for line in block.split('\n') {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match name {
                // A comment, or the pause before the next connection.
                "" | "retry" => {}
                "event" => event.kind = Some(value),
                "id" => event.id = Some(value),
                "data" if event.data.is_none() => event.data = Some(value),
                _ => return Err(Heard::Strange(format!("no server-sent event of herald's: {block:?}"))),
            }
        }
        Ok(event)
    }

    fn heard(self) -> Result<Heard, Heard> {
        let Self { kind, id, data } = self;
        match (kind.as_deref(), data) {
            (None, None) => Ok(Heard::Alive),
            (Some("complete"), Some(_)) => Ok(Heard::Complete),
            (Some("next"), Some(data)) => {
                let heard = answer(json_of(&data)?);
                if let Heard::Next(payload) = &heard
                    && let Some(cursor) = payload["data"]["event"]["cursor"].as_str()
                    && id.as_deref() != Some(cursor)
                {
                    // An `EventSource` resumes from this id.
                    return Err(Heard::Strange(format!("the id is {id:?}, and the event {payload}")));
                }
                Ok(heard)
            }
            (kind, data) => Err(Heard::Strange(format!("no event of herald's: {kind:?} {data:?}"))),
        }
    }
}

/// What a part of a multipart response says.
fn part(part: &str) -> Result<Heard, Heard> {
    let body = part.strip_prefix("\r\nContent-Type: application/json\r\n\r\n");
    let mut body = json_of(body.ok_or_else(|| Heard::Strange(format!("no part: {part:?}")))?)?;
    if body == json!({}) {
        return Ok(Heard::Alive);
    }
    match body.get_mut("payload") {
        Some(payload) => Ok(answer(payload.take())),
        None => Err(Heard::Strange(format!("a part without a payload: {body}"))),
    }
}

/// An answer to the subscription, or why there is none: nothing was executed then.
fn answer(mut payload: Value) -> Heard {
    match payload.get("data") {
        Some(_) => Heard::Next(payload),
        None => Heard::Refused(payload["errors"].take()),
    }
}

fn json_of(text: &str) -> Result<Value, Heard> {
    serde_json::from_str(text).map_err(|error| Heard::Strange(format!("no JSON ({error}): {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(block: &str) -> Heard {
        Event::read(block).and_then(Event::heard).unwrap_or_else(|heard| heard)
    }

    #[test]
    fn a_server_sent_event_is_an_answer_whose_id_is_its_cursor() {
        let data = r#"data: {"data":{"event":{"cursor":"c"}}}"#;
        assert!(matches!(event(&format!("event: next\nid: c\n{data}")), Heard::Next(_)));
        assert!(matches!(event(&format!("event: next\nid: d\n{data}")), Heard::Strange(_)));
        assert!(matches!(event(&format!("event: next\n{data}")), Heard::Strange(_)));
        assert!(matches!(event("event: next\ndata: {\"errors\":[]}"), Heard::Refused(_)));
        assert!(matches!(event("event: complete\nid: complete\ndata:"), Heard::Complete));
        assert!(matches!(event(":"), Heard::Alive));
        assert!(matches!(event("evnt: next"), Heard::Strange(_)));
        assert_eq!(Event::read("retry: 700\nid: c").unwrap().id.as_deref(), Some("c"));
    }

    #[test]
    fn a_part_is_an_answer_or_a_sign_of_life() {
        let read = |body: &str| {
            let text = format!("\r\nContent-Type: application/json\r\n\r\n{body}");
            part(&text).unwrap_or_else(|heard| heard)
        };
        assert!(matches!(read(r#"{"payload":{"data":{"event":{}}}}"#), Heard::Next(_)));
        assert!(matches!(read(r#"{"payload":{"errors":[]}}"#), Heard::Refused(_)));
        assert!(matches!(read("{}"), Heard::Alive));
        assert!(matches!(read(r#"{"data":{}}"#), Heard::Strange(_)));
        assert!(matches!(part("{}"), Err(Heard::Strange(_))));
    }
}
