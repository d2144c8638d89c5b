//! Permits for large answers: a few at a time, and one for each owner. While herald makes an answer, it takes up many
//! times its own size. Then it waits in memory until its client has read it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::error::Error;
use crate::rates::Owner;

/// Large answers at a time, of all owners.
const MAX_LARGE_ANSWERS: usize = 8;

/// Large answers at a time, of one owner.
const MAX_LARGE_ANSWERS_PER_OWNER: usize = 1;

/// Messages that may be read at a time before they are paid for: two of the largest pages by default.
const MAX_MESSAGES_READING: usize = 400;

/// How long an answer waits for a permit. Meanwhile clients read other answers, or the write timeout closes their
/// connections.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// The permits for large answers.
#[derive(Debug)]
pub(super) struct LargeAnswers {
    /// Permits for messages that all executions read at a time.
    reading: Semaphore,
    all: Arc<Semaphore>,
    // A `std` mutex, because it is never locked across an await.
    by_owner: Mutex<HashMap<Owner, Weak<Semaphore>>>,
}

/// A permit for one large answer. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct LargeAnswerPermit {
    _of_owner: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Default for LargeAnswers {
    fn default() -> Self {
        Self {
            reading: Semaphore::new(MAX_MESSAGES_READING),
            all: Arc::new(Semaphore::new(MAX_LARGE_ANSWERS)),
            by_owner: Mutex::default(),
        }
    }
}

impl LargeAnswers {
    /// Waits until this number of messages may be read. The caller pays for them before it drops the permit.
    pub(super) async fn reading(&self, messages: usize) -> Result<SemaphorePermit<'_>, Error> {
        let messages = u32::try_from(messages.clamp(1, MAX_MESSAGES_READING)).unwrap_or(u32::MAX);
        self.reading.acquire_many(messages).await.map_err(|_| Error::Internal)
    }

    /// Waits for a permit for a large answer of this owner.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when no permit is free in time.
    pub(super) async fn permit(&self, owner: Owner) -> Result<LargeAnswerPermit, Error> {
        let (own, all) = (self.of(owner), Arc::clone(&self.all));
        let permit = async {
            let of_owner = own.acquire_owned().await.ok()?;
            Some(LargeAnswerPermit { _of_owner: of_owner, _of_all: all.acquire_owned().await.ok()? })
        };
        tokio::time::timeout(PERMIT_TIMEOUT, permit).await.ok().flatten().ok_or(Error::Unavailable)
    }

    fn of(&self, owner: Owner) -> Arc<Semaphore> {
        let mut by_owner = self.by_owner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = by_owner.get(&owner).and_then(Weak::upgrade) {
            return known;
        }
        by_owner.retain(|_, known| known.strong_count() > 0);
        let own = Arc::new(Semaphore::new(MAX_LARGE_ANSWERS_PER_OWNER));
        by_owner.insert(owner, Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Network;

    #[tokio::test(start_paused = true)]
    async fn one_owner_leaves_permits_to_others_and_a_dropped_permit_is_free() {
        let large_answers = LargeAnswers::default();
        let owner = |last: u8| Owner::Network(Network::of([127, 0, 0, last].into()));
        let first = large_answers.permit(owner(1)).await.unwrap();
        assert_eq!(large_answers.permit(owner(1)).await.err(), Some(Error::Unavailable));
        let _other = large_answers.permit(owner(2)).await.unwrap();
        drop(first);
        assert!(large_answers.permit(owner(1)).await.is_ok());
    }
}
