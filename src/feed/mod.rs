//! Notifies every node that the log has grown.
//!
//! A feed may lose, repeat and reorder notifications: they only make delivery fast. The log makes it correct, because
//! the hub reads the log wherever notifications leave a gap. If every notification were lost, clients would receive
//! everything, only later. What never lives here: anything that breaks this.

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
use crate::trace::TraceContext;

/// Says that the log has grown.
#[derive(Debug, Clone)]
pub struct LogNotification {
    /// The new head of the log.
    pub head: Place,
    /// The new events, in order. Empty when the feed does not carry them; then the hub reads them from the log.
    pub events: Vec<Arc<Event>>,
    /// The places at which the traces of the events go on, in the order of the events. What is missing is not traced.
    pub traces: Vec<Option<TraceContext>>,
}

/// A channel that carries notifications between nodes.
pub trait Feed: Send + Sync + std::fmt::Debug {
    /// Notifies every listener, and never waits: a notification is lost where a queue is full.
    fn publish(&self, notification: LogNotification);

    /// Returns a bounded channel with every notification from now on.
    fn listen(&self) -> mpsc::Receiver<LogNotification>;

    /// Carries notifications of this epoch of the log from now on. A feed that does not separate epochs does nothing.
    fn enter(&self, epoch: Epoch) {
        let _ = epoch;
    }
}
