//! Rows of the log that are damaged, as those who missed events come upon them. Such a subscription breaks off, since it
//! could not tell what the row says. Operators learn of it until the row can be read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::log::{Database, ReadError, SubscriptionFilter};
use crate::messaging::{Event, Position, View};
use crate::metrics::METRICS;
use crate::vitals::{Part, Vitals};

/// What is told of it in `/readyz`.
const REASON: &str =
    "An event in the log is damaged: herald's log names it, and `herald check` finds the first one.";

/// A part of the log that somebody missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) filter: SubscriptionFilter,
    pub(super) after: Position,
    pub(super) through: Position,
    /// The most events.
    pub(super) most: usize,
}

/// The most stretches that are remembered. Where more people come upon damage, these stand for all.
const MOST_REMEMBERED: usize = 16;

/// Where damage was found. A clone shares it.
#[derive(Debug, Clone)]
pub(super) struct Damage {
    // A `std` mutex, because it is locked only for a few copies and never across an await.
    found: Arc<Mutex<VecDeque<Missed>>>,
    vitals: Arc<Vitals>,
}

impl Damage {
    pub(super) fn new(vitals: Arc<Vitals>) -> Self {
        Self { found: Arc::default(), vitals }
    }

    /// Reads what was missed, and the position up to which that goes. It notes whether there is damage in it.
    pub(super) async fn read(
        &self,
        database: &Database,
        missed: Missed,
    ) -> Result<(Vec<(Arc<Event>, View)>, Position), ReadError> {
        let Missed { filter, after, through, most } = missed;
        let read = database.replay(filter, after, through, most).await;
        if matches!(read, Err(ReadError::Damaged)) {
            self.note(missed);
        }
        read
    }

    /// Notes that there is damage in what was missed.
    pub(super) fn note(&self, missed: Missed) {
        let mut found = self.found();
        if found.is_empty() {
            tracing::error!(
                "an event in the log is damaged: run `herald check`. Who missed it takes a new snapshot"
            );
            METRICS.log_damaged.set(1);
            self.vitals.fails(Part::Log, REASON);
        }
        if found.len() < MOST_REMEMBERED && !found.contains(&missed) {
            found.push_back(missed);
        }
    }

    /// Looks whether damage is mended, up to the first that is not. It costs nothing where there is none.
    pub(super) async fn look_again(&self, database: &Database) {
        loop {
            let Some(missed) = self.found().front().copied() else { return };
            let Missed { filter, after, through, most } = missed;
            match database.replay(filter, after, through, most).await {
                Ok(_) | Err(ReadError::Trimmed) => self.forget_first(),
                // The next look begins with another one.
                Err(ReadError::Damaged) => return self.found().rotate_left(1),
                Err(ReadError::Unavailable) => return,
            }
        }
    }

    /// Only the looks take away from the front.
    fn forget_first(&self) {
        let mut found = self.found();
        found.pop_front();
        if found.is_empty() {
            tracing::info!("what was damaged in the log can be read again");
            METRICS.log_damaged.set(0);
            self.vitals.works(Part::Log);
        }
    }

    fn found(&self) -> std::sync::MutexGuard<'_, VecDeque<Missed>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
