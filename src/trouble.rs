//! Logs a failure that lasts: one line when it begins, some while it lasts, one when it is over. A line for each
//! failure would hide the first cause. It would also fill the disk, which may be the cause.

use std::error::Error;
use std::fmt::Display;
use std::iter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time without a failure after which trouble is over. An earlier success does not end it.
const QUIET_PERIOD: Duration = Duration::from_secs(5);

/// The least time between two lines about the same trouble with different causes.
const CAUSE_INTERVAL: Duration = Duration::from_secs(5);

/// The time between two lines about the same trouble with the same cause.
const REMINDER_INTERVAL: Duration = Duration::from_mins(1);

/// An error with all its causes in one line, each once.
#[must_use]
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> =
        iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

/// One kind of trouble.
#[derive(Debug)]
pub struct Trouble {
    begins: &'static str,
    is_over: &'static str,
    /// Whether there is an episode. While there is none, [`Trouble::worked`] takes no lock.
    lasts: AtomicBool,
    // A `std` mutex, because it is never locked across an await.
    episode: Mutex<Option<Episode>>,
}

#[derive(Debug)]
struct Episode {
    began: Instant,
    last_failed: Instant,
    last_logged: Instant,
    cause: String,
    failures: u64,
}

impl Trouble {
    /// A kind of trouble, with the lines that are logged when it begins and when it is over.
    pub const fn new(begins: &'static str, is_over: &'static str) -> Self {
        Self { begins, is_over, lasts: AtomicBool::new(false), episode: Mutex::new(None) }
    }

    /// Notes a failure with its cause.
    pub fn note(&self, cause: &dyn Display) {
        self.note_in(None, cause);
    }

    /// Notes a failure with its cause, and the operation that failed. The operation is a verb and its object.
    pub fn note_during(&self, operation: &'static str, cause: &dyn Display) {
        self.note_in(Some(operation), cause);
    }

    fn note_in(&self, operation: Option<&'static str>, cause: &dyn Display) {
        let (now, cause) = (Instant::now(), cause.to_string());
        let mut episode = self.episode.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = episode.as_mut() else {
            tracing::error!(operation, error = cause, "{}", self.begins);
            *episode = Some(Episode { began: now, last_failed: now, last_logged: now, cause, failures: 1 });
            self.lasts.store(true, Ordering::Relaxed);
            return;
        };
        known.failures += 1;
        known.last_failed = now;
        let pause = if known.cause == cause { REMINDER_INTERVAL } else { CAUSE_INTERVAL };
        if now - known.last_logged >= pause {
            tracing::error!(operation, error = cause, failures = known.failures, "{} (still)", self.begins);
            known.last_logged = now;
            known.cause = cause;
        }
    }

    /// Notes a success. It costs one atomic load where there is no trouble.
    pub fn worked(&self) {
        if !self.lasts.load(Ordering::Relaxed) {
            return;
        }
        let mut episode = self.episode.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(over) = episode.take_if(|known| known.last_failed.elapsed() >= QUIET_PERIOD) {
            self.lasts.store(false, Ordering::Relaxed);
            let seconds = over.began.elapsed().as_secs();
            tracing::info!(failures = over.failures, seconds, "{}", self.is_over);
        }
    }
}
