//! Fan-out, idle subscribers and sends: what one node does all day.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herald_processes::Scratch;
use serde_json::json;

use crate::figures::median;
use crate::load::{Http, Received, Socket};
use crate::people::{SEND, SENT, register, send_variables, start};
use crate::server::Server;

/// Somebody who causes an event.
struct Publisher {
    http: Http,
    what: Published,
}

#[derive(Clone)]
enum Published {
    /// A message in this conversation.
    Message(String),
    /// These bytes.
    Raw(String),
}

impl Publisher {
    async fn publish(&mut self, n: usize) {
        match &self.what {
            Published::Message(conversation) => {
                self.http.graphql(SEND, send_variables(conversation, n)).await;
            }
            Published::Raw(bytes) => {
                self.http.post(bytes).await;
            }
        }
    }
}

/// Several publish at the same time.
async fn burst(publishers: &mut [Publisher], events: usize) {
    let each = events / publishers.len();
    let publishing = publishers.iter_mut().map(|publisher| async move {
        for n in 0..each {
            publisher.publish(n).await;
        }
    });
    futures_util::future::join_all(publishing).await;
}

/// Publishes until every subscriber has begun, and has received all that was published since.
async fn settled(publisher: &mut Publisher, received: &Received, subscribers: u64) {
    loop {
        let before = received.frames();
        publisher.publish(0).await;
        let everybody = received.reach(before + subscribers);
        if tokio::time::timeout(Duration::from_secs(1), everybody).await.is_ok() {
            return;
        }
    }
}

/// Server CPU per delivery: 500 subscribers, 300 events.
pub(crate) async fn fanout(herald: &Path) {
    const SUBSCRIBERS: usize = 500;
    const EVENTS: usize = 300;
    const PUBLISHERS: usize = 20;
    println!("\n## Fan-out: {SUBSCRIBERS} subscribers, {EVENTS} events\n");
    println!("| | one at a time: CPU/delivery | {PUBLISHERS} at once: CPU/delivery | bytes |");
    println!("|---|---|---|---|");
    let deliveries = (SUBSCRIBERS * EVENTS) as f64;
    let mut rows = Vec::new();
    let mut sample = String::new();
    for is_herald in [true, false].repeat(5) {
        let scratch = Scratch::create("bench").unwrap();
        let received = Arc::new(Received::default());
        let (server, token, what, path) = if is_herald {
            let flags = ["--max-sockets-per-user", "1000", "--subscriber-queue", "512"];
            let server = Server::herald(herald, &scratch.path().join("herald.db"), &flags).await;
            let (ada, bob) = (register(server.port, "ada").await, register(server.port, "bob").await);
            let conversation = start(server.port, &ada, &[&bob]).await;
            let subscriber = Some(bob.token);
            (server, (Some(ada.token), subscriber), Published::Message(conversation), "/graphql")
        } else {
            // The raw peer is given bytes of exactly the same length.
            (Server::peer().await, (None, None), Published::Raw(sample.clone()), "/publish")
        };
        let (publisher, subscriber) = token;
        let mut publishers = Vec::new();
        for _ in 0..PUBLISHERS {
            let http = Http::connect(server.port, path, publisher.as_deref()).await;
            publishers.push(Publisher { http, what: what.clone() });
        }
        // What an event costs that nobody follows, to be taken off: storing it is measured by `sends`.
        let mut unheard = Vec::new();
        for wait in [true, false] {
            let before = server.cpu();
            if wait {
                for n in 1..=EVENTS {
                    publishers[0].publish(n).await;
                }
            } else {
                burst(&mut publishers, EVENTS).await;
            }
            unheard.push(server.cpu() - before);
        }
        for _ in 0..SUBSCRIBERS {
            let socket = match &subscriber {
                Some(token) => Socket::herald(server.port, token, SENT, json!({})).await,
                None => Socket::connect(server.port, "/raw").await,
            };
            tokio::spawn(socket.count(Arc::clone(&received)));
        }
        settled(&mut publishers[0], &received, SUBSCRIBERS as u64).await;
        let mut costs = Vec::new();
        for (wait, unheard) in [true, false].into_iter().zip(unheard) {
            let already = received.frames();
            let before = server.cpu();
            if wait {
                for n in 1..=EVENTS {
                    publishers[0].publish(n).await;
                    received.reach(already + (n * SUBSCRIBERS) as u64).await;
                }
            } else {
                burst(&mut publishers, EVENTS).await;
            }
            received.reach(already + deliveries as u64).await;
            costs.push((server.cpu() - before - unheard) / deliveries);
        }
        if sample.is_empty() {
            sample = "x".repeat(received.bytes_per_frame() as usize);
        }
        rows.push((is_herald, costs, received.bytes_per_frame()));
    }
    let mut medians = Vec::new();
    for (is_herald, name) in [(true, "herald"), (false, "raw axum WebSocket")] {
        let of = |i: usize| {
            let values = rows.iter().filter(|row| row.0 == is_herald).map(|row| row.1[i]).collect();
            median(values)
        };
        let bytes = rows.iter().find(|row| row.0 == is_herald).unwrap().2;
        println!("| {name} | {:.2} µs | {:.2} µs | {bytes:.0} |", of(0), of(1));
        medians.push([of(0), of(1)]);
    }
    println!(
        "| **ratio** (aim: at most 1.2) | **{:.2}** | **{:.2}** | |",
        medians[0][0] / medians[1][0],
        medians[0][1] / medians[1][1]
    );
}

