//! When a call that was not accepted is tried again.

use std::time::Duration;

/// The pauses after each failed attempt. After the last, a call is given up, some three days after the first attempt.
const PAUSES: [Duration; 10] = [
    Duration::from_secs(5),
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];

/// The longest pause that a receiver can ask for.
const MAX_ASKED: Duration = Duration::from_hours(24);

/// By how much of itself a pause is lengthened at most, so that calls which failed together do not come together.
const MAX_JITTER: f64 = 0.2;

/// The pause after so many attempts have failed, with what the receiver asked for (`Retry-After`); `None` to give up.
/// `chance` is a random number from 0 to 1.
pub(super) fn pause(failed: u32, asked: Option<Duration>, chance: f64) -> Option<Duration> {
    let index = usize::try_from(failed).ok()?.checked_sub(1)?;
    let pause = PAUSES.get(index)?.mul_f64(1.0 + MAX_JITTER * chance.clamp(0.0, 1.0));
    Some(pause.max(asked.unwrap_or_default().min(MAX_ASKED)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_seconds_to_a_day_and_end() {
        let pauses: Vec<_> = (1..).map_while(|failed| pause(failed, None, 0.0)).collect();
        assert_eq!((pauses[0], pauses.len()), (Duration::from_secs(5), PAUSES.len()));
        assert!(pauses.is_sorted());
        assert!((3..4).contains(&(pauses.iter().sum::<Duration>().as_secs() / 86_400)));
        assert_eq!(pause(1, None, 1.0), Some(Duration::from_secs(6)));
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_and_not_for_less_or_for_ever() {
        assert_eq!(pause(1, Some(Duration::from_secs(90)), 0.5), Some(Duration::from_secs(90)));
        assert_eq!(pause(2, Some(Duration::from_secs(1)), 0.0), Some(Duration::from_mins(1)));
        assert_eq!(pause(1, Some(Duration::MAX), 0.0), Some(MAX_ASKED));
        assert_eq!(pause(11, Some(Duration::from_secs(1)), 0.0), None);
    }
}
