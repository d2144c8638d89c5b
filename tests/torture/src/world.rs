//! The running parts of one setting: nodes, database, feed and proxies.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use herald_processes::{HeraldOptions, Nats, NatsFaults, Proxy, Scratch, free_port};
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::checker::Broken;
use crate::clock::{Clock, library};
use crate::disk::Disk;
use crate::fault::Fault;
use crate::http::status;
use crate::migrating::kill_amid;
use crate::node::Node;
use crate::options::{Options, Setting};
use crate::servers::Servers;

/// Participants up to which everyone is told of every mark. Few, so that both ways are taken.
pub(crate) const SMALL_CONVERSATION: usize = 6;

/// How herald is run: small queues that overflow, and short times, so that everything happens within seconds.
const FLAGS: [&str; 21] = [
    "--rate-limit",
    "off",
    "--subscriber-queue",
    "8",
    "--poll-interval",
    "1",
    "--request-timeout",
    "5",
    "--init-timeout",
    "5",
    "--ping-interval",
    "2",
    "--write-timeout",
    "4",
    "--shutdown-timeout",
    "2",
    "--max-sockets-per-user",
    "1000",
    "--workers",
    "2",
    "--no-playground",
];

/// By how many milliseconds the clocks of nodes are at most from the true time.
const AHEAD: i64 = 5_000;

/// How long one look at a node's readiness may take.
const LOOK: Duration = Duration::from_secs(2);

/// The flags of every node.
pub(crate) fn flags() -> Vec<String> {
    let small = ["--small-conversation".to_owned(), SMALL_CONVERSATION.to_string()];
    FLAGS.map(str::to_owned).into_iter().chain(small).collect()
}

/// What runs. Everything in it ends when it is dropped: first the nodes, then what they need.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) nats: Option<Mutex<Nats>>,
    pub(crate) servers: Option<Servers>,
    /// Where an SQLite file is.
    pub(crate) disk: Option<Disk>,
    /// How the log goes back once, where it is to.
    pub(crate) turn: Option<Fault>,
    /// The URL of an SQLite file.
    file: String,
    herald: PathBuf,
    /// What cannot be done to it here, and why.
    pub(crate) left_out: Vec<String>,
    /// The rule that was broken before the nodes could start. There are none then.
    pub(crate) broken: Option<Broken>,
    _scratch: Scratch,
}

impl World {
    /// Starts everything. The logs of the nodes go to the folder `logs`.
    pub(crate) async fn start(
        options: &Options,
        setting: Setting,
        seed: u64,
        logs: &Path,
    ) -> Result<Self, String> {
        let scratch = Scratch::create("torture")?;
        let mut left_out = Vec::new();
        let (mut servers, mut nats, mut disk, mut file) = (None, None, None, String::new());
        if setting == Setting::Sqlite {
            let made = Disk::new(scratch.path().join("disk"))?;
            if !made.can_be_full() {
                left_out.push("a full disk: no tmpfs can be mounted here".to_owned());
            }
            file = format!("sqlite://{}?mode=rwc", made.path().join("herald.db").display());
            disk = Some(made);
        } else {
            servers = Some(match setting {
                Setting::Standby | Setting::Synchronous => {
                    Servers::start_pair(scratch.path(), setting == Setting::Synchronous).await?
                }
                Setting::Pooled => Servers::start_pooled(scratch.path()).await?,
                _ => Servers::start(scratch.path()).await?,
            });
        }
        if matches!(setting, Setting::Nats | Setting::Restored) {
            nats = Some(Nats::start(scratch.path()).await?);
        }
        let faketime = library();
        if faketime.is_none() {
            left_out.push("clocks that jump: libfaketime is not installed".to_owned());
        }
        let mut nodes = Vec::new();
        let url = servers
            .as_ref()
            .map_or_else(|| file.clone(), |servers| servers.now().url_through(servers.entrance()));
        let broken = kill_amid(&options.herald, &url, &mut Rng::with_seed(seed)).await?;
        let count = match setting {
            _ if broken.is_some() => 0,
            Setting::Sqlite => 1,
            _ => usize::from(options.nodes),
        };
        for number in 0..count {
            let start = NodeStart { options, number, seed, scratch: scratch.path(), logs };
            let node = start.start(&file, servers.as_ref(), nats.as_ref(), faketime.clone()).await?;
            nodes.push(node);
        }
        let nats = nats.map(Mutex::new);
        let turn = match setting {
            Setting::Standby | Setting::Synchronous => Some(Fault::FailOver),
            Setting::Restored => Some(Fault::Restore),
            _ => None,
        };
        let herald = options.herald.clone();
        Ok(Self { nodes, nats, servers, disk, turn, file, herald, left_out, broken, _scratch: scratch })
    }

