//! The news that the log has grown, from the node that wrote to every node.
//!
//! A feed may lose, repeat and reorder what it carries: it is a hint that makes things fast. What makes them
//! right is the log, which the hub reads wherever the hints leave a gap. What never lives here: anything that
//! a client could notice if all news were lost, other than the time it takes.

mod in_process;
mod nats;
mod postgres;
mod wire;

use std::sync::Arc;

use tokio::sync::mpsc;

pub use in_process::InProcess;
pub use nats::{Nats, NatsOptions};
pub use postgres::Postgres;

use crate::messaging::{Epoch, Event, Place};

/// The log has grown.
#[derive(Debug, Clone)]
pub struct LogNotification {
    /// Up to here.
    pub head: Place,
    /// By these, in order, where the feed brings them along. Empty: they are in the log.
    pub events: Vec<Arc<Event>>,
}

/// A way for news to travel.
pub trait Feed: Send + Sync + std::fmt::Debug {
    /// Tells every listener. Never waits: news that finds no room is lost.
    fn publish(&self, news: LogNotification);

    /// Listens from now on. The channel is bounded.
    fn listen(&self) -> mpsc::Receiver<LogNotification>;

    /// Has news of this epoch of the log carried from now on, where the feed tells logs apart by it.
    fn enter(&self, epoch: Epoch) {
        let _ = epoch;
    }
}
