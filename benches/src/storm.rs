//! Everybody comes back at once, each having missed events: how long until all are whole, and what that costs, beside
//! one write of ready bytes a socket. A socket is whole once each event that it missed has arrived once and in order.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use herald_processes::Scratch;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::figures::Spread;
use crate::load::{Http, Socket};
use crate::people::{EVENTS, SEND, User, number_of, register, send_variables, start};
use crate::server::Server;

/// How many sockets come back.
const SOCKETS: [usize; 3] = [500, 2_000, 10_000];

/// How many events each of them has missed.
const MISSED: usize = 100;

/// Whose sockets they are. All take part in one conversation.
const PEOPLE: usize = 500;

/// Runs of each server, by turns.
const ROUNDS: usize = 3;

/// How long a storm may last.
const PATIENCE: Duration = Duration::from_mins(2);

/// How many connect at a time. The kernel keeps 128 for a server that is busy. It drops what is more, and who connects
/// tries again a second later.
const CONNECTING: usize = 100;

/// Files that a process has open beside its sockets.
const OTHER_FILES: u64 = 100;

#[derive(Clone, Copy, PartialEq)]
enum Contender {
    /// herald, which was up all the time.
    Up,
    /// herald, which was started again meanwhile.
    Restarted,
    /// One write of ready bytes.
    Raw,
}

impl Contender {
    const ALL: [Self; 3] = [Self::Up, Self::Restarted, Self::Raw];

    fn name(self) -> &'static str {
        match self {
            Self::Up => "herald, up all the time",
            Self::Restarted => "herald, restarted",
            Self::Raw => "raw axum WebSocket, ready bytes",
        }
    }
}

/// What one storm took.
struct Storm {
    whole: usize,
    seconds: f64,
    /// CPU time of the server an event, in microseconds.
    cpu: f64,
    /// What the server took at most beyond what it had before, in bytes a socket.
    memory: f64,
}

/// Measures storms of each size and prints a row for each server.
pub(crate) async fn storm(herald: &Path) {
    println!(
        "\n## Storm: sockets of {PEOPLE} people come back at once, each having missed {MISSED} events\n"
    );
    println!("The median of {ROUNDS} runs (the least–the most).\n");
    println!("| sockets | | until all are whole | CPU an event | peak memory a socket |");
    println!("|---|---|---|---|---|");
    let site = Site::make(herald).await;
    for sockets in SOCKETS {
        let files = rlimit::getrlimit(rlimit::Resource::NOFILE).unwrap().0;
        if files < sockets as u64 + OTHER_FILES {
            println!("| {sockets} | not measured: a process may open {files} files (`ulimit -Hn`) | | | |");
            continue;
        }
        site.measure(sockets).await;
    }
}

/// People of one conversation, and where that is stored.
struct Site<'a> {
    herald: &'a Path,
    scratch: Scratch,
    sender: User,
    people: Vec<User>,
    conversation: String,
    /// What herald answers to the messages of a socket that comes back.
    script: Value,
}

impl<'a> Site<'a> {
    async fn make(herald: &'a Path) -> Self {
        let scratch = Scratch::create("bench").unwrap();
        let server = start_herald(herald, &scratch).await;
        let sender = register(server.port, "sender").await;
        let mut people = Vec::new();
        for n in 0..PEOPLE {
            people.push(register(server.port, &format!("somebody-{n}")).await);
        }
        let conversation = start(server.port, &sender, &people.iter().collect::<Vec<_>>()).await;
        let mut site = Self { herald, scratch, sender, people, conversation, script: Value::Null };
        let cursor = site.send(&server).await;
        site.script = site.script(&server, cursor).await;
        server.stop().await;
        site
    }

    /// Sends what will have been missed by those who come back to the cursor that this returns.
    async fn send(&self, server: &Server) -> Value {
        let mut http = Http::connect(server.port, "/graphql", Some(&self.sender.token)).await;
        let cursor = http.graphql("{ cursor }", json!({})).await["cursor"].take();
        for n in 1..=MISSED {
            http.graphql(SEND, send_variables(&self.conversation, n)).await;
        }
        cursor
    }

