//! Starts what a herald of several nodes is made of: a Postgres, a PgBouncer, a nats-server, heralds, and the TCP proxies
//! between them. Everything is killed on drop, so that a test that fails leaves nothing behind.
//!
//! What never lives here: what is said to herald, and what it should answer.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails should say where, and then stop"))]

mod herald;
mod nats;
mod nats_faults;
mod pgbouncer;
mod port;
mod postgres;
mod program;
mod proxy;
mod scratch;
mod user;

pub use herald::{Herald, HeraldOptions};
pub use nats::Nats;
pub use nats_faults::{Chances, Happened, NatsFaults};
pub use pgbouncer::PgBouncer;
pub use port::{accepts, free_port};
pub use postgres::{Postgres, give_to_postgres};
pub use proxy::{Change, Direction, Filter, Proxy};
pub use scratch::Scratch;
pub use user::is_root;
