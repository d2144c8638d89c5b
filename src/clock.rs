//! The clock, read at the edges only. Order never depends on it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::messaging::Timestamp;

/// Now, to the microsecond.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The time that lies `duration` after `time`.
pub fn after(time: Timestamp, duration: Duration) -> Timestamp {
    Timestamp(time.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
}
