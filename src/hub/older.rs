//! Events that were read from the log for subscribers who were away for long. Many who read the same at the same time
//! share them, with what they were rendered to. Nothing is kept here that no subscriber holds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::RenderedEvent;
use super::memory_use::MemoryUse;
use super::redactions::{Heeded, Redactions};
use crate::messaging::{Epoch, Event, Place};

/// The older events that subscribers hold now. A clone shares them.
#[derive(Debug, Clone, Default)]
pub(super) struct Older {
    // A `std` mutex, because it is locked only for a page of events and never across an await.
    held: Arc<Mutex<HashMap<Place, Weak<RenderedEvent>>>>,
    pub(super) redactions: Redactions,
    memory: MemoryUse,
}

impl Older {
    /// These events, which were read after so many redactions were heeded, with the answers that others had rendered a
    /// moment ago.
    pub(super) fn share<T>(
        &self,
        epoch: Epoch,
        heeded: &Heeded,
        events: impl Iterator<Item = (Arc<Event>, T)>,
    ) -> impl Iterator<Item = (Arc<RenderedEvent>, T)> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let share = |(event, with): (Arc<Event>, T)| {
            let place = Place { epoch, position: event.position, chain: event.chain };
            let known = held
                .get(&place)
                .and_then(Weak::upgrade)
                .filter(|shared| !shared.is_old() && !shared.is_lost());
            let shared = known.unwrap_or_else(|| {
                let shared = Arc::new(RenderedEvent::new(event, epoch, heeded.clone(), &self.memory));
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
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::hub::redactions::Redaction;
    use crate::messaging::{
        Body, Chain, Change, ConversationId, Message, MessageId, Position, Sent, Timestamp, UserId,
    };

    fn event(position: i64) -> Arc<Event> {
        let (position, id) = (Position(position), Uuid::nil());
        let (conversation, actor) = (ConversationId(id), UserId(id));
        let (chain, at) = (Chain(position.0), Timestamp(0));
        let message = Arc::new(Message {
            position,
            id: MessageId(id),
            conversation,
            sender: actor,
            body: Body::parse("the text", 100).unwrap(),
            metadata: None,
            sent_at: at,
            redacted_at: None,
        });
        let change = Sent { message }.into();
        Arc::new(Event { position, chain, at, conversation, actor, origin: None, via: None, change })
    }

    fn read(older: &Older, epoch: i64, position: i64) -> Arc<RenderedEvent> {
        share(older, epoch, &older.redactions.all_heeded(), position)
    }

    fn share(older: &Older, epoch: i64, heeded: &Heeded, position: i64) -> Arc<RenderedEvent> {
        older.share(Epoch(epoch), heeded, [(event(position), ())].into_iter()).next().unwrap().0
    }

    fn redact(older: &Older, epoch: i64, position: i64) {
        let conversation = ConversationId(Uuid::nil());
        let (epoch, position) = (Epoch(epoch), Position(position));
        older.redactions.add(Redaction { epoch, conversation, position, at: Timestamp(9) });
    }

    fn body(shared: &RenderedEvent) -> String {
        let Change::Sent(Sent { message }) = shared.change() else { panic!("another kind") };
        message.body.as_str().into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_redaction_reaches_what_is_held_and_what_is_being_read() {
        let older = Older::default();
        let first = read(&older, 1, 7);
        tokio::time::advance(RenderedEvent::MAX_AGE * 2).await;
        let second = read(&older, 1, 7);
        let reading = older.redactions.all_heeded();
        redact(&older, 1, 8);
        redact(&older, 1, 7);
        for position in 1_000..2_000 {
            redact(&older, 1, position);
        }
        assert_eq!((&*body(&first), &*body(&second)), ("", ""));
        assert_eq!(body(&share(&older, 1, &reading, 8)), "");
        assert_eq!(body(&share(&older, 1, &reading, 9)), "the text");
    }

    // After a restore, another message may have the position.
    #[test]
    fn a_redaction_of_an_epoch_that_is_lost_takes_nothing_away_from_a_later_one() {
        let older = Older::default();
        let reading = older.redactions.all_heeded();
        redact(&older, 1, 7);
        assert_eq!(body(&share(&older, 2, &reading, 7)), "the text");
        assert_eq!(body(&read(&older, 2, 7)), "the text");
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
