//! Tells other servers what happens, by calling them.
//!
//! A webhook is a follower of the log with a durable place, which one node at a time calls. `Webhooks` decides which
//! webhooks this node calls. `follower` is one of them: it makes calls of the log's events and keeps the order of each
//! conversation; `beginning` is how it begins, `waiting` what it stores because it is not accepted. `attempt` is one
//! request, `address` whom it may reach, `signature` how it is signed, `backoff` when it is tried again, `progress` up to
//! where all is accepted or stored. `rules` finds recipients whom messages have not reached, and `delivered` marks with
//! the token of such a call. What never lives here: rules of messaging, SQL, and how herald answers requests.

mod address;
mod attempt;
mod backoff;
mod beginning;
mod body;
mod delivered;
mod follower;
mod progress;
mod rules;
mod signature;
mod supervisor;
mod url;
mod waiting;

pub(crate) use self::delivered::{Delivered, mark as mark_delivered};
pub use self::signature::{Secret, Secrets};
pub(crate) use self::supervisor::Webhooks;
pub use self::supervisor::{WebhookOptions, test};
pub use self::url::WebhookUrl;
