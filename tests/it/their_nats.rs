//! NATS as operators run it: with certificates, keys and permissions that change while herald runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use herald_processes::{Scratch, free_port};
use nkeys::KeyPair;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use crate::support::{Socket, TestApp, TestDatabase, User, certificates, request};

const SENT: &str = "subscription($after: Cursor) { messageSent(after: $after) { message { body } } }";

/// The next line that has this in it. Those before it go to `passed`.
async fn line_with(
    lines: &mut Lines<BufReader<impl AsyncRead + Unpin>>,
    what: &str,
    passed: &mut Vec<String>,
) -> String {
    loop {
        let line = lines.next_line().await.unwrap();
        let line = line.unwrap_or_else(|| panic!("nobody says {what}: {passed:#?}"));
        if line.contains(what) {
            return line;
        }
        passed.push(line);
    }
}

/// A nats-server that can be told to be another. Killed on drop.
struct Server {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    config: PathBuf,
    port: u16,
}

impl Server {
    async fn start(folder: &Path, config: &str) -> Self {
        let (file, port) = (folder.join("nats.conf"), free_port().unwrap());
        std::fs::write(&file, config).unwrap();
        let mut child = Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-c", file.to_str().unwrap()])
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut server = Self { child, lines, config: file, port };
        server.says("Server is ready").await;
        server
    }

    async fn says(&mut self, what: &str) {
        line_with(&mut self.lines, what, &mut Vec::new()).await;
    }

    /// Has it follow another configuration.
    async fn become_another(&mut self, config: &str) {
        std::fs::write(&self.config, config).unwrap();
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().await.unwrap().success());
        self.says("Reloaded server configuration").await;
    }
}

/// Lets `ada` in with this password, to publish to and subscribe to these subjects.
fn users(password: &str, publish: &str, subscribe: &str) -> String {
    let permissions = format!("permissions: {{ publish: \"{publish}\", subscribe: \"{subscribe}\" }}");
    format!("authorization {{ users = [ {{ user: ada, password: \"{password}\", {permissions} }} ] }}")
}

/// Two nodes, one of which does not look into the log by itself.
struct Nodes {
    _app: TestApp,
    ada: User,
    conversation: String,
    /// At the other node.
    socket: Socket,
    sent: usize,
    heard: usize,
}

impl Nodes {
    async fn start(adapt: impl FnOnce(&mut herald::config::ServeArgs)) -> Self {
        let app = TestApp::with(|setup| {
            setup.args.limits.poll_interval = 3_600;
            adapt(&mut setup.args);
        })
        .await;
        let (ada, bob, conversation) = app.pair().await;
        let mut socket = bob.at(app.another_node().await).socket("desk").await;
        socket.follow("m", SENT).await;
        Self { _app: app, ada, conversation, socket, sent: 0, heard: 0 }
    }

    /// Sends at one node until all of it is heard at the other. What was lost comes with the first that is heard.
    async fn hear_each_other(&mut self) {
        for _ in 0..200 {
            self.ada.send(&self.conversation, &self.sent.to_string()).await;
            self.sent += 1;
            let moment = Duration::from_millis(200);
            while let Ok(mut data) = tokio::time::timeout(moment, self.socket.next("m")).await {
                assert_eq!(data["messageSent"]["message"]["body"].take(), self.heard.to_string());
                self.heard += 1;
                if self.heard == self.sent {
                    return;
                }
            }
        }
        panic!("nothing is heard");
    }
}

fn is_on_postgres() -> bool {
    std::env::var_os("HERALD_TEST_POSTGRES").is_some()
}

#[tokio::test]
async fn servers_and_heralds_show_each_other_certificates() {
    if !is_on_postgres() {
        return;
    }
    let scratch = Scratch::create("herald-it").unwrap();
    let authority = certificates::authority(scratch.path());
    let [certificate, key] = certificates::certificate(scratch.path(), "server");
    let [own, own_key] = certificates::certificate(scratch.path(), "herald");
    let config = format!(
        "tls {{ cert_file: {certificate:?}, key_file: {key:?}, ca_file: {authority:?}, verify: true }}"
    );
    let server = Server::start(scratch.path(), &config).await;
    for scheme in ["tls", "nats"] {
        let mut nodes = Nodes::start(|args| {
            args.feed = Some(format!("{scheme}://localhost:{}", server.port));
            args.feed_ca = Some(authority.clone());
            args.feed_certificate = Some(own.clone());
            args.feed_key = Some(own_key.clone());
        })
        .await;
        nodes.hear_each_other().await;
    }
}

