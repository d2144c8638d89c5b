//! From the log to those who follow it.
//!
//! Here lives one task, the [`Hub`], which applies the log in order and hands each event to the subscribers
//! who may see it; [`Follow`], one subscription from a cursor through replay to live; and [`Occurrence`], an
//! event on its way out, which is rendered once for everyone who sees the same of it. What never lives here:
//! GraphQL, sockets, and the decision who may see what, which is [`crate::messaging::view`].

// A new kind of event has to be thought of everywhere.
#![warn(clippy::wildcard_enum_match_arm)]

mod follow;
mod occurrence;
mod routing;
mod task;

pub use follow::{Expired, Follow, OpenError};
pub use occurrence::{Fingerprint, Occurrence, Rendered, Seen};
pub use task::{Hub, HubOptions};
