//! The time by which things are too old to be kept. What is removed is gone for good, so a clock that says something
//! unexpected is doubted for a while, in which somebody may set it right. What never lives here: the time of events.

use std::time::{Duration, Instant};

use crate::clock::after;
use crate::messaging::Timestamp;

/// How far ahead of what is expected a clock is believed at once.
const LEEWAY: Duration = Duration::from_hours(24);

/// How long a clock has to go on saying what was not expected.
const DOUBT: Duration = Duration::from_hours(1);

/// What is expected of the clock: it goes on from the newest event, or from what was believed last.
#[derive(Debug)]
pub(super) struct Doubt {
    believed: (Timestamp, Instant),
    since: Option<Instant>,
}

impl Doubt {
    /// Expects the time of the newest event.
    pub(super) fn new(newest: Timestamp, now: Instant) -> Self {
        Self { believed: (newest, now), since: None }
    }

    /// The time to go by when the clock says `told`: this, or what is expected while it is doubted.
    pub(super) fn time(&mut self, told: Timestamp, now: Instant) -> Timestamp {
        let (believed, at) = self.believed;
        let expected = after(believed, now - at);
        if told > after(expected, LEEWAY) {
            if self.since.is_none() {
                tracing::warn!(
                    "the clock of this node is over a day ahead of the newest event, or has leapt: what is too old by it \
                     stays for an hour, in which it may be set"
                );
            }
            if now - *self.since.get_or_insert(now) < DOUBT {
                return expected;
            }
        }
        (self.believed, self.since) = ((told, now), None);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_clock_that_is_ahead_is_believed_after_an_hour() {
        let (newest, begun) = (Timestamp(1_000_000_000_000_000), Instant::now());
        let told = |elapsed| after(newest, 30 * DAY + elapsed);
        let mut doubt = Doubt::new(newest, begun);
        for minutes in 0..60 {
            let elapsed = minutes * MINUTE;
            assert_eq!(doubt.time(told(elapsed), begun + elapsed), after(newest, elapsed));
        }
        assert_eq!(doubt.time(told(60 * MINUTE), begun + 60 * MINUTE), told(60 * MINUTE));
        assert_eq!(doubt.time(told(61 * MINUTE), begun + 61 * MINUTE), told(61 * MINUTE), "from then on");
    }

    #[test]
    fn a_clock_that_leaps_and_is_set_again_is_not_believed_meanwhile() {
        let (newest, begun) = (Timestamp(1_000_000_000_000_000), Instant::now());
        let mut doubt = Doubt::new(newest, begun);
        let right = |minutes: u32| after(newest, DAY / 2 + minutes * MINUTE);
        let mut time = |told, minutes: u32| doubt.time(told, begun + minutes * MINUTE);
        assert_eq!(time(right(0), 0), right(0));
        for minutes in 1..60 {
            assert_eq!(time(after(right(minutes), 365 * DAY), minutes), right(minutes));
        }
        assert_eq!(time(right(60), 60), right(60));
        assert_eq!(time(after(right(61), 365 * DAY), 61), right(61), "the hour begins again");
        assert_eq!(time(newest, 62), newest, "it may go back");
    }
}
