//! Traces, as a collector gets them: the way of a request through the batch to its deliveries, on every node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};

use crate::crash::Process;
use crate::support::{Socket, TestDatabase, User, request};

const SENT: &str = "subscription($after: Cursor) { messageSent(after: $after) { message { body } } }";

const SEND: &str = "mutation($id: ID!, $body: String!) {
    sendMessage(input: { conversationId: $id, body: $body }) { message { id } }
}";

/// How long a test waits for what is traced, before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A collector that keeps every span.
struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
    count: watch::Receiver<usize>,
}

type Kept = (Arc<Mutex<Vec<Span>>>, watch::Sender<usize>);

async fn keep(State((spans, count)): State<Kept>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    let mut spans = spans.lock().await;
    spans.extend(scopes.flat_map(|scope| scope.spans));
    count.send_replace(spans.len());
}

impl Collector {
    async fn start() -> Self {
        let (sender, count) = watch::channel(0);
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let router = Router::new().route("/v1/traces", post(keep)).with_state((Arc::clone(&spans), sender));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, spans, count }
    }

    /// A herald that sends it what is traced.
    async fn herald(&self, database: &TestDatabase, flags: &[&str]) -> Process {
        let endpoint = format!("http://{}", self.address);
        Process::start_with(&database.url, &[&["--otlp-endpoint", &endpoint], flags].concat()).await
    }

    /// Waits for so many spans of this trace with each of these names, and returns all of the trace.
    async fn trace(&mut self, id: u128, wanted: &[(&str, usize)]) -> Vec<Span> {
        let waiting = async {
            loop {
                self.count.mark_unchanged();
                let spans = self.spans.lock().await;
                let of_trace: Vec<_> =
                    spans.iter().filter(|span| span.trace_id == id.to_be_bytes()).cloned().collect();
                let are_there = |(name, count): &(&str, usize)| {
                    of_trace.iter().filter(|span| span.name == *name).count() >= *count
                };
                if wanted.iter().all(are_there) {
                    return of_trace;
                }
                drop(spans);
                self.count.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{wanted:?} of trace {id:x}"))
    }
}

/// A header `traceparent`.
fn traceparent(trace: u128, span: u64) -> String {
    format!("00-{trace:032x}-{span:016x}-01")
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name} in {spans:?}"))
}

/// Sends over HTTP, in a trace.
async fn send_traced(user: &User, conversation: &str, body: &str, traceparent: &str) {
    let authorization = format!("Bearer {}", user.token);
    let headers = [
        ("content-type", "application/json"),
        ("authorization", &*authorization),
        ("traceparent", traceparent),
    ];
    let asked = json!({ "query": SEND, "variables": { "id": conversation, "body": body } }).to_string();
    let reply = request(user.address, "POST", "/graphql", &headers, asked.as_bytes()).await;
    assert!(reply.json().get("errors").is_none(), "{reply:?}");
}

/// Two users, the second of whom follows what is sent on a socket.
async fn pair(address: SocketAddr, at: SocketAddr) -> (User, String, Socket) {
    let (ada, bob) = (User::register(address, "ada").await, User::register(address, "bob").await);
    let conversation = ada.start(&[&bob]).await;
    let mut socket = bob.at(at).socket("desk").await;
    socket.follow("m", SENT).await;
    (ada, conversation, socket)
}

#[tokio::test]
async fn a_trace_leads_from_the_clients_span_through_the_batch_to_the_delivery() {
    let mut collector = Collector::start().await;
    let database = TestDatabase::create().await;
    let herald = collector.herald(&database, &[]).await;
    let (ada, conversation, mut socket) = pair(herald.address, herald.address).await;
    let (trace, client) = (0xada, 0xc11e_u64);
    send_traced(&ada, &conversation, "hello", &traceparent(trace, client)).await;
    socket.next("m").await;

    let names = ["request", "operation", "append", "batch", "route", "deliver"];
    let spans = collector.trace(trace, &names.map(|name| (name, 1))).await;
    let parent = |name: &str| named(&spans, name).parent_span_id.clone();
    let id = |name: &str| named(&spans, name).span_id.clone();
    assert_eq!(parent("request"), client.to_be_bytes());
    assert_eq!(parent("operation"), id("request"));
    assert_eq!(parent("append"), id("operation"));
    for of_the_commit in ["batch", "route", "deliver"] {
        assert_eq!(parent(of_the_commit), id("append"), "{of_the_commit}");
    }
    assert_eq!(spans.iter().filter(|span| span.name == "deliver").count(), 1);
}

