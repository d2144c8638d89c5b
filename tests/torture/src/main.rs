//! Tortures herald: people talk while processes are killed, networks cut, clocks set and disks filled. In the end
//! everything is repaired, and the answers and events of herald are checked against the rules that it must always keep.
//!
//! What never lives here: herald's own code. The test uses the API and reads the tables.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails should say where, and then stop"))]

mod act;
mod acting;
mod cast;
mod checker;
mod clock;
mod device;
mod disk;
mod documents;
mod ending;
mod fault;
mod fresh;
mod history;
mod http;
mod link;
mod migrating;
mod nemesis;
mod node;
mod options;
mod person;
mod phase;
mod receipts;
mod record;
mod returning;
mod rolling;
mod round;
mod servers;
mod socket;
mod stream;
mod summary;
mod told;
mod turning;
mod world;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::checker::Broken;
use crate::options::{Options, Setting};
use crate::round::{Verdict, play};

/// The exit code of a run that could not be made: it says nothing of herald.
const NOT_RUN: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let result = tokio::select! {
        result = Box::pin(run(&options)) => result,
        // Dropping the world ends every process that was started.
        () = interrupted() => Err("interrupted".into()),
    };
    match result {
        Ok(is_broken) if is_broken == options.expect_broken => ExitCode::SUCCESS,
        Ok(is_broken) => {
            if !is_broken {
                say("No rule was broken, though one was to be.");
            }
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("herald-torture: {why}");
            ExitCode::from(NOT_RUN)
        }
    }
}

/// Plays all rounds, up to the first in which a rule is broken. The answer is whether there is one.
async fn run(options: &Options) -> Result<bool, String> {
    let first = options.seed.unwrap_or_else(|| fastrand::u64(0..1_000_000));
    for setting in options.setting.each() {
        for seed in (first..).take(usize::try_from(options.rounds).unwrap_or(usize::MAX)) {
            say(&format!("{setting}, seed {seed}, {} s", options.seconds));
            let folder = folder(options, setting, seed)?;
            let Verdict { broken, summary, past } = Box::pin(play(options, setting, seed, &folder))
                .await
                .map_err(|why| format!("{why}\nThe logs of the nodes are in {}.", folder.display()))?;
            say(&summary);
            if broken.is_none() && options.out.is_none() {
                std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
                continue;
            }
            let file = folder.join("history.jsonl");
            past.write(&file).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
            if let Some(broken) = broken {
                report(&broken, setting, seed, &folder);
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The folder in which a round leaves its traces.
fn folder(options: &Options, setting: Setting, seed: u64) -> Result<PathBuf, String> {
    let parent = options.out.clone().unwrap_or_else(std::env::temp_dir);
    let folder = parent.join(format!("herald-torture-{setting}-{seed}"));
    // The logs of an earlier run with the same seed would be mixed up with those of this one.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    Ok(folder)
}

fn report(broken: &Broken, setting: Setting, seed: u64, folder: &Path) {
    let Broken { rule, sentence, details } = broken;
    say(&format!("\nBROKEN: {rule}\n{sentence}\n\n{details}\n"));
    say(&format!("setting {setting}, seed {seed}"));
    say(&format!("history and logs: {}", folder.display()));
}

/// Writes a line to standard output. Whoever stops reading has seen enough.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Returns at the first SIGINT or SIGTERM.
async fn interrupted() {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return std::future::pending().await };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
