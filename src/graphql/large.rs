//! Large answers: a few at a time, and one of each caller. One takes up many times its own size while it is made, and
//! waits in memory until its client has read it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::error::Error;
use crate::rates::Owner;

/// Large answers at a time: of all callers, and of one.
const ROOMS: (usize, usize) = (8, 1);

/// Messages that may be read at a time and are not yet paid for. Some pages of the largest size.
const READING: usize = 400;

/// How long an answer waits for room. Others are read meanwhile, or cut off by the write timeout.
const PATIENCE: Duration = Duration::from_secs(10);

/// The room that there is for large answers.
#[derive(Debug)]
pub(super) struct Rooms {
    /// Messages that all executions may be reading at a time.
    reading: Semaphore,
    all: Arc<Semaphore>,
    by_owner: Mutex<HashMap<Owner, Weak<Semaphore>>>,
}

/// Room for one large answer, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Room {
    _of_owner: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            reading: Semaphore::new(READING),
            all: Arc::new(Semaphore::new(ROOMS.0)),
            by_owner: Mutex::default(),
        }
    }
}

impl Rooms {
    /// Waits until so many messages more may be read. They are paid for before the permit goes.
    pub(super) async fn reading(&self, messages: usize) -> Result<SemaphorePermit<'_>, Error> {
        let messages = u32::try_from(messages.clamp(1, READING)).unwrap_or(u32::MAX);
        self.reading.acquire_many(messages).await.map_err(|_| Error::Internal)
    }

    /// Waits for room.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is none in time.
    pub(super) async fn room(&self, owner: Owner) -> Result<Room, Error> {
        let (own, all) = (self.of(owner), Arc::clone(&self.all));
        let room = async {
            let of_owner = own.acquire_owned().await.ok()?;
            Some(Room { _of_owner: of_owner, _of_all: all.acquire_owned().await.ok()? })
        };
        tokio::time::timeout(PATIENCE, room).await.ok().flatten().ok_or(Error::Unavailable)
    }

    fn of(&self, owner: Owner) -> Arc<Semaphore> {
        let mut by_owner = self.by_owner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = by_owner.get(&owner).and_then(Weak::upgrade) {
            return known;
        }
        by_owner.retain(|_, known| known.strong_count() > 0);
        let own = Arc::new(Semaphore::new(ROOMS.1));
        by_owner.insert(owner, Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Network;

    #[tokio::test(start_paused = true)]
    async fn one_owner_leaves_room_for_others_and_what_is_read_makes_room() {
        let rooms = Rooms::default();
        let owner = |last: u8| Owner::Network(Network::of([127, 0, 0, last].into()));
        let first = rooms.room(owner(1)).await.unwrap();
        assert_eq!(rooms.room(owner(1)).await.err(), Some(Error::Unavailable));
        let _other = rooms.room(owner(2)).await.unwrap();
        drop(first);
        assert!(rooms.room(owner(1)).await.is_ok());
    }
}
