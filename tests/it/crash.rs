//! `kill -9` of the real binary during a stream of mutations. Every mutation that was answered is stored, once.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use herald::log::{Database, DatabaseOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::{TestDatabase, User};

const HISTORY: &str = "query($id: ID!, $after: String) {
    conversation(id: $id) {
        messages(first: 200, after: $after) { nodes { body } pageInfo { hasNextPage endCursor } }
    }
}";

const SENT: &str = "subscription($after: Cursor) { messageSent(after: $after) { cursor message { body } } }";

/// The real binary, on a port that it chose.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    pub(crate) async fn start(database: &str) -> Self {
        Self::start_with(database, &[]).await
    }

    /// The same, with further arguments.
    pub(crate) async fn start_with(database: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_herald"))
            .args(["serve", "--listen", "127.0.0.1:0", "--rate-limit", "off", "--database", database])
            .args(arguments)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        loop {
            let line = lines.next_line().await.unwrap().expect("herald says where it is");
            if let Some((_, rest)) = line.split_once("http://")
                && let Some((address, _)) = rest.split_once("/graphql")
            {
                let address = address.parse().unwrap();
                // The rest of the output is read, so that it does not fill the pipe.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Self { child, address };
            }
        }
    }

    /// Sends it a signal: `STOP` stops it where it is, `CONT` lets it go on.
    async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().await.unwrap().success());
    }

    pub(crate) async fn kill(mut self) {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
    }
}

/// Sends under a key of its own until the connection fails; answers go to `answered`.
pub(crate) async fn keep_sending(
    user: User,
    conversation: String,
    name: usize,
    answered: Arc<Mutex<Vec<String>>>,
) {
    for n in 0.. {
        let body = format!("{name}-{n}");
        let Some(response) = try_send(&user, &conversation, &body).await else { return };
        if response.get("errors").is_none() {
            answered.lock().unwrap().push(body);
        }
    }
}

/// The response to a send, or `None` when the server went away.
async fn try_send(user: &User, conversation: &str, body: &str) -> Option<Value> {
    let query = "mutation($id: ID!, $body: String!, $key: String!) {
        sendMessage(input: { conversationId: $id, body: $body, idempotencyKey: $key }) { cursor }
    }";
    let variables = json!({ "id": conversation, "body": body, "key": body });
    let request = json!({ "query": query, "variables": variables }).to_string();
    crate::support::try_post(user, request.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answered_mutation_survives_a_kill_once_and_is_resumed_over() {
    let database = TestDatabase::create().await;
    let mut process = Process::start(&database.url).await;
    let ada = User::register(process.address, "ada").await;
    let bob = User::register(process.address, "bob").await;
    let conversation = ada.start(&[&bob]).await;
    let answered = Arc::new(Mutex::new(Vec::new()));
    let mut received = Vec::new();
    let mut cursor = bob.cursor().await;

    for life in 0..4 {
        let here = |user: &User| User { address: process.address, ..user.clone() };
        let sending: Vec<_> = (0..8)
            .map(|n| {
                let (user, conversation) = (here(&ada), conversation.clone());
                tokio::spawn(keep_sending(user, conversation, life * 8 + n, Arc::clone(&answered)))
            })
            .collect();
        // A subscriber receives the messages, and herald is killed meanwhile.
        let mut socket = here(&bob).socket("desk").await;
        socket.follow_after("m", SENT, &cursor).await;
        for _ in 0..100 {
            let data = socket.next("m").await;
            received.push(data["messageSent"]["message"]["body"].as_str().unwrap().to_owned());
            cursor = data["messageSent"]["cursor"].as_str().unwrap().to_owned();
        }
        process.kill().await;
        for sender in sending {
            sender.await.unwrap();
        }
        process = Process::start(&database.url).await;
    }

    let bob = User { address: process.address, ..bob };
    let ada = User { address: process.address, ..ada };
    // A retry of each sender's last message with the same key. The message is stored once, whether the first try stored
    // it or not.
    for name in 0..32 {
        let known = answered.lock().unwrap().iter().filter(|b| b.starts_with(&format!("{name}-"))).count();
        let body = format!("{name}-{known}");
        let response = try_send(&ada, &conversation, &body).await.unwrap();
        assert!(response.get("errors").is_none(), "{response}");
        answered.lock().unwrap().push(body);
    }
    let history = history(&bob, &conversation).await;
    let mut once = history.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), history.len(), "something is there twice");
    for body in answered.lock().unwrap().iter() {
        assert!(once.binary_search(body).is_ok(), "{body} was answered and is gone");
    }
    let options = DatabaseOptions {
        url: database.url.clone(),
        readers: 1,
        patience: Duration::from_secs(5),
        observer: None,
    };
    herald::log::check(&options).await.unwrap();
    // The subscriber, which resumed after every kill, has received exactly the history.
    let mut socket = bob.socket("desk").await;
    socket.follow_after("m", SENT, &cursor).await;
    while received.len() < history.len() {
        let data = socket.next("m").await;
        received.push(data["messageSent"]["message"]["body"].as_str().unwrap().to_owned());
    }
    assert_eq!(received, history);
}

// herald may be killed at any moment of its first start. The next herald can open the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_during_the_first_start_leaves_a_database_that_opens() {
    for kill in 0..30 {
        let database = TestDatabase::create().await;
        let mut child = Command::new(env!("CARGO_BIN_EXE_herald"))
            .args(["migrate", "--database", &database.url])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        // The kill may come at any moment.
        let _ = timeout(Duration::from_millis(2 * kill), child.wait()).await;
        let _ = child.start_kill();
        child.wait().await.unwrap();
        let options = DatabaseOptions {
            url: database.url.clone(),
            readers: 1,
            patience: Duration::from_secs(5),
            observer: None,
        };
        let opened = Database::open(&options).await.unwrap_or_else(|error| panic!("after {kill}: {error}"));
        assert_eq!(opened.readiness().await, Ok(()), "after {kill}");
        opened.close().await;
    }
}

pub(crate) async fn history(user: &User, conversation: &str) -> Vec<String> {
    let mut bodies = Vec::new();
    let mut after = Value::Null;
    loop {
        let data = user.data(HISTORY, json!({ "id": conversation, "after": after })).await;
        let page = &data["conversation"]["messages"];
        let nodes = page["nodes"].as_array().unwrap();
        bodies.extend(nodes.iter().map(|node| node["body"].as_str().unwrap().to_owned()));
        if page["pageInfo"]["hasNextPage"] == false {
            return bodies;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

// After an outage everybody comes back at once. The system drops a connection for which there is no place, and its
// client tries again only a second later.
#[tokio::test]
async fn connections_wait_while_herald_is_too_busy_to_accept_them() {
    let database = TestDatabase::create().await;
    let herald = Process::start(&database.url).await;
    herald.signal("STOP").await;
    let mut waiting = Vec::new();
    for number in 0..400 {
        let connection = timeout(Duration::from_secs(10), TcpStream::connect(herald.address)).await;
        waiting.push(connection.unwrap_or_else(|_| panic!("no place for connection {number}")).unwrap());
    }
    herald.signal("CONT").await;
}
