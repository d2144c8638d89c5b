//! Rows of the log that are damaged, as those who missed events come upon them. Such a subscription breaks off, since it
//! could not tell what the row says. Operators learn of it until the row can be read. What never lives here: events
//! that come live, which the hub's task cannot pass over.

use std::sync::{Arc, Mutex, PoisonError};

use crate::log::{Database, ReadError, SubscriptionFilter};
use crate::messaging::{Event, Position, View};
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

/// The damage that was found last. A clone shares it.
#[derive(Debug, Clone)]
pub(super) struct Damage {
    // A `std` mutex, because it is locked only to copy the value and never across an await.
    found: Arc<Mutex<Option<Missed>>>,
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
            *self.found() = Some(missed);
            self.vitals.fails(Part::Log, REASON);
        }
        read
    }

    /// Looks whether the damage is mended. It costs nothing where there is none.
    pub(super) async fn look_again(&self, database: &Database) {
        let Some(missed) = *self.found() else { return };
        if matches!(self.read(database, missed).await, Ok(_) | Err(ReadError::Trimmed)) {
            self.found().take_if(|found| *found == missed);
            self.vitals.works(Part::Log);
        }
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Option<Missed>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
