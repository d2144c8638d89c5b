//! The arguments of `herald serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::http::Uri;
use clap::{Args, Parser, ValueEnum};

use super::{Cli, DatabaseArgs, IdentityArgs, Limits, RetentionArgs, WebhookArgs};

/// The form of herald's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// Lines for programs: each is a JSON object.
    Json,
}

/// The value of a flag that is on by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// The feature is on.
    On,
    /// The feature is off.
    Off,
}

/// Who may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Access {
    /// Everybody.
    Open,
    /// Nobody.
    Closed,
}

/// The arguments of `herald serve`.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag, which is there or not")]
pub struct ServeArgs {
    /// Address and port to listen on.
    #[arg(long, env = "HERALD_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,
    /// Address and port on which herald answers GET /metrics, for Prometheus. By default it does not.
    #[arg(long, env = "HERALD_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// Which database to use.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// NATS, through which the nodes tell each other what happened: nats://HOST:PORT or tls://HOST:PORT. Several are
    /// separated by commas. User and password, or a token, stand in the URL. By default, nodes on Postgres use
    /// Postgres for this.
    #[arg(long, env = "HERALD_FEED", value_name = "URL", hide_env_values = true)]
    pub feed: Option<String>,
    /// A file with credentials for NATS (JWT and seed). herald reads it again at each connection.
    #[arg(long, env = "HERALD_FEED_CREDENTIALS", value_name = "FILE", requires = "feed")]
    pub feed_credentials: Option<PathBuf>,
    /// A file with the seed of an nkey for NATS (SU…). herald reads it again at each connection.
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
    /// Threads that serve. The default is the number of processors.
    #[arg(long, env = "HERALD_WORKERS", value_name = "N")]
    pub workers: Option<usize>,
    /// The form of the log.
    #[arg(long, env = "HERALD_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What to log: error, warn, info, debug or trace, or a filter such as info,herald=debug.
    #[arg(long, env = "HERALD_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// A collector to which herald sends traces, by OTLP over HTTP, such as http://127.0.0.1:4318. By default nothing is
    /// traced.
    #[arg(long, env = "HERALD_OTLP_ENDPOINT", value_name = "URL", value_parser = collector)]
    pub otlp_endpoint: Option<Uri>,
    /// Believe X-Forwarded-For and X-Forwarded-Proto. Use this only behind a proxy that sets them itself.
    #[arg(long, env = "HERALD_TRUST_PROXY")]
    pub trust_proxy: bool,
    /// Allow introspection queries.
    #[arg(long, env = "HERALD_INTROSPECTION", value_enum, default_value_t = Switch::On)]
    pub introspection: Switch,
    /// Be a subgraph for the router of a federation (Apollo Federation 2): answer `_service` and `_entities`.
    #[arg(long, env = "HERALD_FEDERATION")]
    pub federation: bool,
    /// Let web pages of this origin use herald, such as `https://app.example.com`. Repeat the flag, or separate
    /// origins by commas. `*` stands for every origin, but without cookies.
    #[arg(
        long,
        env = "HERALD_ALLOW_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ',',
        value_parser = origin
    )]
    pub allow_origin: Vec<String>,
    /// Do not serve the playground, which is the chat at / and GraphiQL at /graphiql.
    #[arg(long, env = "HERALD_NO_PLAYGROUND")]
    pub no_playground: bool,
    /// Execute only the documents in this file: a JSON object of each one's SHA-256 to its text, as Relay and
    /// graphql-codegen write it.
    #[arg(long, env = "HERALD_TRUSTED_DOCUMENTS", value_name = "FILE")]
    pub trusted_documents: Option<PathBuf>,
    /// Limit how often users send, mark, start conversations and invite, and addresses register or sign in.
    #[arg(long, env = "HERALD_RATE_LIMIT", value_enum, default_value_t = Switch::On)]
    pub rate_limit: Switch,
    /// Show nobody who does not share what they receive or read what others receive or read.
    #[arg(long, env = "HERALD_RECIPROCAL_RECEIPTS")]
    pub reciprocal_receipts: bool,
    /// How users get in.
    #[command(flatten)]
    pub identity: IdentityArgs,
    /// Whom herald calls.
    #[command(flatten)]
    pub webhooks: WebhookArgs,
    /// How long herald keeps what people said.
    #[command(flatten)]
    pub retention: RetentionArgs,
    /// The limits.
    #[command(flatten)]
    pub limits: Limits,
}

impl Default for ServeArgs {
    /// The arguments of `herald serve` without flags and environment variables.
    fn default() -> Self {
        Cli::parse_from(["herald"]).serve
    }
}

/// The URL of a collector.
fn collector(text: &str) -> Result<Uri, String> {
    let url = text.parse::<Uri>().ok();
    let is_http = |url: &Uri| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some();
    url.filter(is_http).filter(|url| url.query().is_none()).ok_or_else(|| {
        "expected http://HOST:PORT or https://HOST:PORT, such as http://127.0.0.1:4318".to_owned()
    })
}

/// Reads an origin in the form that browsers write (RFC 6454, section 6.2), or `*`.
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
