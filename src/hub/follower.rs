//! A subscription with checkpoints, for those who ask for them: what says that there was nothing. A follower that selects
//! little then moves its cursor all the same, and knows a silent connection from a quiet log.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use super::event_stream::Step;
use super::{Broken, EventStream, VisibleEvent};
use crate::log::Unavailable;
use crate::messaging::{Place, Timestamp};

/// What a subscriber is told.
#[derive(Debug, Clone)]
pub enum Told {
    /// Something happened.
    Event(VisibleEvent),
    /// Nothing happened.
    Checkpoint(Checkpoint),
}

impl Told {
    /// The place that a subscriber who knows this has come to.
    pub fn place(&self) -> Place {
        match self {
            Self::Event(seen) => seen.shared.place(),
            Self::Checkpoint(checkpoint) => checkpoint.place,
        }
    }
}

/// Everything up to `place` was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The place. It may be that of the event before.
    pub place: Place,
    /// When it was made, by the clock of this node.
    pub at: Timestamp,
    /// Whether there was nothing more when this was told. Otherwise the replay goes on.
    pub is_caught_up: bool,
}

/// A subscription under way, which tells of checkpoints if it was asked to.
#[derive(Debug)]
pub struct Follower {
    events: EventStream,
    /// Boxed, so that who does not ask for checkpoints carries no timer.
    checkpoints: Option<Box<Checkpoints>>,
}

/// When the next checkpoint is due.
#[derive(Debug)]
struct Checkpoints {
    /// The longest time without an event or a checkpoint.
    interval: Duration,
    due: Pin<Box<Sleep>>,
}

impl Follower {
    /// Follows a stream. With an interval, there is a checkpoint whenever replay has caught up, and each time that nothing
    /// else was told for so long.
    pub fn new(events: EventStream, interval: Option<Duration>) -> Self {
        let checkpoints =
            interval.map(|interval| Box::new(Checkpoints { interval, due: Box::pin(sleep(interval)) }));
        Self { events, checkpoints }
    }

    /// Has something that was returned be seen as of the viewer's leaving, where they may have left since.
    pub async fn narrow(&self, told: &mut Told) -> Result<(), Unavailable> {
        match told {
            Told::Event(seen) => self.events.narrow(seen).await,
            Told::Checkpoint(_) => Ok(()),
        }
    }

    /// Returns what comes next. `None` when there will never be anything again: the viewer has left the one conversation
    /// that the stream follows. It may be dropped and called again at any time.
    pub async fn next(&mut self) -> Result<Option<Told>, Broken> {
        let told = loop {
            let due = self.checkpoints.as_mut().map(|checkpoints| checkpoints.due.as_mut());
            match self.events.step(due).await? {
                Step::Event(seen) => break Told::Event(seen),
                Step::CaughtUp if self.checkpoints.is_none() => {}
                Step::CaughtUp => {
                    let (place, at) = (self.events.place(), self.events.now());
                    break Told::Checkpoint(Checkpoint { place, at, is_caught_up: true });
                }
                Step::Due => {
                    let quiet = self.events.quiet();
                    let place = quiet.unwrap_or_else(|| self.events.place());
                    let (at, is_caught_up) = (self.events.now(), quiet.is_some());
                    break Told::Checkpoint(Checkpoint { place, at, is_caught_up });
                }
                Step::Ended => return Ok(None),
            }
        };
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.due.as_mut().reset(Instant::now() + checkpoints.interval);
        }
        Ok(Some(told))
    }
}
