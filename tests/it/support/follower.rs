//! One subscription over any transport, for what must hold on all of them.

use serde_json::{Value, json};

use super::{Open, Socket, User};

const MULTIPART: &str = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0";
const BOUNDARY: &str = "\r\n--graphql";

/// The transports of subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    WebSocket,
    EventStream,
    Multipart,
}

impl Transport {
    pub(crate) const ALL: [Self; 3] = [Self::WebSocket, Self::EventStream, Self::Multipart];
}

/// A subscription under way.
pub(crate) enum Follower {
    WebSocket(Box<Socket>),
    EventStream(Open),
    Multipart(Open),
}

impl Follower {
    /// Subscribes on a connection with this id.
    pub(crate) async fn subscribe(
        transport: Transport,
        user: &User,
        connection: &str,
        query: &str,
        variables: Value,
    ) -> Self {
        let accept = match transport {
            Transport::WebSocket => {
                let mut socket = user.socket(connection).await;
                socket.subscribe("1", query, variables).await;
                return Self::WebSocket(Box::new(socket));
            }
            Transport::EventStream => "text/event-stream",
            Transport::Multipart => MULTIPART,
        };
        let headers = [("content-type", "application/json"), ("accept", accept)];
        let body = json!({ "query": query, "variables": variables }).to_string();
        let mut open = Open::request(&user.on(connection), "POST", "/graphql", &headers, &body).await;
        if transport == Transport::EventStream {
            return Self::EventStream(open);
        }
        open.through(BOUNDARY).await.expect("a beginning");
        Self::Multipart(open)
    }

    /// The data of the next answer, which must be without errors.
    pub(crate) async fn next(&mut self) -> Value {
        match self {
            Self::WebSocket(socket) => socket.next("1").await,
            Self::EventStream(open) => {
                let (data, id) = open.next().await;
                let field = data.as_object().unwrap().values().next().unwrap();
                assert_eq!(field.get("cursor"), Some(&json!(id)), "the id is the cursor");
                data
            }
            Self::Multipart(open) => loop {
                let part = open.through(BOUNDARY).await.expect("a part");
                let (_, body) = part.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{part:?}"));
                let mut part: Value = serde_json::from_str(body.strip_suffix(BOUNDARY).unwrap()).unwrap();
                assert_eq!(part["payload"].get("errors"), None, "{part}");
                if part.get("payload").is_some() {
                    return part["payload"]["data"].take();
                }
            },
        }
    }
}
