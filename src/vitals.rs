//! What is out of order in this herald, for `/readyz`, the log and the metrics. Each part says so itself, and says when
//! it is in order again. What never lives here: anything that herald itself acts on.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt;

use crate::metrics::METRICS;

/// A part of herald that can be out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The task that appends to the log.
    Writer,
    /// The task that delivers events to subscribers.
    Hub,
    /// The task that reads which sessions other nodes have ended.
    Sessions,
}

impl Part {
    /// The name of the part in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Hub => "hub",
            Self::Sessions => "sessions",
        }
    }
}

/// The parts that are out of order.
#[derive(Debug, Default)]
pub struct Vitals {
    // A `std` mutex, because it is never locked across an await.
    failing: Mutex<BTreeMap<Part, &'static str>>,
}

impl Vitals {
    /// Notes that a part is out of order. The reason is a sentence for operators.
    pub fn fails(&self, part: Part, reason: &'static str) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).insert(part, reason);
    }

    /// Notes that a part is in order.
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

    /// Runs `work` of a part. `None` when it panicked, which is noted and counted. The work may then be half done, so
    /// the caller must go on from a safe state.
    pub async fn guard<T>(&self, part: Part, work: impl Future<Output = T>) -> Option<T> {
        // The caller discards what `work` was changing, so unwinding is safe.
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
