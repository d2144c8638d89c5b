//! Chooses the faults of a round by its seed, and makes them.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep};

use crate::fault::Fault;
use crate::history::History;
use crate::world::World;

/// How long a fault lasts, in milliseconds.
const HOLD: std::ops::Range<u64> = 200..3_000;

/// How long nothing is done between faults, in milliseconds.
const PAUSE: std::ops::Range<u64> = 100..1_000;

/// Breaks things for so long, has the log go back in the middle where it is to, and leaves everything whole. The answer
/// is how often it did what.
pub(crate) async fn torment(
    world: &World,
    history: &History,
    mut random: Rng,
    time: Duration,
) -> Result<BTreeMap<&'static str, u64>, String> {
    let (middle, until) = (Instant::now() + time / 2, Instant::now() + time);
    let mut turn = world.turn;
    let mut counts = BTreeMap::new();
    while Instant::now() < until {
        let due = if Instant::now() >= middle { turn.take() } else { None };
        let first = due.unwrap_or_else(|| Fault::draw(&mut random, world));
        let second = (random.u32(0..4) == 0)
            .then(|| Fault::draw(&mut random, world))
            .filter(|second| second.goes_with(first));
        let (hold, other) = (duration(&mut random, HOLD), duration(&mut random, HOLD));
        for fault in std::iter::once(first).chain(second) {
            *counts.entry(fault.kind()).or_default() += 1;
        }
        let also = async {
            match second {
                Some(second) => second.inflict(world, other, history).await,
                None => Ok(()),
            }
        };
        tokio::try_join!(first.inflict(world, hold, history), also)?;
        sleep(duration(&mut random, PAUSE)).await;
    }
    Ok(counts)
}

fn duration(random: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.u64(range))
}
