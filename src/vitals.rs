//! Which parts of this herald fail, for `/readyz`, the log and the metrics. Each part reports its own state. What never
//! lives here: anything that herald itself acts on.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;

use crate::metrics::METRICS;

/// The pause before a part that panicked starts again.
const PANIC_PAUSE: Duration = Duration::from_millis(500);

/// A part of herald that can fail while the others work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The task that appends to the log.
    Writer,
    /// The task that delivers events to subscribers.
    Hub,
    /// The task that reads which sessions other nodes have ended.
    Sessions,
    /// The task that calls webhooks.
    Webhooks,
    /// The rows of the log that somebody missed. While one is damaged, the node can serve all that needs other rows.
    Log,
}

impl Part {
    /// The name of the part in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Hub => "hub",
            Self::Sessions => "sessions",
            Self::Webhooks => "webhooks",
            Self::Log => "log",
        }
    }
}

/// The parts that fail now, each with the reason.
#[derive(Debug, Default)]
pub struct Vitals {
    // A `std` mutex, because it is never locked across an await.
    failing: Mutex<BTreeMap<Part, &'static str>>,
}

impl Vitals {
    /// Notes that a part fails. The reason is a sentence for operators.
    pub fn fails(&self, part: Part, reason: &'static str) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).insert(part, reason);
    }

    /// Notes that a part works.
    pub fn works(&self, part: Part) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).remove(&part);
    }

    /// Why this part fails; `None` when it works.
    pub fn reason_of(&self, part: Part) -> Option<&'static str> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).get(&part).copied()
    }

    /// Why this node cannot serve; `None` when all of the parts work that it needs for that.
    pub fn reason(&self) -> Option<&'static str> {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.iter().find(|(part, _)| **part != Part::Log).map(|(_, reason)| *reason)
    }

    /// Runs `work` of a part. When it panics, the panic is counted, the part is noted as failing, and the result is
    /// `None`. The work may then be half done, so the caller must continue from a safe state.
    pub async fn guard<T>(&self, part: Part, work: impl Future<Output = T>) -> Option<T> {
        // The caller discards what `work` was changing, so unwinding is safe.
        let done = AssertUnwindSafe(work).catch_unwind().await.ok();
        if done.is_none() {
            METRICS.count_panic(part.name());
            tracing::error!(
                part = part.name(),
                "a part of herald failed and starts again; this is a fault in herald"
            );
            self.fails(part, "A part of herald has failed and starts again; the log says which.");
            // What fails at once, again and again, must not take all of the processor and fill the disk.
            tokio::time::sleep(PANIC_PAUSE).await;
        }
        done
    }
}
