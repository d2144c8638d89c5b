//! The peers: what a careful engineer would measure against.
//!
//! `/raw` broadcasts bytes that were made once to every WebSocket, one flush a frame: the floor of fan-out.
//! `/script` answers each message of a client with frames that were made once, in one flush: the floor of a storm.
//! `/graphql` is async-graphql-axum as documented, with the same mutation as herald's and no storage at all: the
//! ceiling of sends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_graphql::{EmptySubscription, ID, InputObject, Object, Schema, SimpleObject};
use async_graphql_axum::GraphQL;
use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::{get, post, post_service};
use futures_util::SinkExt;
use tokio::sync::broadcast;

struct Query;

#[Object]
impl Query {
    async fn ok(&self) -> bool {
        true
    }
}

struct Mutation;

#[derive(InputObject)]
struct SendMessageInput {
    conversation_id: ID,
    body: String,
    idempotency_key: Option<String>,
}

#[derive(SimpleObject)]
struct User {
    id: ID,
    handle: String,
}

#[derive(SimpleObject)]
struct Message_ {
    id: ID,
    body: String,
    sent_at: String,
    sender: User,
}

#[derive(SimpleObject)]
struct Payload {
    message: Message_,
    cursor: String,
}

static SENT: AtomicU64 = AtomicU64::new(0);

#[Object]
impl Mutation {
    async fn send_message(&self, input: SendMessageInput) -> Payload {
        let position = SENT.fetch_add(1, Ordering::Relaxed);
        let _ = (input.conversation_id, input.idempotency_key);
        Payload {
            message: Message_ {
                id: format!("msg_{position:032x}").into(),
                body: input.body,
                sent_at: "2026-11-24T06:30:00.000Z".into(),
                sender: User { id: "usr_0".into(), handle: "somebody".into() },
            },
            cursor: format!("cursor-{position}"),
        }
    }
}

pub(crate) async fn serve(port: u16) {
    let (events, _) = broadcast::channel::<Utf8Bytes>(1_024);
    let schema = Schema::new(Query, Mutation, EmptySubscription);
    let scripted = Router::new().route("/script", get(play).post(learn)).with_state(Script::default());
    let router = Router::new()
        .route("/graphql", post_service(GraphQL::new(schema)))
        .route("/raw", get(subscribe))
        .route("/publish", post(publish))
        .with_state(Arc::new(events))
        .merge(scripted);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    axum::serve(listener, router).await.unwrap();
}

type Events = Arc<broadcast::Sender<Utf8Bytes>>;

async fn subscribe(State(events): State<Events>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.read_buffer_size(4_096).write_buffer_size(4_096).on_upgrade(move |mut socket| async move {
        let mut events = events.subscribe();
        while let Ok(event) = events.recv().await {
            if socket.send(Message::Text(event)).await.is_err() {
                return;
            }
        }
    })
}

async fn publish(State(events): State<Events>, body: String) {
    let _ = events.send(body.into());
}

/// The frames that answer a client's first message, its second, and so on.
type Script = Arc<Mutex<Arc<Vec<Vec<Utf8Bytes>>>>>;

async fn play(State(script): State<Script>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.read_buffer_size(4_096).on_upgrade(move |mut socket| async move {
        let script = Arc::clone(&script.lock().unwrap());
        for frames in script.iter() {
            let Some(Ok(Message::Text(_))) = socket.recv().await else { return };
            for frame in frames {
                if socket.feed(Message::Text(frame.clone())).await.is_err() {
                    return;
                }
            }
            if socket.flush().await.is_err() {
                return;
            }
        }
        // Until the client closes.
        while let Some(Ok(_)) = socket.recv().await {}
    })
}

async fn learn(State(script): State<Script>, body: String) {
    let frames: Vec<Vec<String>> = serde_json::from_str(&body).unwrap();
    let answers = frames.into_iter().map(|answer| answer.into_iter().map(Utf8Bytes::from).collect());
    *script.lock().unwrap() = Arc::new(answers.collect());
}
