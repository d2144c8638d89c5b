//! What is out of order in this herald, for `/readyz`, the log and the metrics. Each part says so itself, and says when
//! it is in order again. What never lives here: anything that herald itself acts on.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt;

use crate::metrics::METRICS;

/// What can be out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The task that appends.
    Writer,
    /// The task that hands events to subscribers.
    Hub,
    /// The task that hears of sessions ended elsewhere.
    Sessions,
}

impl Part {
    /// As metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Hub => "hub",
            Self::Sessions => "sessions",
        }
    }
}

/// What is out of order.
#[derive(Debug, Default)]
pub struct Vitals {
    // A `std` mutex: held for one look, never across an await.
    failing: Mutex<BTreeMap<Part, &'static str>>,
}

impl Vitals {
    /// A part is out of order, for this reason: a sentence for operators.
    pub fn fails(&self, part: Part, reason: &'static str) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).insert(part, reason);
    }

    /// A part is in order.
    pub fn works(&self, part: Part) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).remove(&part);
    }

    /// Why the part is out of order, if it is.
    pub fn reason_of(&self, part: Part) -> Option<&'static str> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).get(&part).copied()
    }

    /// Why something is out of order, if anything is.
    pub fn reason(&self) -> Option<&'static str> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).values().next().copied()
    }

    /// Runs what a part does. `None` when it panicked, which is noted and counted: what the part was about to do may be
    /// half done, and whoever calls this goes on from what is safe.
    pub async fn guard<T>(&self, part: Part, work: impl Future<Output = T>) -> Option<T> {
        // Unwind safe: the caller does not go on with what was being changed.
        let done = AssertUnwindSafe(work).catch_unwind().await.ok();
        if done.is_none() {
            METRICS.count_panic(part.name());
            tracing::error!(
                part = part.name(),
                "a part of herald failed and begins anew; this is a fault in herald"
            );
            self.fails(part, "A part of herald has failed and begins anew; its log says which.");
        }
        done
    }
}
