//! Why a command fails.

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;

use herald::StartError;
use herald::log::Unavailable;
use herald::trace::ExporterError;
use thiserror::Error;
use tokio::time::error::Elapsed;
use tracing_subscriber::filter::ParseError;

/// Why a command fails.
#[derive(Debug, Error)]
pub(crate) enum CommandError {
    #[error("cannot start the threads")]
    Runtime(#[source] io::Error),
    #[error("--log {filter}")]
    LogFilter { filter: String, source: ParseError },
    #[error(
        "--log: `{word}` is no level: use error, warn, info, debug, trace or off, or a filter such as info,herald=debug"
    )]
    LogLevel { word: String },
    #[error("--otlp-endpoint")]
    Traces(#[from] ExporterError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot listen on {address}{purpose}")]
    Listen { address: SocketAddr, purpose: &'static str, source: io::Error },
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    #[error("cannot read the password")]
    Password(#[source] io::Error),
    #[error("{address} does not answer")]
    Silent { address: SocketAddr, source: Elapsed },
    #[error("{address}")]
    Unreachable { address: SocketAddr, source: io::Error },
    #[error("not ready: {reason}")]
    NotReady { reason: String },
    /// The database has logged the cause.
    #[error("cannot {0}")]
    Unavailable(&'static str),
    /// A failure that [`herald::log`] describes itself.
    #[error(transparent)]
    Database(Box<dyn StdError + Send + Sync>),
    /// A webhook cannot be called, or does not accept a call.
    #[error("{0}")]
    Webhook(String),
    #[error("{}", .0.message())]
    Refused(herald::error::Error),
}

impl CommandError {
    pub(super) fn database(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Database(error.into())
    }

    /// The error of an operation on a database that does not answer.
    pub(super) fn unavailable(operation: &'static str) -> impl Fn(Unavailable) -> Self {
        move |_: Unavailable| Self::Unavailable(operation)
    }
}