#[tokio::test]
async fn a_socket_and_an_operation_name_their_trace() {
    let mut collector = Collector::start().await;
    let database = TestDatabase::create().await;
    let herald = collector.herald(&database, &[]).await;
    let (ada, conversation, mut bobs) = pair(herald.address, herald.address).await;
    let mut socket = Socket::connect(herald.address, &[]).await.unwrap();
    let payload = json!({ "authorization": ada.token, "traceparent": traceparent(1, 10) });
    socket.send(json!({ "type": "connection_init", "payload": payload })).await;
    assert_eq!(socket.receive().await["type"], "connection_ack");

    let sending = |body: &str| json!({ "query": SEND, "variables": { "id": conversation, "body": body } });
    socket.send(json!({ "id": "1", "type": "subscribe", "payload": sending("in the socket's") })).await;
    socket.next("1").await;
    let mut own = sending("in its own");
    own["extensions"] = json!({ "traceparent": traceparent(2, 20) });
    socket.completed("1").await;
    socket.send(json!({ "id": "2", "type": "subscribe", "payload": own })).await;
    socket.next("2").await;
    bobs.next("m").await;
    bobs.next("m").await;

    for (trace, parent) in [(1, 10_u64), (2, 20)] {
        let spans = collector.trace(trace, &[("operation", 1), ("deliver", 1)]).await;
        assert_eq!(named(&spans, "operation").parent_span_id, parent.to_be_bytes());
    }
}

#[tokio::test]
async fn what_is_no_place_in_a_trace_is_ignored() {
    let collector = Collector::start().await;
    let database = TestDatabase::create().await;
    let herald = collector.herald(&database, &[]).await;
    let (ada, conversation, mut socket) = pair(herald.address, herald.address).await;
    for odd in ["", "00", "not-a-trace", "00-00000000000000000000000000000000-0000000000000000-00"] {
        send_traced(&ada, &conversation, "hello", odd).await;
        socket.next("m").await;
    }
    let mut asking = Socket::connect(herald.address, &[]).await.unwrap();
    let payload = json!({ "authorization": ada.token, "traceparent": { "not": ["a", "text"] } });
    asking.send(json!({ "type": "connection_init", "payload": payload })).await;
    assert_eq!(asking.receive().await["type"], "connection_ack");
    let query = json!({ "query": "{ viewer { handle } }", "extensions": { "traceparent": 7 } });
    asking.send(json!({ "id": "1", "type": "subscribe", "payload": query })).await;
    assert_eq!(asking.next("1").await, json!({ "viewer": { "handle": "ada" } }));
}

#[tokio::test]
async fn a_trace_that_its_client_does_not_keep_is_not_sent() {
    let mut collector = Collector::start().await;
    let database = TestDatabase::create().await;
    let herald = collector.herald(&database, &[]).await;
    let (ada, conversation, mut socket) = pair(herald.address, herald.address).await;
    let unsampled = traceparent(3, 30).replace("-01", "-00");
    send_traced(&ada, &conversation, "not kept", &unsampled).await;
    send_traced(&ada, &conversation, "kept", &traceparent(4, 40)).await;
    socket.next("m").await;
    socket.next("m").await;
    collector.trace(4, &[("request", 1), ("deliver", 1)]).await;
    let spans = collector.spans.lock().await;
    assert!(spans.iter().all(|span| span.trace_id != 3_u128.to_be_bytes()));
    // Nor does its batch begin a trace of its own.
    assert!(spans.iter().all(|span| span.name != "batch" || !span.parent_span_id.is_empty()));
}

#[tokio::test]
async fn herald_serves_although_its_collector_is_away() {
    let collector = Collector { address: ([127, 0, 0, 1], 9).into(), ..Collector::start().await };
    let database = TestDatabase::create().await;
    let herald = collector.herald(&database, &[]).await;
    let (ada, conversation, mut socket) = pair(herald.address, herald.address).await;
    send_traced(&ada, &conversation, "hello", &traceparent(5, 50)).await;
    assert_eq!(socket.next("m").await["messageSent"]["message"]["body"], "hello");
}

/// Without NATS there is nothing that carries events between nodes.
#[tokio::test]
async fn a_delivery_by_another_node_is_in_the_trace() {
    let (Ok(feed), Ok(_)) = (std::env::var("HERALD_TEST_NATS"), std::env::var("HERALD_TEST_POSTGRES")) else {
        return;
    };
    let mut collector = Collector::start().await;
    let database = TestDatabase::create().await;
    let first = collector.herald(&database, &["--feed", &feed]).await;
    let second = collector.herald(&database, &["--feed", &feed, "--poll-interval", "60"]).await;
    let (ada, conversation, mut socket) = pair(first.address, second.address).await;
    send_traced(&ada, &conversation, "hello", &traceparent(6, 60)).await;
    socket.next("m").await;
    let spans = collector.trace(6, &[("append", 1), ("route", 2), ("deliver", 1)]).await;
    assert_eq!(named(&spans, "deliver").parent_span_id, named(&spans, "append").span_id);
}
