//! Every flag, environment variable and limit.
//!
//! Each flag is also an environment variable: `--page-size` is `HERALD_PAGE_SIZE`. Only this module reads the
//! environment, and it does so once, at the start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::accounts::Scope;

mod check;
mod database;
mod identity;
mod limits;
mod retention;
mod serve;
mod webhook;

pub use self::check::LimitsError;
pub use self::database::{DatabaseArgs, MigrateArgs};
pub use self::identity::{IdentityArgs, KeySource};
pub use self::limits::Limits;
pub use self::retention::RetentionArgs;
pub use self::serve::{Access, LogFormat, ServeArgs, Switch};
pub use self::webhook::{Concealed, WebhookArgs, WebhookCommand};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "herald",
    version,
    about = "Carries messages between people and tells every sender, live, how far each has come.",
    long_about = "herald is a GraphQL server for messages with live delivery receipts. Its subscriptions \
        lose nothing: they resume from a cursor after any disconnect or crash.\n\n\
        Without a command it serves: `herald` is `herald serve`. It needs no set-up; it makes its own SQLite \
        file. Every flag can also be given as an environment variable, such as HERALD_LISTEN.",
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    /// The command; herald serves if there is none.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The arguments of `serve`, for a command line without a command.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The commands of the command line.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve GraphQL over HTTP and WebSocket (the default).
    Serve(Box<ServeArgs>),
    /// Create the database, or bring its schema up to date. `serve` does this by itself.
    Migrate(MigrateArgs),
    /// Copy an SQLite database into a new file, also while a herald serves. The file gets its name when it is complete
    /// and checked. herald never replaces an existing file.
    Backup {
        /// The file to make. Only its owner can read it, because it holds password hashes and everybody's messages.
        file: PathBuf,
        /// Which database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Put a backup in the place of an SQLite database that no herald has open. herald keeps the old database beside
    /// it, and refuses every cursor that clients hold.
    Restore {
        /// The file that `herald backup` made.
        file: PathBuf,
        /// Which database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Prove that the database holds what herald promises. The command reads all of it and names the first row that
    /// breaks a promise. It changes nothing, and a herald may serve meanwhile.
    Check {
        /// Which database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Print the journey of one message, from the log: who sent it, what happened to it and when, and how far it has
    /// come with each recipient. It prints no text of a message, and a herald may serve meanwhile.
    Explain {
        /// The id of the message, `msg_…`.
        message: String,
        /// Which database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Print the GraphQL schema (SDL).
    Schema {
        /// Print the subgraph of a federation: the schema with the directives of Apollo Federation 2.
        #[arg(long = "federation")]
        as_subgraph: bool,
    },
    /// Ask a herald on this machine whether it is ready. The command fails if it is not. Health checks use it.
    Health {
        /// The address that this herald listens on.
        #[arg(long, env = "HERALD_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
        listen: SocketAddr,
    },
    /// Manage users.
    #[command(subcommand)]
    User(UserCommand),
    /// Manage the keys with which the operator's own programs sign in.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Manage webhooks: other servers, which herald calls about what happens.
    #[command(subcommand)]
    Webhook(WebhookCommand),
}

/// The commands about users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Create a user. The password is read from standard input.
    Add {
        /// 3 to 32 of a-z, 0-9, _ and -.
        handle: String,
        /// The name that others see. The default is the handle.
        #[arg(long)]
        display_name: Option<String>,
        /// Which database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Print everything that herald has of a user, as lines of JSON: profile, sessions, blocks, conversations with the
    /// times at which the user took part, messages that they sent, and marks. No password and no token is among it. A
    /// herald may serve meanwhile.
    Export {
        /// The user: an id (`usr_…`), handle:NAME or external:ID.
        user: String,
        /// Which database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// The commands about service keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key and print it. It is shown only here: herald keeps its hash.
    Add {
        /// The name of the service: 1 to 64 of a-z, A-Z, 0-9, ., _ and -. Events say by which service they came.
        name: String,
        /// What the service may do; may be repeated. `provision` makes, updates and disables users. `send` changes
        /// something for a user. `read` reads and follows for a user, and follows the whole log.
        #[arg(long = "scope", value_name = "provision|send|read", required = true)]
        scopes: Vec<Scope>,
        /// Which database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// List the keys, revoked ones too. The keys themselves are not stored.
    List {
        /// Which database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Revoke a key. Within a second or two no node accepts it, and what was opened with it ends.
    Revoke {
        /// The name of the service.
        name: String,
        /// Which database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// The length of a day.
pub const DAY: Duration = Duration::from_hours(24);

/// The longest time that a flag may name. A clock cannot count to the end of every number of seconds.
const MOST_DAYS: u64 = 3_650;

/// Converts a number of seconds from the command line. More than ten years count as ten years.
pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds.min(MOST_DAYS * DAY.as_secs()))
}
