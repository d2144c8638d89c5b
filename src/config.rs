//! Every flag, environment variable and limit, in one place.
//!
//! Each flag is also an environment variable: `--page-size` is `HERALD_PAGE_SIZE`. What never lives here: a
//! reading of the environment anywhere but at the start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::log::{DatabaseOptions, Observer};

pub mod allocator;
mod check;

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
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve, where no command is given.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// What herald can be told to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve GraphQL over HTTP and WebSocket (the default).
    Serve(Box<ServeArgs>),
    /// Create the database, or bring its schema up to date. `serve` does this by itself.
    Migrate(MigrateArgs),
    /// Copy an SQLite database into a new file, also while a herald serves. It gets its name when it is whole and checked; a file
    /// that is there is never replaced.
    Backup {
        /// The file to make, readable for its owner only: it holds password hashes, and everybody's messages.
        file: PathBuf,
        /// Where the data is.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Put a backup in the place of an SQLite database that no herald has open. The database of before is kept beside it, and
    /// every cursor that clients hold is refused from then on.
    Restore {
        /// The backup.
        file: PathBuf,
        /// Where the data is.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Prove that the database holds what herald promises: reads all of it, and names the first row that breaks a promise.
    /// Changes nothing. A herald may go on serving meanwhile.
    Check {
        /// Where the data is.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Print the GraphQL schema (SDL).
    Schema,
    /// Ask a herald on this machine whether it is ready, for health checks: fails unless it is.
    Health {
        /// The address that it listens on.
        #[arg(long, env = "HERALD_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
        listen: SocketAddr,
    },
    /// Manage users.
    #[command(subcommand)]
    User(UserCommand),
}

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Create a user. The password is read from standard input.
    Add {
        /// 3 to 32 of a-z, 0-9, _ and -.
        handle: String,
        /// The name shown to others; the handle, if it is left out.
        #[arg(long)]
        display_name: Option<String>,
        /// Where the data is.
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// Where the data is.
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
    /// Database connections for reading.
    #[arg(long, env = "HERALD_DATABASE_READERS", value_name = "N", default_value_t = 4)]
    pub database_readers: u32,
    /// Seconds that the database has to answer, for each statement; after that, the answer is UNAVAILABLE.
    #[arg(long, env = "HERALD_DATABASE_TIMEOUT", value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub database_timeout: u64,
}

impl DatabaseArgs {
    /// How to open it.
    pub fn options(&self, observer: Option<Observer>) -> DatabaseOptions {
        let patience = seconds(self.database_timeout);
        DatabaseOptions { url: self.database.clone(), readers: self.database_readers, patience, observer }
    }
}

/// What `migrate` takes.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Where the data is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Say that a backup was restored: every cursor that clients hold is refused from now on, so that none
    /// is mistaken for one of the restored log. Run this before herald serves again.
    #[arg(long)]
    pub restored: bool,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

/// What `serve` takes.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Address and port to listen on.
    #[arg(long, env = "HERALD_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,
    /// Address and port on which GET /metrics is answered, for Prometheus; nowhere, if left out.
    #[arg(long, env = "HERALD_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// Where the data is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// NATS, to tell the other nodes what happened: nats://HOST:PORT or tls://HOST:PORT, several separated by commas; user
    /// and password, or a token, in the URL. Left out, nodes on Postgres tell each other through Postgres.
    #[arg(long, env = "HERALD_FEED", value_name = "URL", hide_env_values = true)]
    pub feed: Option<String>,
    /// A file with credentials for NATS (JWT and seed). Read again at each connection.
    #[arg(long, env = "HERALD_FEED_CREDENTIALS", value_name = "FILE", requires = "feed")]
    pub feed_credentials: Option<PathBuf>,
    /// A file with the seed of an nkey for NATS (SU…). Read again at each connection.
    #[arg(long, env = "HERALD_FEED_NKEY", value_name = "FILE", requires = "feed")]
    #[arg(conflicts_with = "feed_credentials")]
    pub feed_nkey: Option<PathBuf>,
    /// A file with the certificate authorities of NATS (PEM), in the place of those of the system.
    #[arg(long, env = "HERALD_FEED_CA", value_name = "FILE", requires = "feed")]
    pub feed_ca: Option<PathBuf>,
    /// A file with herald's own certificate for NATS (PEM).
    #[arg(long, env = "HERALD_FEED_CERTIFICATE", value_name = "FILE", requires_all = ["feed", "feed_key"])]
    pub feed_certificate: Option<PathBuf>,
    /// A file with the key of that certificate (PEM).
    #[arg(long, env = "HERALD_FEED_KEY", value_name = "FILE", requires = "feed_certificate")]
    pub feed_key: Option<PathBuf>,
    /// Threads that serve; as many as there are processors, if left out.
    #[arg(long, env = "HERALD_WORKERS", value_name = "N")]
    pub workers: Option<usize>,
    /// How to write the log.
    #[arg(long, env = "HERALD_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What to log: error, warn, info, debug or trace, or a filter such as info,herald=debug.
    #[arg(long, env = "HERALD_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// Believe X-Forwarded-For and X-Forwarded-Proto. Only behind a proxy that sets them itself.
    #[arg(long, env = "HERALD_TRUST_PROXY")]
    pub trust_proxy: bool,
    /// Allow introspection queries.
    #[arg(long, env = "HERALD_INTROSPECTION", value_enum, default_value_t = Switch::On)]
    pub introspection: Switch,
    /// Let web pages of this origin use herald, such as `https://app.example.com`; may be given several times, or
    /// with commas between. `*` stands for every origin, but without cookies.
    #[arg(
        long,
        env = "HERALD_ALLOW_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ',',
        value_parser = origin
    )]
    pub allow_origin: Vec<String>,
    /// Serve no playground, which is the chat at / and GraphiQL at /graphiql.
    #[arg(long, env = "HERALD_NO_PLAYGROUND")]
    pub no_playground: bool,
    /// Execute only the documents in this file: a JSON object of each one's SHA-256 to its text, as Relay and
    /// graphql-codegen write it.
    #[arg(long, env = "HERALD_TRUSTED_DOCUMENTS", value_name = "FILE")]
    pub trusted_documents: Option<PathBuf>,
    /// Limit how often users send, mark, start conversations and invite, and addresses register or sign in.
    #[arg(long, env = "HERALD_RATE_LIMIT", value_enum, default_value_t = Switch::On)]
    pub rate_limit: Switch,
    /// What is bounded, and by how much.
    #[command(flatten)]
    pub limits: Limits,
}