    /// Notes what a socket is answered.
    async fn script(&self, server: &Server, cursor: Value) -> Value {
        let token = &self.people[0].token;
        let mut socket = Socket::herald(server.port, token, EVENTS, json!({ "after": cursor })).await;
        let mut events = Vec::new();
        for _ in 0..MISSED {
            events.push(String::from_utf8(socket.next().await.unwrap().to_vec()).unwrap());
        }
        json!([[r#"{"type":"connection_ack"}"#], events, [r#"{"id":"end","type":"complete"}"#]])
    }

    async fn measure(&self, sockets: usize) {
        let mut storms: Vec<(Contender, Storm)> = Vec::new();
        for _ in 0..ROUNDS {
            for contender in Contender::ALL {
                // What did not end in time is not tried again.
                if storms.iter().all(|(of, storm)| *of != contender || storm.whole == sockets) {
                    storms.push((contender, self.storm(contender, sockets).await));
                }
            }
        }
        for contender in Contender::ALL {
            let mine: Vec<_> =
                storms.iter().filter(|(of, _)| *of == contender).map(|(_, storm)| storm).collect();
            let name = contender.name();
            if let Some(Storm { whole, seconds, .. }) = mine.iter().find(|storm| storm.whole < sockets) {
                println!("| {sockets} | {name} | **{whole} whole** after {seconds:.0} s | | |");
                continue;
            }
            let spread =
                |value: fn(&Storm) -> f64| Spread::of(mine.iter().map(|storm| value(storm)).collect());
            println!(
                "| {sockets} | {name} | {:.2} s | {:.1} µs | {:.1} KB |",
                spread(|storm| storm.seconds),
                spread(|storm| storm.cpu),
                spread(|storm| storm.memory / 1e3),
            );
        }
    }

    async fn storm(&self, contender: Contender, sockets: usize) -> Storm {
        let (server, path, after) = match contender {
            Contender::Raw => {
                let server = Server::peer().await;
                Http::connect(server.port, "/script", None).await.post(&self.script.to_string()).await;
                (server, "/script", Value::Null)
            }
            Contender::Up => {
                let server = start_herald(self.herald, &self.scratch).await;
                let after = self.send(&server).await;
                (server, "/graphql", after)
            }
            Contender::Restarted => {
                let server = start_herald(self.herald, &self.scratch).await;
                let after = self.send(&server).await;
                server.stop().await;
                (start_herald(self.herald, &self.scratch).await, "/graphql", after)
            }
        };
        let storm = self.come_back(&server, path, &after, sockets).await;
        server.stop().await;
        storm
    }

    async fn come_back(&self, server: &Server, path: &'static str, after: &Value, sockets: usize) -> Storm {
        let connecting = Arc::new(Semaphore::new(CONNECTING));
        let (whole, mut wholes) = mpsc::unbounded_channel();
        let (storm, over) = watch::channel(());
        let (memory, cpu, begun) = (server.memory(), server.cpu(), Instant::now());
        let mut returning = JoinSet::new();
        for user in self.people.iter().cycle().take(sockets) {
            let back = Returning {
                port: server.port,
                path,
                token: user.token.clone(),
                after: after.clone(),
                connecting: Arc::clone(&connecting),
            };
            returning.spawn(back.come(whole.clone(), over.clone()));
        }
        drop(whole);
        let mut count = 0;
        let counting = async {
            while let Some(()) = wholes.recv().await {
                count += 1;
            }
        };
        let _ = timeout(PATIENCE, counting).await;
        let result = Storm {
            whole: count,
            seconds: begun.elapsed().as_secs_f64(),
            cpu: (server.cpu() - cpu) / (sockets * MISSED) as f64,
            memory: (server.peak_memory() - memory) / sockets as f64,
        };
        drop(storm);
        if count == sockets {
            returning.join_all().await;
        }
        result
    }
}

async fn start_herald(herald: &Path, scratch: &Scratch) -> Server {
    // All come from one address, and are not signed in at first.
    let flags = ["--max-anonymous-sockets", "20000"];
    Server::herald(herald, &scratch.path().join("herald.db"), &flags).await
}

/// A socket that comes back.
struct Returning {
    port: u16,
    path: &'static str,
    token: String,
    after: Value,
    connecting: Arc<Semaphore>,
}

impl Returning {
    /// Comes back, and says so when it is whole. Then it answers pings until the storm is over.
    async fn come(self, whole: mpsc::UnboundedSender<()>, mut over: watch::Receiver<()>) {
        let turn = self.connecting.acquire().await.unwrap();
        let mut socket = Socket::connect(self.port, self.path).await;
        drop(turn);
        socket.follow(&self.token, EVENTS, json!({ "after": self.after })).await;
        for n in 1..=MISSED {
            let frame = socket.next().await.expect("the server has not closed");
            assert_eq!(number_of(frame), Some(n), "{}", String::from_utf8_lossy(frame));
        }
        whole.send(()).unwrap();
        drop(whole);
        tokio::select! {
            _ = over.changed() => {}
            frame = socket.next() => panic!("more than was missed: {:?}", frame.map(String::from_utf8_lossy)),
        }
        // Whatever was on its way arrives before the answer to a question.
        socket.ask("end", "{ viewer { id } }", json!({})).await;
        loop {
            let frame = socket.receive().await;
            assert_eq!(frame["id"], "end", "more than was missed");
            if frame["type"] == "complete" {
                return;
            }
        }
    }
}
