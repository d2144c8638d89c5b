//! The peers: what a careful engineer would measure against.
//!
//! `/raw` broadcasts bytes that were made once to every WebSocket, one flush a frame: the floor of fan-out.
//! `/graphql` is async-graphql-axum as documented, with the same mutation as herald's and no storage at all: the
//! ceiling of sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_graphql::{EmptySubscription, ID, InputObject, Object, Schema, SimpleObject};
use async_graphql_axum::GraphQL;
use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::{get, post, post_service};
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
    let router = Router::new()
        .route("/graphql", post_service(GraphQL::new(schema)))
        .route("/raw", get(subscribe))
        .route("/publish", post(publish))
        .with_state(Arc::new(events));
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
