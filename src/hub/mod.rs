//! From the log to those who follow it.
//!
//! Here lives one task, the [`Hub`], which applies the log in order and hands each event to the subscribers
//! who may see it; [`EventStream`], one subscription from a cursor through replay to live; and [`RenderedEvent`], an
//! event on its way out, which is rendered once for everyone who sees the same of it. What never lives here:
//! GraphQL, sockets, and the decision who may see what, which is [`crate::messaging::view`].

// A new kind of event has to be thought of everywhere.
#![warn(clippy::wildcard_enum_match_arm)]

mod event_stream;
mod rendered_event;
mod routing;
mod task;

pub use event_stream::{EventStream, Expired, OpenError};
pub use rendered_event::{Fingerprint, Rendered, RenderedEvent, VisibleEvent};
pub use task::{Hub, HubOptions};
