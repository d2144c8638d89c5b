//! A PgBouncer of its own before a Postgres.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::port::{accepts, free_port};
use crate::program::program;
use crate::user::{USER, is_root};

/// How long it may take until it accepts connections.
const START: Duration = Duration::from_secs(10);

/// A PgBouncer on a port of the loopback address, which it keeps, that lets the user `postgres` in. Killed on drop.
#[derive(Debug)]
pub struct PgBouncer {
    settings: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl PgBouncer {
    /// Starts one before the Postgres at `target`, which pools by `mode`: session, transaction or statement. Further
    /// settings are those of `pgbouncer.ini`. Its files are in the folder `scratch`.
    pub async fn start(
        scratch: &Path,
        target: u16,
        mode: &str,
        extra_settings: &[(&str, &str)],
    ) -> Result<Self, String> {
        let port = free_port()?;
        let write = |name: String, text: String| {
            let file = scratch.join(name);
            std::fs::write(&file, text)
                .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
            Ok::<_, String>(file)
        };
        let users = write(format!("pgbouncer-{port}.users"), format!("\"{USER}\" \"\"\n"))?;
        let extra = extra_settings.iter().map(|(name, value)| format!("{name} = {value}\n"));
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={target}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\n{}",
            users.display(),
            extra.collect::<String>()
        );
        let settings = write(format!("pgbouncer-{port}.ini"), settings)?;
        let mut pooler = Self { settings, port, child: None };
        pooler.start_again().await?;
        Ok(pooler)
    }

    /// Kills it: every connection that it has is cut, on both sides.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill().await;
        }
    }

    /// Starts it on the same port, and waits until that accepts connections.
    pub async fn start_again(&mut self) -> Result<(), String> {
        self.kill().await;
        let program = program("pgbouncer")?;
        let mut command = if is_root() {
            // It refuses to run as root.
            let mut command = Command::new("setpriv");
            command.args(["--reuid", USER, "--regid", USER, "--init-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.arg("--quiet").arg(&self.settings).current_dir("/").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| format!("cannot start pgbouncer: {error}"))?;
        self.child = Some(child);
        if !accepts(self.port, START).await {
            return Err("pgbouncer does not listen".into());
        }
        Ok(())
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }
}
