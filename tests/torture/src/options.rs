//! The arguments of the command line.

use std::fmt;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Breaks everything around herald at once, and checks that it loses nothing.
#[derive(Debug, Clone, Parser)]
#[command(name = "herald-torture")]
pub(crate) struct Options {
    /// The herald to torture.
    #[arg(long, value_name = "FILE", default_value = "target/debug/herald")]
    pub(crate) herald: PathBuf,
    /// A herald of an older version, for the setting `rolling`.
    #[arg(long, value_name = "FILE")]
    pub(crate) older: Option<PathBuf>,
    /// What it runs on.
    #[arg(long, value_enum, default_value_t = Setting::All)]
    pub(crate) setting: Setting,
    /// For how long things break, in each round.
    #[arg(long, value_name = "SECONDS", default_value_t = 40)]
    pub(crate) seconds: u64,
    /// How many rounds, each with the seed of the one before and one.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) rounds: u64,
    /// What the faults and the choices of people are drawn from; drawn itself, if left out.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Nodes on one Postgres. On SQLite there is one.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) nodes: u16,
    /// People.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u16).range(4..))]
    pub(crate) people: u16,
    /// Where histories and logs are kept; those of a round in which nothing was broken are kept only if this
    /// is given.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// A rule must be broken: for a herald in which a fault was planted.
    #[arg(long)]
    pub(crate) expect_broken: bool,
}

/// What herald runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Setting {
    /// One node on an SQLite file.
    Sqlite,
    /// Several on one Postgres, with LISTEN and NOTIFY between them.
    Postgres,
    /// Several on one Postgres, with NATS between them.
    Nats,
    /// Several on one Postgres, with a PgBouncer between.
    Pooled,
    /// Several on a Postgres whose standby takes its place, with what was answered last lost.
    Standby,
    /// The same with a synchronous standby, with which nothing is lost.
    Synchronous,
    /// As with NATS, with a backup put back while the nodes run.
    Restored,
    /// Several on one Postgres, which are replaced one by one: by this version for an older one. By name only.
    Rolling,
    /// Each of these but the one before, one after the other.
    All,
}

impl Setting {
    /// The settings that this stands for.
    pub(crate) fn each(self) -> Vec<Self> {
        match self {
            Self::All => vec![
                Self::Sqlite,
                Self::Postgres,
                Self::Nats,
                Self::Pooled,
                Self::Standby,
                Self::Synchronous,
                Self::Restored,
            ],
            one => vec![one],
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Nats => "nats",
            Self::Pooled => "pooled",
            Self::Standby => "standby",
            Self::Synchronous => "synchronous",
            Self::Restored => "restored",
            Self::Rolling => "rolling",
            Self::All => "all",
        })
    }
}
