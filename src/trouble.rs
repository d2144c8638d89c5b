//! Trouble that lasts: one line in the log when it begins, one now and then while it lasts, one when it is over. Each
//! failure in a line of its own would bury the one that says why, and fill the disk that may be the trouble.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long nothing must fail for trouble to be over. Until then it is the same trouble, whatever succeeds meanwhile.
const QUIET_PERIOD: Duration = Duration::from_secs(5);

/// The least time between two lines about the same trouble, where the cause is another one.
const CAUSE_INTERVAL: Duration = Duration::from_secs(5);

/// The time between two lines about the same trouble with the same cause.
const REMINDER_INTERVAL: Duration = Duration::from_mins(1);

/// One kind of trouble.
#[derive(Debug)]
pub struct Trouble {
    begins: &'static str,
    is_over: &'static str,
    /// Whether there is an episode: so that nothing is locked where there is none.
    lasts: AtomicBool,
    // A `std` mutex: held for one look, never across an await.
    episode: Mutex<Option<Episode>>,
}

#[derive(Debug)]
struct Episode {
    began: Instant,
    failed: Instant,
    told: Instant,
    cause: String,
    failures: u64,
}

impl Trouble {
    /// Trouble, with what is said when it begins and when it is over.
    pub const fn new(begins: &'static str, is_over: &'static str) -> Self {
        Self { begins, is_over, lasts: AtomicBool::new(false), episode: Mutex::new(None) }
    }

    /// Notes a failure with its cause.
    pub fn note(&self, cause: &dyn Display) {
        self.note_in(None, cause);
    }

    /// Notes a failure with its cause, and the operation that failed: a verb and its object.
    pub fn note_during(&self, operation: &'static str, cause: &dyn Display) {
        self.note_in(Some(operation), cause);
    }

    fn note_in(&self, operation: Option<&'static str>, cause: &dyn Display) {
        let (now, cause) = (Instant::now(), cause.to_string());
        let mut episode = self.episode.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = episode.as_mut() else {
            tracing::error!(operation, error = cause, "{}", self.begins);
            *episode = Some(Episode { began: now, failed: now, told: now, cause, failures: 1 });
            self.lasts.store(true, Ordering::Relaxed);
            return;
        };
        known.failures += 1;
        known.failed = now;
        let pause = if known.cause == cause { REMINDER_INTERVAL } else { CAUSE_INTERVAL };
        if now - known.told >= pause {
            tracing::error!(operation, error = cause, failures = known.failures, "{} (still)", self.begins);
            known.told = now;
            known.cause = cause;
        }
    }

    /// Something succeeded. Next to nothing where there is no trouble.
    pub fn worked(&self) {
        if !self.lasts.load(Ordering::Relaxed) {
            return;
        }
        let mut episode = self.episode.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(over) = episode.take_if(|known| known.failed.elapsed() >= QUIET_PERIOD) {
            self.lasts.store(false, Ordering::Relaxed);
            let seconds = over.began.elapsed().as_secs();
            tracing::info!(failures = over.failures, seconds, "{}", self.is_over);
        }
    }
}
