//! Why herald does not start.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::accounts::KeysError;
use crate::config::LimitsError;

/// Why [`App::open`](crate::App::open) fails. Its sources say more; they are for the operator.
#[derive(Debug, Error)]
pub enum StartError {
    /// The limits do not fit together.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// The file of `--trusted-documents` cannot be read.
    #[error("--trusted-documents {}: herald cannot read the file", path.display())]
    ReadTrustedDocuments {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// The file of `--trusted-documents` has another form.
    #[error("--trusted-documents {}: the file is not a JSON object of SHA-256 to document", path.display())]
    ParseTrustedDocuments {
        /// The file.
        path: PathBuf,
        /// Where it differs.
        source: serde_json::Error,
    },
    /// A document that herald is to execute is not valid: a trusted one, or one of its own.
    #[error("{0}")]
    Document(String),
    /// The keys of the login system cannot be read.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The database cannot be opened.
    #[error(transparent)]
    Database(Box<dyn StdError + Send + Sync>),
    /// The database does not answer. It has logged the cause.
    #[error("cannot read {what}")]
    Unavailable {
        /// What herald reads at the start.
        what: &'static str,
    },
    /// A feed between nodes needs a database that nodes can share.
    #[error("--feed is for several nodes, and needs a postgres:// database")]
    FeedNeedsPostgres,
    /// The feed cannot be started.
    #[error(transparent)]
    Feed(Box<dyn StdError + Send + Sync>),
    /// A webhook of the command line cannot be called.
    #[error("{flag}: {reason}")]
    Webhook {
        /// The flag whose value is wrong. The value itself may be a secret.
        flag: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}
