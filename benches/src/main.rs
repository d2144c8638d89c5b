//! Measures what herald promises of speed and memory, beside peers, in one run, and what several nodes cost
//! each other in another.
//!
//! A single server under test is pinned to one core and the load to another; what is compared is the server's
//! CPU time and memory as the kernel accounts for them, as ratios, since machines differ and drift. Several
//! nodes share all cores with their database and the load, and are compared with fewer nodes.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark prints, stops at the first surprise, and rounds"
)]

mod cluster;
mod figures;
mod fill;
mod growth;
mod load;
mod pairs;
mod peers;
mod people;
mod scenarios;
mod server;
mod storm;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

/// Which measurements to make.
#[derive(Debug, Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure one node.
    Run {
        /// The herald binary.
        #[arg(long)]
        herald: PathBuf,
        /// Which scenarios; all, if none is named.
        #[arg(value_parser = ["pairs", "storm", "fanout", "idle", "sends", "growth"])]
        scenarios: Vec<String>,
    },
    /// Measure several nodes on one Postgres.
    Cluster {
        /// The herald binary.
        #[arg(long)]
        herald: PathBuf,
    },
    /// Serve as a peer: a raw WebSocket broadcast, and a mutation without storage.
    Peer {
        /// The port.
        port: u16,
    },
}

fn main() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    match Cli::parse().command {
        Command::Peer { port } => runtime(1).block_on(peers::serve(port)),
        Command::Cluster { herald } => runtime(cluster::cores()).block_on(cluster::measure(&herald)),
        Command::Run { herald, scenarios } => {
            let wanted = |name: &str| scenarios.is_empty() || scenarios.iter().any(|s| s == name);
            runtime(1).block_on(async {
                if wanted("pairs") {
                    pairs::pairs(&herald).await;
                }
                if wanted("storm") {
                    storm::storm(&herald).await;
                }
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
                    growth::growth(&herald).await;
                }
            });
        }
    }
}

fn runtime(workers: usize) -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap()
}
