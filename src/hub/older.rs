//! Events that were read from the log for subscribers who were away for long. Many who read the same at the same time
//! share them, with what they were rendered to. Nothing is kept here that no subscriber holds.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::RenderedEvent;
use super::memory_use::MemoryUse;
use crate::messaging::{Epoch, Event, Place, Position, Timestamp};

/// The newest redactions that are remembered. An event that was read right before one of them may come right after it.
const MAX_REDACTIONS: usize = 256;

/// The older events that subscribers hold now. A clone shares them.
#[derive(Debug, Clone, Default)]
pub(super) struct Older {
    // A `std` mutex, because it is locked only for a page of events and never across an await.
    held: Arc<Mutex<HashMap<Place, Weak<RenderedEvent>>>>,
    /// The messages that were redacted last, and when.
    redactions: Arc<Mutex<VecDeque<(Position, Timestamp)>>>,
    memory: MemoryUse,
}

impl Older {
    /// These events, which were just read, with the answers that others had rendered a moment ago.
    pub(super) fn share<T>(
        &self,
        epoch: Epoch,
        events: impl Iterator<Item = (Arc<Event>, T)>,
    ) -> impl Iterator<Item = (Arc<RenderedEvent>, T)> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let redactions = self.redactions.lock().unwrap_or_else(PoisonError::into_inner);
        let share = |(event, with): (Arc<Event>, T)| {
            let place = Place { epoch, position: event.position, chain: event.chain };
            let known = held.get(&place).and_then(Weak::upgrade).filter(|shared| !shared.is_old());
            let shared = known.unwrap_or_else(|| {
                let redacted = redactions.iter().find(|(position, _)| *position == event.position);
                let shared = Arc::new(RenderedEvent::new(event, epoch, &self.memory));
                if let Some((_, at)) = redacted {
                    shared.redact(*at);
                }
                if held.len() == held.capacity() {
                    held.retain(|_, event| event.strong_count() > 0);
                    let used = held.len();
                    held.shrink_to(2 * used);
                }
                held.insert(place, Arc::downgrade(&shared));
                shared
            });
            (shared, with)
        };
        events.map(share).collect::<Vec<_>>().into_iter()
    }

    /// Takes the text of the message at a position away, as the log did.
    pub(super) fn redact(&self, position: Position, at: Timestamp) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut redactions = self.redactions.lock().unwrap_or_else(PoisonError::into_inner);
        if redactions.len() == MAX_REDACTIONS {
            redactions.pop_front();
        }
        redactions.push_back((position, at));
        for (_, shared) in held.iter().filter(|(place, _)| place.position == position) {
            shared.upgrade().iter().for_each(|shared| shared.redact(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::messaging::{Chain, ConversationId, Left, Position, Timestamp, UserId};

    fn event(position: i64) -> Arc<Event> {
        let (position, id, change) = (Position(position), Uuid::nil(), Left { successor: None }.into());
        let (conversation, actor) = (ConversationId(id), UserId(id));
        let (chain, at) = (Chain(position.0), Timestamp(0));
        Arc::new(Event { position, chain, at, conversation, actor, origin: None, via: None, change })
    }

    fn read(older: &Older, epoch: i64, position: i64) -> Arc<RenderedEvent> {
        older.share(Epoch(epoch), [(event(position), ())].into_iter()).next().unwrap().0
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_is_shared_while_somebody_holds_it_and_its_answers_are_young() {
        let older = Older::default();
        let first = read(&older, 1, 7);
        assert!(Arc::ptr_eq(&first, &read(&older, 1, 7)));
        assert!(!Arc::ptr_eq(&first, &read(&older, 1, 8)), "another event");
        assert!(!Arc::ptr_eq(&first, &read(&older, 2, 7)), "another epoch");
        tokio::time::advance(RenderedEvent::MAX_AGE * 2).await;
        let second = read(&older, 1, 7);
        assert!(!Arc::ptr_eq(&first, &second), "old");
        assert!(Arc::ptr_eq(&second, &read(&older, 1, 7)));
    }

    #[test]
    fn nothing_is_kept_that_nobody_holds() {
        let older = Older::default();
        for position in 0..10_000 {
            drop(read(&older, 1, position));
        }
        assert!(older.held.lock().unwrap().capacity() < 100);
        assert_eq!(older.memory.bytes(), 0);
    }
}
