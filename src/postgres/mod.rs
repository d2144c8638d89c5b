//! Connections to Postgres: how herald reaches it, the settings of each session, and whether herald can rely on it.
//!
//! Here lives what `log` and `feed` share, because both connect: the URL, the settings of a session, the checks at the
//! start, and descriptions of failures. What never lives here: tables and queries.
//!
//! No part of a URL goes into a message or a log. It may hold a password, and in a URL with a mistake the password may
//! stand anywhere.

mod address;
mod fault;
mod inspect;
mod session;

pub use address::{is_postgres, parse};
pub use fault::{describe, describe_another};
pub use inspect::{inspect, lost, reach};
pub use session::settle;
