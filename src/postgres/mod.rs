//! Postgres as operators have it: how it is reached, what each connection is set to, and whether herald can rely on it.
//!
//! Here lives what `log` and `feed` have in common, because both connect: reading the URL, the settings of a session,
//! what is checked at start, and words for what goes wrong. What never lives here: tables, and what is asked of them.
//!
//! Nothing of a URL goes into a message or a log. It may hold a password, and a URL that is written wrongly holds it in
//! unexpected places.

mod address;
mod fault;
mod inspect;
mod session;

pub use address::{is_postgres, parse};
pub use fault::describe;
pub use inspect::{inspect, lost, reach};
pub use session::settle;
