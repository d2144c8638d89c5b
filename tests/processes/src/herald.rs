//! One herald: a node, on a port that it keeps over every restart.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

/// How long a node may take to say where it listens.
const START: Duration = Duration::from_secs(30);

/// How long a node may take to end when it is asked to.
const END: Duration = Duration::from_mins(1);

/// Lines of its log that are quoted when a node does not start.
const QUOTED: usize = 5;

/// How a node is started.
#[derive(Debug, Clone)]
pub struct HeraldOptions {
    /// The program.
    pub binary: PathBuf,
    /// The port of the loopback address that it listens on.
    pub port: u16,
    /// The URL of the database.
    pub database: String,
    /// The URL of the feed, if it has one of its own.
    pub feed: Option<String>,
    /// Further flags of `herald serve`.
    pub flags: Vec<String>,
    /// Environment variables, beside those of this process.
    pub env: Vec<(String, String)>,
    /// Where its log goes; what is there already is kept.
    pub log: PathBuf,
}

/// A running node. Killed on drop.
#[derive(Debug)]
pub struct Herald {
    options: HeraldOptions,
    child: Option<Child>,
}

impl Herald {
    /// Starts a node, and waits until it listens.
    pub async fn start(options: HeraldOptions) -> Result<Self, String> {
        let mut herald = Self { options, child: None };
        herald.start_again().await?;
        Ok(herald)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.options.port
    }

    /// How it is started.
    pub fn options(&self) -> &HeraldOptions {
        &self.options
    }

    /// Its process, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// How it ended, if it did without having been told to.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// Kills it, as `kill -9` does.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill().await;
        }
    }

    /// Asks it to end (SIGTERM) and waits until it has. The answer is how long that took.
    pub async fn terminate(&mut self) -> Result<Duration, String> {
        self.signal("TERM").await?;
        let Some(mut child) = self.child.take() else { return Err("the node does not run".into()) };
        let asked = Instant::now();
        match timeout(END, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(asked.elapsed()),
            Ok(Ok(status)) => Err(format!("herald ended with {status} when it was asked to stop")),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => {
                let _ = child.kill().await;
                Err(format!("herald did not end within {} s when it was asked to stop", END.as_secs()))
            }
        }
    }

    /// Stops its process where it is (SIGSTOP).
    pub async fn pause(&self) -> Result<(), String> {
        self.signal("STOP").await
    }

    /// Has its process go on (SIGCONT).
    pub async fn resume(&self) -> Result<(), String> {
        self.signal("CONT").await
    }

    /// Starts it again as it was started before; kills it first, if it runs.
    pub async fn start_again(&mut self) -> Result<(), String> {
        self.kill().await;
        let mut child = self
            .command()
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", self.options.binary.display()))?;
        let stderr = child.stderr.take().ok_or("herald has no standard error")?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.options.log)
            .map_err(|error| format!("cannot write {}: {error}", self.options.log.display()))?;
        let mut said = Said { lines: BufReader::new(stderr).lines(), log: File::from_std(log) };
        match timeout(START, said.listening()).await {
            Ok(Ok(())) => {}
            Ok(Err(last)) => return Err(format!("herald did not start: {last}")),
            Err(_) => {
                return Err(format!("herald did not say where it listens within {} s", START.as_secs()));
            }
        }
        // What it says afterwards must not fill the pipe.
        tokio::spawn(async move { while said.line().await.is_some() {} });
        self.child = Some(child);
        Ok(())
    }

    fn command(&self) -> Command {
        let HeraldOptions { binary, port, database, feed, flags, env, .. } = &self.options;
        let mut command = Command::new(binary);
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--database", database]);
        if let Some(feed) = feed {
            command.args(["--feed", feed]);
        }
        command
            .args(flags)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Sends a signal by the command `kill`: the system call would be unsafe code.
    async fn signal(&self, name: &str) -> Result<(), String> {
        let id = self.id().ok_or("the node does not run")?;
        let sent = Command::new("kill").arg(format!("-{name}")).arg(id.to_string()).status().await;
        match sent {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("kill -{name} {id}: {status}")),
            Err(error) => Err(format!("kill -{name} {id}: {error}")),
        }
    }
}

/// What a node says on its standard error, written on to its log.
struct Said {
    lines: Lines<BufReader<ChildStderr>>,
    log: File,
}

impl Said {
    /// The next line; `None` when there will never be another.
    async fn line(&mut self) -> Option<String> {
        let mut line = self.lines.next_line().await.ok().flatten()?;
        line.push('\n');
        // A log that cannot be written stops no test.
        let _ = self.log.write_all(line.as_bytes()).await;
        let _ = self.log.flush().await;
        Some(line)
    }

    /// Returns once the node says where it listens; the error is the last that it said before it ended.
    async fn listening(&mut self) -> Result<(), String> {
        let mut last = VecDeque::new();
        while let Some(line) = self.line().await {
            if line.contains("http://") && line.contains("/graphql") {
                return Ok(());
            }
            if last.len() == QUOTED {
                last.pop_front();
            }
            last.push_back(line);
        }
        Err(last.into_iter().collect())
    }
}
