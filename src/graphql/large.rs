//! Large answers: a few at a time, and one of each caller. One takes up many times its own size while it is made, and
//! waits in memory until its client has read it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::error::Error;
use crate::rates::Owner;

/// Large answers at a time: of all callers, and of one.
const MAX_LARGE_ANSWERS: (usize, usize) = (8, 1);

/// Messages that may be read at a time and are not yet paid for. Some pages of the largest size.
const MAX_MESSAGES_READING: usize = 400;

/// How long an answer waits for room. Others are read meanwhile, or cut off by the write timeout.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// The room that there is for large answers.
#[derive(Debug)]
pub(super) struct LargeAnswers {
    /// Messages that all executions may be reading at a time.
    reading: Semaphore,
    all: Arc<Semaphore>,
    by_owner: Mutex<HashMap<Owner, Weak<Semaphore>>>,
}

/// Room for one large answer. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct LargeAnswerPermit {
    _of_owner: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Default for LargeAnswers {
    fn default() -> Self {
        Self {
            reading: Semaphore::new(MAX_MESSAGES_READING),
            all: Arc::new(Semaphore::new(MAX_LARGE_ANSWERS.0)),
            by_owner: Mutex::default(),
        }
    }
}

impl LargeAnswers {
    /// Waits until so many messages more may be read. They are paid for before the permit goes.
    pub(super) async fn reading(&self, messages: usize) -> Result<SemaphorePermit<'_>, Error> {
        let messages = u32::try_from(messages.clamp(1, MAX_MESSAGES_READING)).unwrap_or(u32::MAX);
        self.reading.acquire_many(messages).await.map_err(|_| Error::Internal)
    }

    /// Waits for room.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is none in time.
    pub(super) async fn permit(&self, owner: Owner) -> Result<LargeAnswerPermit, Error> {
        let (own, all) = (self.of(owner), Arc::clone(&self.all));
        let room = async {
            let of_owner = own.acquire_owned().await.ok()?;
            Some(LargeAnswerPermit { _of_owner: of_owner, _of_all: all.acquire_owned().await.ok()? })
        };
        tokio::time::timeout(PERMIT_TIMEOUT, room).await.ok().flatten().ok_or(Error::Unavailable)
    }

    fn of(&self, owner: Owner) -> Arc<Semaphore> {
        let mut by_owner = self.by_owner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = by_owner.get(&owner).and_then(Weak::upgrade) {
            return known;
        }
        by_owner.retain(|_, known| known.strong_count() > 0);
        let own = Arc::new(Semaphore::new(MAX_LARGE_ANSWERS.1));
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
        let large_answers = LargeAnswers::default();
        let owner = |last: u8| Owner::Network(Network::of([127, 0, 0, last].into()));
        let first = large_answers.permit(owner(1)).await.unwrap();
        assert_eq!(large_answers.permit(owner(1)).await.err(), Some(Error::Unavailable));
        let _other = large_answers.permit(owner(2)).await.unwrap();
        drop(first);
        assert!(large_answers.permit(owner(1)).await.is_ok());
    }
}