/// Memory per idle, authenticated subscriber.
pub(crate) async fn idle(herald: &Path) {
    const SUBSCRIBERS: usize = 10_000;
    const USERS: usize = 100;
    println!("\n## Memory: {SUBSCRIBERS} idle subscribers of {USERS} users\n");
    let scratch = Scratch::create("bench").unwrap();
    let server =
        Server::herald(herald, &scratch.path().join("herald.db"), &["--max-sockets-per-user", "1000"]).await;
    let ada = register(server.port, "ada").await;
    let mut users = Vec::new();
    for n in 0..USERS {
        let user = register(server.port, &format!("user-{n}")).await;
        start(server.port, &ada, &[&user]).await;
        users.push(user);
    }
    // Hashing passwords leaves memory behind that serving then uses; one round of sockets warms the rest.
    let mut sockets = Vec::new();
    for user in &users {
        sockets.push(Socket::herald(server.port, &user.token, SENT, json!({})).await);
    }
    let before = server.memory();
    for n in 0..SUBSCRIBERS {
        sockets.push(Socket::herald(server.port, &users[n % USERS].token, SENT, json!({})).await);
    }
    // The answer to a query on the last socket: all that was asked before has been begun.
    settle(&mut sockets).await;
    let per_socket = (server.memory() - before) / SUBSCRIBERS as f64;
    println!("herald: **{:.1} KB** per idle subscriber (aim: at most 12)", per_socket / 1_000.0);
}

async fn settle(sockets: &mut [Socket]) {
    for socket in sockets {
        let payload = json!({ "query": "{ viewer { id } }" });
        socket.send(&json!({ "id": "2", "type": "subscribe", "payload": payload })).await;
        while socket.receive().await["type"] != "complete" {}
    }
}

/// Durable sends per second with 64 clients, beside the same mutation without storage.
pub(crate) async fn sends(herald: &Path) {
    const CLIENTS: usize = 64;
    const EACH: usize = 400;
    println!("\n## Sends: {CLIENTS} HTTP clients, {EACH} each, durable (synchronous=FULL)\n");
    println!("| | sends/s | CPU/send |");
    println!("|---|---|---|");
    let mut rows = Vec::new();
    for is_herald in [true, false, true, false, true, false] {
        let scratch = Scratch::create("bench").unwrap();
        let (server, token, conversation) = if is_herald {
            let server = Server::herald(herald, &scratch.path().join("herald.db"), &[]).await;
            let (ada, bob) = (register(server.port, "ada").await, register(server.port, "bob").await);
            let conversation = start(server.port, &ada, &[&bob]).await;
            (server, Some(ada.token), conversation)
        } else {
            (Server::peer().await, None, "cnv_0".to_owned())
        };
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(Http::connect(server.port, "/graphql", token.as_deref()).await);
        }
        let (before, begun) = (server.cpu(), Instant::now());
        let sending: Vec<_> = clients
            .into_iter()
            .map(|mut http| {
                let conversation = conversation.clone();
                tokio::spawn(async move {
                    for n in 0..EACH {
                        let variables = send_variables(&conversation, n);
                        let body = json!({ "query": SEND, "variables": variables }).to_string();
                        let answer = http.post(&body).await;
                        assert!(answer.starts_with(b"{\"data\":"), "{}", String::from_utf8_lossy(answer));
                    }
                })
            })
            .collect();
        for client in sending {
            client.await.unwrap();
        }
        let total = (CLIENTS * EACH) as f64;
        rows.push((is_herald, total / begun.elapsed().as_secs_f64(), (server.cpu() - before) / total));
    }
    let mut rates = Vec::new();
    for (is_herald, name) in [(true, "herald, stored"), (false, "async-graphql-axum, not stored")] {
        let mine = || rows.iter().filter(|row| row.0 == is_herald);
        let rate = median(mine().map(|row| row.1).collect());
        let cpu = median(mine().map(|row| row.2).collect());
        println!("| {name} | {rate:.0} | {cpu:.0} µs |");
        rates.push(rate);
    }
    println!("| **ratio** (aim: at least 0.6) | **{:.2}** | |", rates[0] / rates[1]);
}