/// Everything that is bounded. A request beyond a limit is refused with an error that names it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Characters in a message.
    #[arg(long, env = "HERALD_MAX_MESSAGE_CHARS", value_name = "N", default_value_t = 10_000)]
    pub max_message_chars: usize,
    /// Participants of a conversation.
    #[arg(long, env = "HERALD_MAX_PARTICIPANTS", value_name = "N", default_value_t = 1_000)]
    pub max_participants: u32,
    /// Participants up to which everyone in a conversation is told of every mark. Beyond, only the senders
    /// of the messages that it covers and whoever marked are.
    #[arg(long, env = "HERALD_SMALL_CONVERSATION", value_name = "N", default_value_t = 32)]
    pub small_conversation: u32,
    /// Elements of a page when the query names no `first` or `last`.
    #[arg(long, env = "HERALD_PAGE_SIZE", value_name = "N", default_value_t = 50)]
    pub page_size: usize,
    /// Elements that a query may ask for in one page.
    #[arg(long, env = "HERALD_MAX_PAGE_SIZE", value_name = "N", default_value_t = 200)]
    pub max_page_size: usize,
    /// Bytes of a GraphQL document.
    #[arg(long, env = "HERALD_MAX_DOCUMENT_BYTES", value_name = "BYTES", default_value_t = 32 * 1024)]
    pub max_document_bytes: usize,
    /// Tokens of a GraphQL document, where each stretch of white space and each comment counts as one.
    #[arg(long, env = "HERALD_MAX_TOKENS", value_name = "N", default_value_t = 8_000)]
    pub max_tokens: usize,
    /// Depth to which a document's selections nest. GraphiQL's introspection needs 15.
    #[arg(long, env = "HERALD_MAX_DEPTH", value_name = "N", default_value_t = 20)]
    pub max_depth: usize,
    /// Fields that a document may come to, each counted as often as the pages around it have elements.
    #[arg(long, env = "HERALD_MAX_COMPLEXITY", value_name = "N", default_value_t = 150_000)]
    pub max_complexity: usize,
    /// Bytes of an answer. It ends with an error as soon as it would be larger.
    #[arg(long, env = "HERALD_MAX_ANSWER_BYTES", value_name = "BYTES", default_value_t = 8 * 1024 * 1024)]
    pub max_answer_bytes: usize,
    /// Fields that the different subscriptions of one user may select in all.
    #[arg(long, env = "HERALD_MAX_SUBSCRIBED_FIELDS", value_name = "N", default_value_t = 5_000)]
    pub max_subscribed_fields: usize,
    /// Fields that one event may come to in the different subscriptions of one user, counted as for
    /// `--max-complexity`.
    #[arg(long, env = "HERALD_MAX_SUBSCRIBED_COMPLEXITY", value_name = "N", default_value_t = 20_000)]
    pub max_subscribed_complexity: usize,
    /// Aliases in a document.
    #[arg(long, env = "HERALD_MAX_ALIASES", value_name = "N", default_value_t = 50)]
    pub max_aliases: usize,
    /// Directives in a document.
    #[arg(long, env = "HERALD_MAX_DIRECTIVES", value_name = "N", default_value_t = 50)]
    pub max_directives: usize,
    /// Bytes of an HTTP request's body, and of a WebSocket message.
    #[arg(long, env = "HERALD_MAX_BODY_BYTES", value_name = "BYTES", default_value_t = 256 * 1024)]
    pub max_body_bytes: usize,
    /// Bytes of an HTTP request's head.
    #[arg(long, env = "HERALD_MAX_HEADER_BYTES", value_name = "BYTES", default_value_t = 32 * 1024)]
    pub max_header_bytes: usize,
    /// TCP connections at a time. Beyond, the answer is 503.
    #[arg(long, env = "HERALD_MAX_CONNECTIONS", value_name = "N", default_value_t = 20_000)]
    pub max_connections: usize,
    /// TCP connections of one address at a time, an IPv6 network (/64) being one; three of four of all, if left out.
    /// With --trust-proxy it is requests under way and WebSockets that count, by X-Forwarded-For.
    #[arg(long, env = "HERALD_MAX_CONNECTIONS_PER_ADDRESS", value_name = "N")]
    pub max_connections_per_address: Option<usize>,
    /// WebSockets of one address on which nobody is signed in. Each is anonymous until its connection_init.
    #[arg(long, env = "HERALD_MAX_ANONYMOUS_SOCKETS", value_name = "N", default_value_t = 100)]
    pub max_anonymous_sockets: usize,
    /// Bytes of one address's messages and requests that have not arrived as a whole.
    #[arg(long, env = "HERALD_MAX_UNFINISHED_BYTES", value_name = "BYTES", default_value_t = 8 * 1024 * 1024)]
    pub max_unfinished_bytes: usize,
    /// WebSockets, and subscriptions over HTTP, that one user may have open on this node.
    #[arg(long, env = "HERALD_MAX_SOCKETS_PER_USER", value_name = "N", default_value_t = 50)]
    pub max_sockets_per_user: usize,
    /// Operations under way on one WebSocket.
    #[arg(long, env = "HERALD_MAX_OPERATIONS_PER_SOCKET", value_name = "N", default_value_t = 100)]
    pub max_operations_per_socket: usize,
    /// Events that wait for one subscription; one that falls further behind is served from the log.
    #[arg(long, env = "HERALD_SUBSCRIBER_QUEUE", value_name = "N", default_value_t = 64)]
    pub subscriber_queue: usize,
    /// Commands committed together at most.
    #[arg(long, env = "HERALD_MAX_BATCH", value_name = "N", default_value_t = 256)]
    pub max_batch: usize,
    /// Commands that wait to be committed; the next is told UNAVAILABLE.
    #[arg(long, env = "HERALD_WRITE_QUEUE", value_name = "N", default_value_t = 4_096)]
    pub write_queue: usize,
    /// Fields that one user's queries, mutations and subscriptions may come to per second, counted as for
    /// `--max-complexity`, with ten seconds' worth at once; where nobody is signed in, an address's. Queries beyond are
    /// refused, subscriptions wait.
    #[arg(long, env = "HERALD_FIELDS_PER_SECOND", value_name = "N", default_value_t = 200_000)]
    pub fields_per_second: u32,
    /// Seconds in which a request's head, and then its body, must have arrived, and a WebSocket message from its first
    /// byte to its last.
    #[arg(long, env = "HERALD_REQUEST_TIMEOUT", value_name = "SECONDS", default_value_t = 15)]
    pub request_timeout: u64,
    /// Seconds in which a WebSocket's client must have said connection_init.
    #[arg(long, env = "HERALD_INIT_TIMEOUT", value_name = "SECONDS", default_value_t = 10)]
    pub init_timeout: u64,
    /// Seconds after which a WebSocket is closed on which nobody is signed in and nothing is asked; after at most twice
    /// as many it is.
    #[arg(long, env = "HERALD_ANONYMOUS_TIMEOUT", value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub anonymous_timeout: u64,
    /// Seconds between the pings of a WebSocket, where a client that is silent for two of them is gone, and
    /// between the signs of life of a subscription over HTTP.
    #[arg(long, env = "HERALD_PING_INTERVAL", value_name = "SECONDS", default_value_t = 25)]
    pub ping_interval: u64,
    /// Seconds that a client may take to accept what is sent to it.
    #[arg(long, env = "HERALD_WRITE_TIMEOUT", value_name = "SECONDS", default_value_t = 20)]
    pub write_timeout: u64,
    /// Seconds between looks into the log, whatever the feed says. Sessions that other nodes have ended are looked for
    /// twice as often.
    #[arg(long, env = "HERALD_POLL_INTERVAL", value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub poll_interval: u64,
    /// Seconds that requests under way are given at shutdown.
    #[arg(long, env = "HERALD_SHUTDOWN_TIMEOUT", value_name = "SECONDS", default_value_t = 10)]
    pub shutdown_timeout: u64,
    /// Messages that one user may send per second, in the long run and with ten seconds' worth at once.
    #[arg(long, env = "HERALD_SENDS_PER_SECOND", value_name = "N", default_value_t = 100)]
    pub sends_per_second: u32,
    /// Marks, and leavings, that one user may make per second, with ten seconds' worth at once.
    #[arg(long, env = "HERALD_MARKS_PER_SECOND", value_name = "N", default_value_t = 500)]
    pub marks_per_second: u32,
    /// Conversations that one user may start per minute, with two minutes' worth at once.
    #[arg(long, env = "HERALD_CONVERSATIONS_PER_MINUTE", value_name = "N", default_value_t = 60)]
    pub conversations_per_minute: u32,
    /// People whom one user may invite per minute, into new conversations or known ones, with two minutes' worth or a
    /// whole conversation at once.
    #[arg(long, env = "HERALD_INVITATIONS_PER_MINUTE", value_name = "N", default_value_t = 600)]
    pub invitations_per_minute: u32,
    /// Times per minute that one user may invite the same person.
    #[arg(long, env = "HERALD_INVITATIONS_PER_PERSON", value_name = "N", default_value_t = 10)]
    pub invitations_per_person: u32,
    /// Registrations and sign-ins per minute from one address, an IPv6 network (/64) being one, with two minutes' worth at once.
    #[arg(long, env = "HERALD_SIGN_INS_PER_MINUTE", value_name = "N", default_value_t = 60)]
    pub sign_ins_per_minute: u32,
    /// Sign-ins per minute to one handle from one address.
    #[arg(long, env = "HERALD_SIGN_INS_PER_HANDLE", value_name = "N", default_value_t = 10)]
    pub sign_ins_per_handle: u32,
    /// Passwords hashed at a time; each takes 19 MiB and some 30 ms of a processor.
    #[arg(long, env = "HERALD_MAX_HASHING", value_name = "N", default_value_t = 2)]
    pub max_hashing: usize,
    /// Days after which a session that is not used ends.
    #[arg(long, env = "HERALD_SESSION_IDLE_DAYS", value_name = "DAYS", default_value_t = 30)]
    pub session_idle_days: u32,
    /// Days after which a session ends in any case.
    #[arg(long, env = "HERALD_SESSION_DAYS", value_name = "DAYS", default_value_t = 180)]
    pub session_days: u32,
}

/// Reads an origin as browsers write it (RFC 6454, section 6.2), or `*`.
fn origin(text: &str) -> Result<String, String> {
    let is_origin = || {
        let (scheme, host) = text.split_once("://")?;
        let is_written_so = matches!(scheme, "http" | "https")
            && !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@*".contains(&byte))
            && !text.bytes().any(|byte| byte.is_ascii_uppercase());
        is_written_so.then_some(())
    };
    if text == "*" || is_origin().is_some() {
        return Ok(text.to_owned());
    }
    Err("an origin is written like https://app.example.com or http://localhost:5173: in lower case, without a path".into())
}

/// A day.
pub const DAY: Duration = Duration::from_hours(24);

/// A number of seconds from the command line.
pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Default for ServeArgs {
    /// What `herald serve` does when it is told nothing else.
    fn default() -> Self {
        Cli::parse_from(["herald"]).serve
    }
}
