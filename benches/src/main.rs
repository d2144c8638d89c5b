//! Measures what herald promises of speed and memory, beside peers, in one run.
//!
//! The server under test is pinned to one core and the load to another; what is compared is the server's CPU time
//! and memory as the kernel accounts for them, as ratios, since machines differ and drift.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark prints, stops at the first surprise, and rounds"
)]

mod fill;
mod load;
mod peers;
mod scenarios;
mod server;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Which measurements to make.
#[derive(Debug, Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure.
    Run {
        /// The herald binary.
        #[arg(long)]
        herald: PathBuf,
        /// fanout, idle, sends, growth; all, if none is named.
        scenarios: Vec<String>,
    },
    /// Serve as a peer: a raw WebSocket broadcast, and a mutation without storage.
    Peer {
        /// The port.
        port: u16,
    },
}

fn main() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let workers = 1;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap();
    match Cli::parse().command {
        Command::Peer { port } => runtime.block_on(peers::serve(port)),
        Command::Run { herald, scenarios } => {
            let wanted = |name: &str| scenarios.is_empty() || scenarios.iter().any(|s| s == name);
            runtime.block_on(async {
                if wanted("fanout") {
                    scenarios::fanout(&herald).await;
                }
                if wanted("idle") {
                    scenarios::idle(&herald).await;
                }
                if wanted("sends") {
                    scenarios::sends(&herald).await;
                }
                if wanted("growth") {
                    scenarios::growth(&herald).await;
                }
            });
        }
    }
}