    /// The URL of the database, without a proxy between.
    pub(crate) fn database(&self) -> String {
        self.servers.as_ref().map_or_else(|| self.file.clone(), |servers| servers.now().url())
    }

    /// The ports by which clients reach the nodes.
    pub(crate) fn ports(&self) -> Arc<[u16]> {
        self.nodes.iter().map(|node| node.clients.port()).collect()
    }

    /// Makes a key for a service.
    pub(crate) async fn key(&self) -> Result<String, String> {
        let mut command = Command::new(&self.herald);
        command.args(["key", "add", "courier", "--scope", "send", "--database", &self.database()]);
        let output = command.output().await.map_err(|error| format!("cannot run herald key add: {error}"))?;
        if !output.status.success() {
            return Err(format!("herald key add: {}", String::from_utf8_lossy(&output.stderr)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// What `herald check` finds wrong.
    pub(crate) async fn check(&self) -> Result<Option<Broken>, String> {
        let mut command = Command::new(&self.herald);
        let output = command.args(["check", "--database", &self.database()]).output().await;
        let output = output.map_err(|error| format!("cannot run herald check: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Ok((!output.status.success()).then_some(Broken {
            rule: "sound",
            sentence: "`herald check` finds the log sound.",
            details: said,
        }))
    }

    /// Whether every node says that it is ready.
    pub(crate) async fn is_ready(&self) -> bool {
        for node in &self.nodes {
            if status(node.clients.port(), "/readyz", LOOK).await != Some(200) {
                return false;
            }
        }
        true
    }

    /// The nodes that ended without having been told to, and how.
    pub(crate) async fn ended(&self) -> Vec<String> {
        let mut ended = Vec::new();
        for (number, node) in self.nodes.iter().enumerate() {
            if let Some(status) = node.herald.lock().await.ended() {
                ended.push(format!("node {number} ended by itself: {status}"));
            }
        }
        ended
    }
}

/// What one node is started from.
struct NodeStart<'a> {
    options: &'a Options,
    number: usize,
    seed: u64,
    scratch: &'a Path,
    logs: &'a Path,
}

impl NodeStart<'_> {
    /// A seed of this node's own, so that its messages and its clock go wrong otherwise than those of others.
    fn own_seed(&self) -> u64 {
        self.seed.wrapping_mul(31).wrapping_add(u64::try_from(self.number).unwrap_or(0) << 32)
    }

    async fn start(
        &self,
        file: &str,
        servers: Option<&Servers>,
        nats: Option<&Nats>,
        faketime: Option<PathBuf>,
    ) -> Result<Node, String> {
        let number = self.number;
        let mut url = file.to_owned();
        let mut to_database = None;
        if let Some(servers) = servers {
            let proxy = Proxy::start(servers.entrance()).await?;
            url = servers.now().url_through(proxy.port());
            to_database = Some(proxy);
        }
        let mut feed = None;
        if let Some(nats) = nats {
            let faults = NatsFaults::new(self.own_seed());
            feed = Some((Proxy::start_with(nats.port(), Arc::new(faults.clone())).await?, faults));
        }
        let clock = match faketime {
            Some(library) => {
                let ahead = Rng::with_seed(self.own_seed()).i64(-AHEAD..=AHEAD);
                Some(Clock::new(library, self.scratch.join(format!("clock-{number}")), ahead)?)
            }
            None => None,
        };
        let options = HeraldOptions {
            binary: self.options.herald.clone(),
            port: free_port()?,
            database: url,
            feed: feed.as_ref().map(|(proxy, _)| format!("nats://127.0.0.1:{}", proxy.port())),
            flags: flags(),
            env: clock.as_ref().map(Clock::env).unwrap_or_default(),
            log: self.logs.join(format!("node-{number}.log")),
        };
        Node::start(options, to_database, feed, clock).await
    }
}