#[tokio::test]
async fn a_seed_alone_is_enough_and_another_one_is_used_without_a_restart() {
    if !is_on_postgres() {
        return;
    }
    let scratch = Scratch::create("herald-it").unwrap();
    let (known, unknown) = (KeyPair::new_user(), KeyPair::new_user());
    let config = format!("authorization {{ users = [ {{ nkey: {} }} ] }}", known.public_key());
    let mut server = Server::start(scratch.path(), &config).await;
    let file = scratch.path().join("herald.nk");
    std::fs::write(&file, unknown.seed().unwrap()).unwrap();
    let mut nodes = Nodes::start(|args| {
        args.feed = Some(format!("nats://127.0.0.1:{}", server.port));
        args.feed_nkey = Some(file.clone());
    })
    .await;
    server.says("authentication error").await;
    std::fs::write(&file, known.seed().unwrap() + "\n").unwrap();
    nodes.hear_each_other().await;
}

/// A token that one key has for another: <https://docs.nats.io/running-a-nats-service/configuration/securing_nats/jwt>.
fn jwt(issuer: &KeyPair, subject: &KeyPair, expires: Option<u64>, nats: &Value) -> String {
    let mut claims = json!({ "jti": "1", "iat": 1, "iss": issuer.public_key(), "sub": subject.public_key(),
        "name": "test", "nats": nats });
    if let Some(expires) = expires {
        claims["exp"] = json!(expires);
    }
    let [header, claims] = [json!({ "typ": "JWT", "alg": "ed25519-nkey" }), claims]
        .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn credentials_that_expire_are_replaced_without_a_restart() {
    if !is_on_postgres() {
        return;
    }
    let scratch = Scratch::create("herald-it").unwrap();
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let for_operator = jwt(&operator, &operator, None, &json!({ "type": "operator", "version": 2 }));
    let limits = json!({ "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
        "wildcards": true, "conn": -1, "leaf": -1 });
    let nats = json!({ "type": "account", "version": 2, "limits": limits });
    let for_account = jwt(&operator, &account, None, &nats);
    let operators = scratch.path().join("operator.jwt");
    std::fs::write(&operators, for_operator).unwrap();
    let config = format!(
        "operator: {operators:?}\nresolver: MEMORY\nresolver_preload {{ {}: {for_account} }}",
        account.public_key()
    );
    let mut server = Server::start(scratch.path(), &config).await;
    let file = scratch.path().join("herald.creds");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let write = |expires: u64| {
        let nats = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {} });
        let (jwt, seed) = (jwt(&account, &user, Some(expires), &nats), user.seed().unwrap());
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\nKeep it secret.\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        std::fs::write(&file, text).unwrap();
    };
    write(now - 10);
    let mut nodes = Nodes::start(|args| {
        args.feed = Some(format!("nats://127.0.0.1:{}", server.port));
        args.feed_credentials = Some(file.clone());
    })
    .await;
    server.says("authentication error").await;
    write(now + 3_600);
    nodes.hear_each_other().await;
}

#[tokio::test]
async fn permissions_that_are_withdrawn_and_given_back_are_used_again() {
    if !is_on_postgres() {
        return;
    }
    let scratch = Scratch::create("herald-it").unwrap();
    let all = users("right", "herald.*", "herald.*");
    let mut server = Server::start(scratch.path(), &all).await;
    let mut nodes =
        Nodes::start(|args| args.feed = Some(format!("nats://ada:right@127.0.0.1:{}", server.port))).await;
    nodes.hear_each_other().await;
    for (publish, subscribe) in [("herald.*", "other"), ("other", "herald.*"), ("other", "other")] {
        server.become_another(&users("right", publish, subscribe)).await;
        nodes.ada.send(&nodes.conversation, &nodes.sent.to_string()).await;
        nodes.sent += 1;
        server.become_another(&all).await;
        nodes.hear_each_other().await;
    }
}

/// A herald in a process of its own. Killed on drop.
struct Process {
    _child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    address: SocketAddr,
    watched: SocketAddr,
}

impl Process {
    async fn start(database: &TestDatabase, flags: &[&str]) -> Self {
        let [address, watched] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port().unwrap())));
        let mut child = Command::new(env!("CARGO_BIN_EXE_herald"))
            .args(["serve", "--database", &database.url, "--poll-interval", "3600"])
            .args(["--listen", &address.to_string(), "--metrics-listen", &watched.to_string()])
            .args(flags)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { _child: child, lines, address, watched }
    }

    async fn says(&mut self, what: &str, passed: &mut Vec<String>) -> String {
        line_with(&mut self.lines, what, passed).await
    }

    async fn number(&self, name: &str) -> String {
        let reply = request(self.watched, "GET", "/metrics", &[], b"").await;
        let value = reply.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in {}", reply.body)).to_owned()
    }

    /// Returns once the feed counts as this; the log has said so already.
    async fn comes_to_be_connected(&self, expected: &str) {
        while self.number("herald_feed_connected").await != expected {}
    }
}

