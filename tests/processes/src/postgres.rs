//! A Postgres of its own, with fresh data.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::port::free_port;
use crate::user::{USER, is_root};

/// Where Debian keeps the versions of Postgres.
const VERSIONS: &str = "/usr/lib/postgresql";

/// A Postgres that accepts everyone on a port of the loopback address. Stopped at once on drop.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    data: PathBuf,
    port: u16,
    options: String,
}

impl Postgres {
    /// Makes a database cluster in the folder `scratch` and serves it. Further settings are those of
    /// `postgresql.conf`.
    pub async fn start(scratch: &Path, extra_settings: &[(&str, &str)]) -> Result<Self, String> {
        let postgres = Self::prepare(scratch.join("postgres"), extra_settings).await?;
        let mut initdb = postgres.command("initdb");
        // In an environment without a locale it would be a database that knows no characters.
        let characters = ["--encoding=UTF8", "--no-locale"];
        run(initdb.arg("-D").arg(&postgres.data).args(["-U", USER, "-A", "trust"]).args(characters)).await?;
        postgres.start_again().await?;
        Ok(postgres)
    }

    /// Copies this one into the folder `scratch`, and serves the copy as a standby that follows it: both through
    /// `port`, which leads to this one.
    pub async fn start_standby(&self, scratch: &Path, port: u16) -> Result<Self, String> {
        // It looks often for a primary that it lost.
        let standby =
            Self::prepare(scratch.join("standby"), &[("wal_retrieve_retry_interval", "200ms")]).await?;
        let mut copy = standby.command("pg_basebackup");
        copy.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", USER, "-c", "fast", "-R", "-D"]);
        run(copy.arg(&standby.data)).await?;
        standby.start_again().await?;
        Ok(standby)
    }

    /// Makes a standby a primary, on a timeline of its own. Returns when it accepts changes.
    pub async fn promote(&self) -> Result<(), String> {
        let mut promote = self.command("pg_ctl");
        run(promote.arg("-D").arg(&self.data).args(["-w", "-s", "promote"])).await
    }

    /// One with an empty folder `data`, which does not run yet.
    async fn prepare(data: PathBuf, extra_settings: &[(&str, &str)]) -> Result<Self, String> {
        let programs = programs()?;
        let port = free_port()?;
        std::fs::create_dir(&data)
            .and_then(|()| std::fs::set_permissions(&data, Permissions::from_mode(0o700)))
            .map_err(|error| format!("cannot create {}: {error}", data.display()))?;
        if is_root() {
            let mut chown = Command::new("chown");
            run(chown.arg(USER).arg(&data)).await?;
        }
        let mut settings = vec![
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", ""),
            ("max_connections", "300"),
        ];
        settings.extend(extra_settings);
        let mut options = format!("-p {port}");
        for (name, value) in settings {
            // Writing to a string cannot fail.
            let _ = write!(options, " -c {name}='{value}'");
        }
        Ok(Self { programs, data, port, options })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        self.url_through(self.port)
    }

    /// The URL of its database for those who come by another port, which leads to its own.
    pub fn url_through(&self, port: u16) -> String {
        format!("postgres://{USER}@127.0.0.1:{port}/postgres")
    }

    /// Stops it at once, as a crash would: what was not committed is lost, every connection is cut.
    pub async fn crash(&self) -> Result<(), String> {
        let mut stop = self.command("pg_ctl");
        run(stop.arg("-D").arg(&self.data).args(["-m", "immediate", "-w", "-s", "stop"])).await
    }

    /// Starts it on the same data and the same port, and waits until it answers.
    pub async fn start_again(&self) -> Result<(), String> {
        let mut start = self.command("pg_ctl");
        start.arg("-D").arg(&self.data).args(["-w", "-s", "-l"]).arg(self.data.join("log"));
        run(start.arg("-o").arg(&self.options).arg("start")).await
    }

    /// Starts it again as a standby that waits for its primary, and is read-only. There is none: nothing comes.
    pub async fn start_as_standby(&self) -> Result<(), String> {
        self.crash().await?;
        let signal = self.data.join("standby.signal");
        std::fs::write(&signal, "").map_err(|error| format!("cannot write {}: {error}", signal.display()))?;
        give_to_postgres(&signal)?;
        self.start_again().await
    }

    fn command(&self, program: &str) -> Command {
        as_postgres(&self.programs.join(program)).into()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut stop = as_postgres(&self.programs.join("pg_ctl"));
        stop.arg("-D").arg(&self.data).args(["-m", "immediate", "-w", "-s", "stop"]);
        // It may have been stopped before.
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// Gives a file to the user that Postgres runs as, and to nobody else, as it demands of its keys.
pub fn give_to_postgres(file: &Path) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("cannot give {} away: {error}", file.display());
    std::fs::set_permissions(file, Permissions::from_mode(0o600)).map_err(wrong)?;
    if is_root() {
        std::process::Command::new("chown").arg(USER).arg(file).status().map_err(wrong)?;
    }
    Ok(())
}

/// The folder with the programs of the newest version.
fn programs() -> Result<PathBuf, String> {
    let versions = std::fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    versions
        .filter_map(|version| {
            let number: u32 = version.file_name().to_str()?.parse().ok()?;
            let programs = version.path().join("bin");
            programs.join("initdb").exists().then_some((number, programs))
        })
        .max()
        .map(|(_, programs)| programs)
        .ok_or_else(|| format!("no Postgres is installed in {VERSIONS}: install the package postgresql"))
}

fn as_postgres(program: &Path) -> std::process::Command {
    let mut command = if is_root() {
        let mut command = std::process::Command::new("runuser");
        command.args(["-u", USER, "--"]).arg(program);
        command
    } else {
        std::process::Command::new(program)
    };
    // Its user may not be allowed into the folder in which we are.
    command.current_dir("/").stdin(Stdio::null());
    command
}

/// Runs a command to its end; what it complains of is the error.
async fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().await.map_err(|error| format!("{:?}: {error}", command.as_std()))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{:?}: {}: {}", command.as_std(), output.status, complaint.trim()))
}
