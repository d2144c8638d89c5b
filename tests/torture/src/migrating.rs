//! Kills the first migration again and again, each time a little later, until one completes. The next herald must be
//! able to continue after each kill.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use fastrand::Rng;
use tokio::process::Command;
use tokio::time::timeout;

use crate::checker::Broken;

/// By how much later each is killed than the one before, in milliseconds. A migration takes a multiple of it.
const STEP: std::ops::Range<u64> = 4..16;

/// How long one may take that is not killed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Kills migrations of the empty database behind this URL. The rule that was broken, if one was.
pub(crate) async fn kill_amid(herald: &Path, url: &str, random: &mut Rng) -> Result<Option<Broken>, String> {
    let failed = |error: std::io::Error| format!("cannot run {}: {error}", herald.display());
    let mut after = Duration::ZERO;
    while after < PATIENCE {
        after += Duration::from_millis(random.u64(STEP));
        let mut migration = migrate(herald, url).spawn().map_err(failed)?;
        let Ok(status) = timeout(after, migration.wait()).await else {
            migration.kill().await.map_err(failed)?;
            continue;
        };
        if status.map_err(failed)?.success() {
            return Ok(None);
        }
        let said = migration.wait_with_output().await.map_err(failed)?.stderr;
        return Ok(Some(Broken {
            rule: "migrates-again",
            sentence: "A migration that was killed leaves a database that the next one brings up to date.",
            details: String::from_utf8_lossy(&said).trim().to_owned(),
        }));
    }
    Err("a migration does not come to its end".into())
}

fn migrate(herald: &Path, url: &str) -> Command {
    let mut command = Command::new(herald);
    command.args(["migrate", "--database", url]).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}
