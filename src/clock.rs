//! The clock, read at the edges only. Order never depends on it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::messaging::Timestamp;

/// Tells the time. The default is the clock of the system. A test brings a clock of its own, so that days pass at once.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    may_leap: bool,
}

impl Clock {
    /// A clock that shows what `now` returns, and that is right.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { now: Arc::new(now), may_leap: false }
    }

    /// The time now, in microseconds.
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// Whether it may be wrong until somebody sets it, as that of a system may.
    pub(crate) fn may_leap(&self) -> bool {
        self.may_leap
    }
}

impl Default for Clock {
    fn default() -> Self {
        let system = Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
            Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
        });
        Self { may_leap: true, ..system }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// The time that lies `duration` after `time`.
pub fn after(time: Timestamp, duration: Duration) -> Timestamp {
    Timestamp(time.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
}
