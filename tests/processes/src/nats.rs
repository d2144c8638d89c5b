//! A nats-server of its own.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::port::{accepts, free_port};
use crate::program::program;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A nats-server on a port of the loopback address, which it keeps. Killed on drop.
#[derive(Debug)]
pub struct Nats {
    program: PathBuf,
    log: PathBuf,
    port: u16,
    /// The port on which it says what it has carried.
    monitoring: Option<u16>,
    child: Option<Child>,
}

impl Nats {
    /// Starts it; its log goes to a file in the folder `scratch`.
    pub async fn start(scratch: &Path) -> Result<Self, String> {
        Self::open(scratch, None).await
    }

    /// The same, with a second port on which it says over HTTP what it has carried.
    pub async fn start_monitored(scratch: &Path) -> Result<Self, String> {
        Self::open(scratch, Some(free_port()?)).await
    }

    async fn open(scratch: &Path, monitoring: Option<u16>) -> Result<Self, String> {
        let log = scratch.join("nats.log");
        let mut nats =
            Self { program: program("nats-server")?, log, port: free_port()?, monitoring, child: None };
        nats.start_again().await?;
        Ok(nats)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port on which it is monitored, if it is: `/varz` there says what it has carried
    /// (<https://docs.nats.io/running-a-nats-service/nats_admin/monitoring>).
    pub fn monitoring_port(&self) -> Option<u16> {
        self.monitoring
    }

    /// Its process, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Kills it.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill().await;
        }
    }

    /// Starts it on the same port, and waits until that accepts connections.
    pub async fn start_again(&mut self) -> Result<(), String> {
        self.kill().await;
        let failed = |error: std::io::Error| format!("cannot start {}: {error}", self.program.display());
        let log = OpenOptions::new().create(true).append(true).open(&self.log).map_err(failed)?;
        let mut command = Command::new(&self.program);
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string()]);
        if let Some(port) = self.monitoring {
            command.args(["-m", &port.to_string()]);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        self.child = Some(child);
        if accepts(self.port, PATIENCE).await {
            return Ok(());
        }
        Err(format!("nats-server does not listen; its log is {}", self.log.display()))
    }
}
