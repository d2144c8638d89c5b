//! Executing plans: requests once, the operations of subscriptions for each event.
//!
//! Here lives the engine, which holds every operation to its limits, and the operations that subscriptions share, each
//! of which renders an event once for all who see the same of it. What never lives here: resolvers, the reading of
//! documents, and the bytes of a transport.

mod answer;
mod answers;
mod engine;
mod held;
mod operation;
mod own;
mod prepared;

pub(crate) use answers::Answers;
pub(crate) use engine::Engine;
pub(crate) use operation::Rendering;
pub(crate) use prepared::Prepared;
