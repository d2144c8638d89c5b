//! The arguments about webhooks.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use clap::{Args, Subcommand};

use super::DatabaseArgs;

/// The units of a duration, with their seconds.
const UNITS: [(char, u32); 4] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];

/// A value that may be a secret. It is read after the command line, because clap prints the values that it cannot read.
#[derive(Clone)]
pub struct Concealed(String);

impl Concealed {
    /// Reads the value.
    ///
    /// # Errors
    /// What is wrong with it, in words that do not repeat it.
    pub fn read<T: FromStr<Err = String>>(&self) -> Result<T, String> {
        self.0.parse()
    }
}

impl FromStr for Concealed {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Concealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Concealed(…)")
    }
}

/// The arguments of `herald serve` about webhooks.
#[derive(Debug, Clone, Args)]
pub struct WebhookArgs {
    /// A server that herald calls about every message, every change of a status, and everybody whom a message has not
    /// reached. Repeat the flag, or separate URLs by commas. `herald webhook add` adds others while herald serves.
    #[arg(
        long,
        env = "HERALD_WEBHOOK",
        value_name = "URL",
        value_delimiter = ',',
        hide_env_values = true,
        requires = "webhook_secret"
    )]
    pub webhook: Vec<Concealed>,
    /// The secret that signs the calls of --webhook: whsec_ and 24 to 64 bytes in base64. Given twice, calls have two
    /// signatures, while receivers change from one secret to the other.
    #[arg(
        long,
        env = "HERALD_WEBHOOK_SECRET",
        value_name = "SECRET",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub webhook_secret: Vec<Concealed>,
    /// Leave the text and the metadata of messages out of the calls of --webhook.
    #[arg(long, env = "HERALD_WEBHOOK_WITHOUT_BODIES")]
    pub webhook_without_bodies: bool,
    /// Let webhooks have http URLs and be on networks that are not public. Whoever adds a webhook can then have herald
    /// call whatever it can reach.
    #[arg(long, env = "HERALD_WEBHOOK_ALLOW_PRIVATE")]
    pub webhook_allow_private: bool,
    /// The time after which webhooks are told of recipients whom a message has not reached, such as 30s, 10m or 1d.
    /// Repeat the flag, or separate times by commas. By default they are not told.
    #[arg(
        long,
        env = "HERALD_UNDELIVERED_AFTER",
        value_name = "DURATION",
        value_delimiter = ',',
        value_parser = duration_seconds
    )]
    pub undelivered_after: Vec<u32>,
}

/// The commands about webhooks.
#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// Add a webhook and print the secret that signs its calls. herald keeps the secret, since it must sign with it. The
    /// webhook begins with what happens from now on.
    Add {
        /// The server that herald calls.
        url: Concealed,
        /// Leave the text and the metadata of messages out of the calls.
        #[arg(long)]
        without_bodies: bool,
        /// Let the webhook have an http URL or an address that is not public. `herald serve` needs the flag too.
        #[arg(long, env = "HERALD_WEBHOOK_ALLOW_PRIVATE")]
        webhook_allow_private: bool,
        /// Which database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// List the webhooks: where each stands, how many calls wait, and the calls that were given up.
    List {
        /// Which database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Call a webhook once from here, about nothing, and say what it answers.
    Test {
        /// The id of the webhook, `whk_…`.
        id: String,
        /// Let the webhook have an http URL or an address that is not public.
        #[arg(long, env = "HERALD_WEBHOOK_ALLOW_PRIVATE")]
        webhook_allow_private: bool,
        /// Which database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Have the calls of a webhook that were given up be tried again.
    Replay {
        /// The id of the webhook, `whk_…`.
        id: String,
        /// Which database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Have a webhook be called no more. What it was not told by then it is never told.
    Disable {
        /// The id of the webhook, `whk_…`.
        id: String,
        /// Which database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// Reads a duration such as `30s`, in whole seconds.
fn duration_seconds(text: &str) -> Result<u32, String> {
    let read = || {
        let (unit, seconds) = UNITS.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
        let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(seconds).filter(|seconds| *seconds > 0)
    };
    read().ok_or_else(|| "a duration is a number with a unit, such as 30s, 10m, 2h or 1d".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit_and_is_not_zero() {
        assert_eq!(duration_seconds("30s"), Ok(30));
        assert_eq!(duration_seconds("10m"), Ok(600));
        assert_eq!(duration_seconds("1d"), Ok(86_400));
        for wrong in ["", "30", "s", "0s", "-1s", "1w", "1.5h", "99999999d"] {
            assert!(duration_seconds(wrong).is_err(), "{wrong}");
        }
    }
}
