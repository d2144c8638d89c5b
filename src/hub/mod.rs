//! Delivers the events of the log to the subscribers of this node.
//!
//! Here lives one task, the [`Hub`], which applies the log in order and gives each event to the subscribers who may see
//! it. It keeps the recent ones for those who come back. [`EventStream`] is one subscription: it replays from a cursor and
//! then goes live; [`Follower`] adds checkpoints to it. [`RenderedEvent`] is an event that is rendered once for all
//! subscribers with the same view, and forgets what was redacted. What never lives here: GraphQL, sockets, and the
//! decision who may see what, which is [`crate::messaging::view`].

// A new kind of event must not fall into a wildcard arm.
#![warn(clippy::wildcard_enum_match_arm)]

mod answer;
mod damage;
mod event_stream;
mod follower;
mod handle;
mod joining;
mod leavings;
mod memory_use;
mod older;
mod recent;
mod redactions;
mod rendered_event;
mod routing;
mod task;

pub use answer::Answer;
pub use event_stream::{Broken, EventStream, OpenError};
pub use follower::{Checkpoint, Follower, Told};
pub use handle::{Hub, HubOptions};
pub use rendered_event::{Fingerprint, Rendered, RenderedEvent, VisibleEvent};
