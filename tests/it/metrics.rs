//! Metrics and health of the real binary. The metrics count a whole process, so each test needs a process of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use herald::metrics::{METRICS, Outcome, Reason};
use herald_processes::{Herald, HeraldOptions, Scratch, free_port};
use serde_json::json;

use crate::support::{Reply, TestDatabase, User, request};

const SENT: &str = "subscription($after: Cursor) { messageSent(after: $after) { message { body } } }";

async fn metrics(address: SocketAddr) -> Reply {
    request(address, "GET", "/metrics", &[], b"").await
}

/// Every sample by its name and labels.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, value)| (name, value.parse().unwrap()))
        .collect()
}

#[tokio::test]
async fn an_operator_sees_what_herald_does_and_whether_it_is_ready() {
    let database = TestDatabase::create().await;
    let scratch = Scratch::create("herald-metrics").unwrap();
    let listen = free_port().unwrap();
    let watched = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
    let mut herald = Herald::start(HeraldOptions {
        binary: env!("CARGO_BIN_EXE_herald").into(),
        port: listen,
        database: database.url.clone(),
        feed: None,
        flags: vec!["--metrics-listen".into(), watched.to_string()],
        env: Vec::new(),
        log: scratch.path().join("herald.log"),
    })
    .await
    .unwrap();

    let address = SocketAddr::from(([127, 0, 0, 1], listen));
    let (ada, bob) = (User::register(address, "ada").await, User::register(address, "bob").await);
    let conversation = ada.start(&[&bob]).await;
    let mut socket = bob.socket("desk").await;
    socket.follow("m", SENT).await;
    for n in 0..3 {
        ada.send(&conversation, &n.to_string()).await;
        socket.next("m").await;
    }
    let own = ada.send(&conversation, "own").await;
    socket.next("m").await;
    let mark = "mutation($id: ID!) { markRead(input: { messageId: $id }) { cursor } }";
    assert_eq!(ada.refused(mark, json!({ "id": own })).await, "SENDER_CANNOT_MARK");

    let reply = metrics(watched).await;
    assert_eq!(reply.status, 200);
    assert!(
        reply.header("content-type").unwrap().starts_with("application/openmetrics-text"),
        "{}",
        reply.head
    );
    let seen = samples(&reply.body);
    for (name, expected) in [
        ("herald_sockets", 1.0),
        ("herald_subscriptions", 1.0),
        ("herald_log_position", 5.0),
        ("herald_events_routed_total", 5.0),
        ("herald_deliveries_total", 4.0),
        ("herald_renders_total", 4.0),
        ("herald_commands_total{outcome=\"committed\"}", 5.0),
        ("herald_commands_total{outcome=\"refused\"}", 1.0),
        ("herald_batches_total", 6.0),
        ("herald_batch_seconds_count", 6.0),
        // There is no other node.
        ("herald_news_total{carried=\"events\"}", 0.0),
        ("herald_news_total{carried=\"position\"}", 0.0),
        ("herald_errors_total{code=\"SENDER_CANNOT_MARK\"}", 1.0),
    ] {
        assert_eq!(seen.get(name), Some(&expected), "{name}\n{}", reply.body);
    }

    ada.data("mutation { logout { ended } }", json!({})).await;
    drop(socket);
    let health = |listen: SocketAddr| {
        let binary = tokio::process::Command::new(env!("CARGO_BIN_EXE_herald"));
        async move {
            let mut binary = binary;
            binary.args(["health", "--listen", &listen.to_string()]).output().await.unwrap().status.success()
        }
    };
    assert!(health(address).await);
    assert_eq!(samples(&metrics(watched).await.body).get("herald_sessions_ended_total"), Some(&1.0));
    herald.terminate().await.unwrap();
    assert!(!health(address).await);
}

#[test]
fn what_each_number_means_is_written_down() {
    // A series with a label appears only after the first count.
    METRICS.count_command(Outcome::Committed);
    METRICS.count_notification(true);
    METRICS.count_log_read(Reason::Gap);
    METRICS.count_close(1001);
    METRICS.count_error("NOT_FOUND");
    let text = METRICS.text();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut documented = 0;
    for (name, kind) in names {
        let name = if kind == "counter" { format!("`{name}_total") } else { format!("`{name}") };
        assert!(
            include_str!("../../docs/operations.md").contains(&name),
            "{name}` is not in docs/operations.md"
        );
        documented += 1;
    }
    assert!(documented > 15, "{documented}");
}
