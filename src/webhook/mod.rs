//! Tells other servers what happens, by calling them.
//!
//! A webhook is a follower of the log with a durable place, which one node at a time calls. [`Webhooks`] decides which
//! webhooks this node calls; `follower` is one of them: it makes calls of the log's events, keeps the order of each
//! conversation, and stores what is not accepted. `attempt` is one request, `address` whom it may reach, `signature` how
//! it is signed, `backoff` when it is tried again, `progress` up to where all is accepted or stored. `undelivered` tells
//! of recipients whom messages have not reached, with a token with which `delivered` marks them. What never lives here:
//! rules of messaging, SQL, and how herald answers requests.

mod address;
mod attempt;
mod backoff;
mod body;
mod delivered;
mod follower;
mod progress;
mod rules;
mod signature;
mod supervisor;
mod url;

pub(crate) use self::delivered::{Delivered, mark as mark_delivered};
pub use self::signature::{Secret, Secrets};
pub(crate) use self::supervisor::Webhooks;
pub use self::supervisor::{WebhookOptions, test};
pub use self::url::WebhookUrl;
