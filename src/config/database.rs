//! The arguments that say which database herald uses.

use clap::Args;

use super::seconds;
use crate::log::{DatabaseOptions, Observer};

/// Which database to use, and how.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// The database: sqlite://FILE?mode=rwc or postgres://USER:PASSWORD@HOST/NAME.
    #[arg(
        long,
        env = "HERALD_DATABASE",
        value_name = "URL",
        default_value = "sqlite://herald.db?mode=rwc",
        hide_env_values = true
    )]
    pub database: String,
    /// Connections to the database for reading.
    #[arg(long, env = "HERALD_DATABASE_READERS", value_name = "N", default_value_t = 4)]
    pub database_readers: u32,
    /// Seconds that the database has to answer each statement. After that, herald answers UNAVAILABLE.
    #[arg(long, env = "HERALD_DATABASE_TIMEOUT", value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub database_timeout: u64,
}

impl DatabaseArgs {
    /// The options with which [`crate::log`] opens the database. `observer` sees every SQL statement.
    pub fn options(&self, observer: Option<Observer>) -> DatabaseOptions {
        let patience = seconds(self.database_timeout);
        DatabaseOptions { url: self.database.clone(), readers: self.database_readers, patience, observer }
    }
}

/// The arguments of `herald migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Which database to use.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Say that a backup was restored. herald then refuses every cursor that clients hold, because such a cursor may
    /// name another event in the restored log. Run this before herald serves again.
    #[arg(long)]
    pub restored: bool,
}