#[tokio::test]
async fn a_server_that_refuses_is_told_in_one_line_and_one_that_lets_in_again_in_another() {
    if !is_on_postgres() {
        return;
    }
    let scratch = Scratch::create("herald-it").unwrap();
    let mut server = Server::start(scratch.path(), &users("right", "herald.*", "herald.*")).await;
    let feed = format!("nats://ada:hunter2@127.0.0.1:{}", server.port);
    let mut herald = Process::start(&TestDatabase::create().await, &["--feed", &feed]).await;
    for _ in 0..4 {
        server.says("authentication error").await;
    }
    server.become_another(&users("hunter2", "herald.*", "herald.*")).await;
    let mut lines = Vec::new();
    let last = herald.says("NATS carries notifications again", &mut lines).await;
    lines.retain(|line| !["igration", "http://", "database  "].iter().any(|start| line.contains(start)));
    assert_eq!(lines.len(), 2, "{lines:#?}");
    let refused = "NATS does not carry notifications: those of other nodes come late";
    assert!(lines[0].contains(refused) && lines[0].contains("authorization violation"), "{lines:#?}");
    assert!(lines[1].contains("NATS is connected"), "{lines:#?}");
    let failures = last.split_once("failures=").unwrap().1.split(' ').next().unwrap();
    assert!(failures.parse::<u32>().unwrap() >= 4, "{last}");
    lines.push(last);
    assert!(!lines.concat().contains("hunter2"), "{lines:#?}");
}

#[tokio::test]
async fn a_node_that_writes_itself_shows_that_nats_is_of_no_use() {
    if !is_on_postgres() {
        return;
    }
    let scratch = Scratch::create("herald-it").unwrap();
    let all = users("right", "herald.*", "herald.*");
    let mut server = Server::start(scratch.path(), &all).await;
    let feed = format!("nats://ada:right@127.0.0.1:{}", server.port);
    let database = TestDatabase::create().await;
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let mut node = Process::start(&database, &["--feed", &feed, "--rate-limit", "off"]).await;
        node.says("metrics  ", &mut Vec::new()).await;
        node.comes_to_be_connected("1").await;
        nodes.push(node);
    }
    let with_events = "herald_news_total{carried=\"events\"}";
    let (ada, bob) =
        (User::register(nodes[0].address, "ada").await, User::register(nodes[0].address, "bob").await);
    let conversation = ada.start(&[&bob]).await;
    let mut socket = bob.at(nodes[1].address).socket("desk").await;
    socket.follow("m", SENT).await;
    for n in 0..3 {
        ada.send(&conversation, &n.to_string()).await;
        socket.next("m").await;
    }
    assert_eq!(nodes[0].number(with_events).await, "0");
    assert_ne!(nodes[1].number(with_events).await, "0");
    // A node learns that it may not publish only when it writes.
    for (publish, subscribe) in [("herald.*", "other"), ("other", "herald.*")] {
        server.become_another(&users("right", publish, subscribe)).await;
        ada.send(&conversation, "unheard").await;
        nodes[0].says("NATS does not carry notifications", &mut Vec::new()).await;
        nodes[0].comes_to_be_connected("0").await;
        server.become_another(&all).await;
        nodes[0].says("NATS carries notifications again", &mut Vec::new()).await;
        nodes[0].comes_to_be_connected("1").await;
    }
}

#[tokio::test]
async fn files_that_are_of_no_use_are_refused_at_start() {
    let scratch = Scratch::create("herald-it").unwrap();
    let empty = scratch.path().join("hunter2");
    std::fs::write(&empty, "SUhunter2\n").unwrap();
    let empty = empty.to_str().unwrap();
    let database = std::env::var("HERALD_TEST_POSTGRES");
    let Ok(database) = database else { return };
    for (flags, reason) in [
        (vec!["--feed-credentials", empty], "no seed"),
        (vec!["--feed-nkey", empty], "no seed"),
        (vec!["--feed-nkey", "/nowhere"], "No such file"),
        (vec!["--feed-nkey", empty, "--feed-credentials", empty], "cannot be used with"),
        (vec!["--feed-ca", empty], "no BEGIN CERTIFICATE"),
        (vec!["--feed-certificate", empty, "--feed-key", empty], "no BEGIN CERTIFICATE"),
        (vec!["--feed-certificate", empty], "--feed-key"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_herald"))
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--database",
                &database,
                "--feed",
                "nats://127.0.0.1:1",
            ])
            .args(&flags)
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(reason), "{flags:?}: {said}");
        assert!(!said.contains("SUhunter2"), "{said}");
    }
}
