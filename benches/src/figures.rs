//! What is made of measured values.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// The value in the middle.
pub(crate) fn median(values: Vec<f64>) -> f64 {
    Spread::of(values).median
}

/// The delay within which so many percent of them were, in milliseconds. They are in order.
pub(crate) fn percentile(delays: &[Duration], percent: usize) -> f64 {
    let rank = (delays.len() * percent).div_ceil(100).max(1);
    delays[rank - 1].as_secs_f64() * 1e3
}

/// What several runs measured: their median, and how far they are apart.
pub(crate) struct Spread {
    least: f64,
    pub(crate) median: f64,
    most: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self { least: values[0], median: values[values.len() / 2], most: values[values.len() - 1] }
    }
}

/// `2.50 (2.41–2.73)`, with so many digits as the format says.
impl Display for Spread {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(0);
        let Self { least, median, most } = self;
        write!(f, "{median:.digits$} ({least:.digits$}–{most:.digits$})")
    }
}
