//! A server under test: a process pinned to one core, and what the kernel says of it.

use std::path::Path;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// The core of the server. The load runs on the others.
const CORE: &str = "0";

/// Clock ticks per second in `/proc` (`getconf CLK_TCK`; 100 on every Linux of today).
const TICKS: f64 = 100.0;

pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Server {
    /// herald on this database file.
    pub(crate) async fn herald(binary: &Path, database: &Path, flags: &[&str]) -> Self {
        let port = free_port();
        let mut command = Command::new("taskset");
        command.args(["-c", CORE]).arg(binary).args(["serve", "--workers", "1", "--log", "warn"]);
        command.args(["--rate-limit", "off", "--listen", &format!("127.0.0.1:{port}")]);
        command.args(["--database", &format!("sqlite://{}?mode=rwc", database.display())]).args(flags);
        Self::start(command, port).await
    }

    /// The peers of this very program.
    pub(crate) async fn peer() -> Self {
        let port = free_port();
        let mut command = Command::new("taskset");
        command.args(["-c", CORE]).arg(std::env::current_exe().unwrap()).args(["peer", &port.to_string()]);
        Self::start(command, port).await
    }

    /// graphql-yoga on this database file, with what `npm ci` installed beside it.
    pub(crate) async fn yoga(database: &Path) -> Self {
        let port = free_port();
        let mut command = Command::new("taskset");
        command.args(["-c", CORE, "node", concat!(env!("CARGO_MANIFEST_DIR"), "/peers/yoga/server.js")]);
        command.arg(port.to_string()).arg(database).env("NODE_ENV", "production");
        Self::start(command, port).await
    }

    async fn start(mut command: Command, port: u16) -> Self {
        let child = command.kill_on_drop(true).spawn().expect("taskset, from util-linux");
        for _ in 0..1_000 {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Self { child, port };
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the server does not listen");
    }

    /// Kills it, and waits until it is gone.
    pub(crate) async fn stop(mut self) {
        self.child.kill().await.unwrap();
    }

    /// CPU time used so far, in microseconds, user and system.
    pub(crate) fn cpu(&self) -> f64 {
        cpu_of(&self.id())
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> f64 {
        self.status("VmRSS:")
    }

    /// The most that was ever resident, in bytes.
    pub(crate) fn peak_memory(&self) -> f64 {
        self.status("VmHWM:")
    }

    fn status(&self, line: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|found| found.strip_prefix(line)).unwrap();
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1024.0
    }

    fn id(&self) -> String {
        self.child.id().expect("the server runs").to_string()
    }
}

/// CPU time that a process has used so far, in microseconds; `self` is this very program.
pub(crate) fn cpu_of(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name, which may contain anything, ends with the last parenthesis.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / TICKS * 1e6
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
