//! What grows with the log, and what must not.

use std::path::Path;
use std::time::Instant;

use herald_processes::Scratch;
use serde_json::json;

use crate::figures::median;
use crate::fill;
use crate::load::{Http, Socket};
use crate::people::{SEND, SENT, User, register, send_variables, start};
use crate::server::Server;

/// What is asked of a long log, beside a short one.
pub(crate) async fn growth(herald: &Path) {
    const SMALL: usize = 1_000;
    const LARGE: usize = 1_000_000;
    const MANY: usize = 100_000;
    println!("\n## Growth: what a log of {LARGE} messages costs beside one of {SMALL}\n");
    println!("| | {SMALL} | {LARGE} | ratio |");
    println!("|---|---|---|---|");
    let scratch = Scratch::create("bench").unwrap();
    let mut pages = Vec::new();
    let mut resumes = Vec::new();
    let mut marks = Vec::new();
    for size in [SMALL, LARGE] {
        let file = scratch.path().join(format!("{size}.db"));
        let server = Server::herald(herald, &file, &[]).await;
        let (ada, bob) = (register(server.port, "ada").await, register(server.port, "bob").await);
        let conversation = start(server.port, &ada, &[&bob]).await;
        let mut unread = Vec::new();
        if size == LARGE {
            for _ in 0..5 {
                unread.push(start(server.port, &ada, &[&bob]).await);
            }
        }
        drop(server);
        // Half of it in other conversations, as it would be; a tenth each where marks will cover it.
        let mut covered = Vec::new();
        for other in &unread {
            covered.push(fill::messages(&file, &ada.id, other, MANY).await);
        }
        fill::messages(&file, &ada.id, &conversation, size - unread.len() * MANY).await;

        let server = Server::herald(herald, &file, &[]).await;
        let mut http = Http::connect(server.port, "/graphql", Some(&bob.token)).await;
        pages.push(page(&mut http, &conversation).await);
        resumes.push(resume(&server, &ada, &bob, &conversation).await);
        if size == LARGE {
            marks = mark(&server, &ada, &mut http, &conversation, &covered).await;
        }
    }
    let row = |name: &str, values: &[f64]| {
        let ratio = values[1] / values[0];
        println!("| {name} | {:.2} ms | {:.2} ms | {ratio:.2} |", values[0], values[1]);
    };
    row("a page of the 50 newest messages, with status", &pages);
    row("a resume that missed 100 events", &resumes);
    println!("\n| | 1 message | {MANY} messages | ratio |");
    println!("|---|---|---|---|");
    row("a mark that covers", &marks);
}

async fn page(http: &mut Http, conversation: &str) -> f64 {
    let query = "query($id: ID!) {
        conversation(id: $id) { messages(last: 50) { nodes { id body status } pageInfo { startCursor } } }
    }";
    let mut times = Vec::new();
    for _ in 0..101 {
        let begun = Instant::now();
        http.graphql(query, json!({ "id": conversation })).await;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    median(times)
}

async fn resume(server: &Server, ada: &User, bob: &User, conversation: &str) -> f64 {
    let mut http = Http::connect(server.port, "/graphql", Some(&ada.token)).await;
    let mut times = Vec::new();
    for _ in 0..21 {
        let cursor = http.graphql("{ cursor }", json!({})).await["cursor"].take();
        for n in 0..100 {
            http.graphql(SEND, send_variables(conversation, n)).await;
        }
        let begun = Instant::now();
        let variables = json!({ "after": cursor });
        let mut socket = Socket::herald(server.port, &bob.token, SENT, variables).await;
        for _ in 0..100 {
            assert_eq!(socket.receive().await["type"], "next");
        }
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    median(times)
}

async fn mark(
    server: &Server,
    ada: &User,
    bob: &mut Http,
    conversation: &str,
    covered: &[String],
) -> Vec<f64> {
    let query = "mutation($id: ID!) { markRead(input: { messageId: $id }) { cursor } }";
    let mut sender = Http::connect(server.port, "/graphql", Some(&ada.token)).await;
    let mut one = Vec::new();
    for n in 0..21 {
        let data = sender.graphql(SEND, send_variables(conversation, n)).await;
        let begun = Instant::now();
        bob.graphql(query, json!({ "id": data["sendMessage"]["message"]["id"] })).await;
        one.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let mut many = Vec::new();
    for message in covered {
        let begun = Instant::now();
        bob.graphql(query, json!({ "id": message })).await;
        many.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    vec![median(one), median(many)]
}
