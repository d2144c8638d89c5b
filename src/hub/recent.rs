//! The newest events of the log, as this node applied them, for subscribers who come back after a short while. They are
//! kept with what they were rendered to, so a thousand who come back at once cost one render, and no statement. What
//! never lives here: who may see an event.

use std::collections::VecDeque;
use std::sync::Arc;

use super::RenderedEvent;
use super::memory_use::MemoryUse;
use super::redactions::{Redaction, Redactions};
use super::rendered_event::bytes_of;
use crate::log::{Database, Unavailable};
use crate::messaging::{Chain, Event, Place, Position};
use crate::trace::TraceContext;

/// The most events that are kept, whatever the memory. At 100 events/s, this is what somebody misses in 80 s: a tunnel, a
/// restart, a change of networks. Further back the log is as fast, since it goes straight to the viewer's own events.
const MAX_EVENTS: usize = 8_192;

/// Events per statement when they are read from the log at start, and how many statements read [`MAX_EVENTS`].
const PAGE_EVENTS: i64 = 512;
const PAGES: usize = 16;

/// The newest events, each continuing the one before.
#[derive(Debug)]
pub(super) struct Recent {
    /// The place right before the oldest event.
    base: Place,
    events: VecDeque<Kept>,
    redactions: Redactions,
    memory: MemoryUse,
    /// The most bytes that the events may take, with their answers.
    most_bytes: usize,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Kept {
    shared: Arc<RenderedEvent>,
    /// The position up to which the log had grown when `shared` was made.
    as_of: Position,
}

/// Where a place is among the recent events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// So many of the recent events come before the place or at it.
    Here(usize),
    /// The place is before all of them. Only the log can tell whether it is in the log.
    Older,
    /// The place is not in the log as far as this node has applied it.
    Elsewhere,
}

impl Recent {
    /// No events yet. The first one is to continue `base`.
    pub(super) fn after(base: Place, redactions: Redactions, most_bytes: usize) -> Self {
        Self { base, events: VecDeque::new(), redactions, memory: MemoryUse::default(), most_bytes }
    }

    /// Forgets all events. The next one is to continue `base`.
    pub(super) fn begin_after(&mut self, base: Place) {
        *self = Self::after(base, self.redactions.clone(), self.most_bytes);
    }

    /// Forgets all events, since those after them up to `base` are not known. Whoever holds one is not shown it any more:
    /// it may have been redacted.
    pub(super) fn pass_over(&mut self, base: Place) {
        self.redactions.pass_over();
        self.begin_after(base);
    }

    /// The newest events of a log that ends at `end`: whoever was connected to a herald that was started again comes back
    /// now, all at once.
    pub(super) async fn of_log(
        database: &Database,
        end: Place,
        redactions: Redactions,
        most_bytes: usize,
    ) -> Result<Self, Unavailable> {
        let (mut pages, mut bytes, mut through) = (Vec::new(), 0, end.position);
        // From the newest page to the oldest, since it is not known how many events the memory holds.
        while through > Position::START && pages.len() < PAGES && bytes < most_bytes {
            let after = Position((through.0 - PAGE_EVENTS).max(0));
            let page = match database.events(after, through, PAGE_EVENTS.unsigned_abs()).await {
                // Whoever needs it comes upon it in the log.
                Err(Unavailable::Damaged) => break,
                page => page?,
            };
            bytes += page.iter().map(|event| bytes_of(event)).sum::<usize>();
            pages.push(page);
            through = after;
        }
        let start = Place { position: Position::START, chain: Chain::START, ..end };
        let after = |base| Self::after(base, redactions.clone(), most_bytes);
        let mut recent = after(start);
        let mut place = start;
        for event in pages.into_iter().rev().flatten() {
            let continues = place.is_continued_by(&event);
            place = place.at(&event);
            if continues {
                recent.push(event, None);
            } else {
                // This is the oldest event that was read, or one that is older than chains.
                recent = after(place);
            }
        }
        Ok(if place == end { recent } else { after(end) })
    }

    /// Keeps an event, which must continue the newest one, and where its trace goes on, if it has one.
    pub(super) fn push(&mut self, event: Arc<Event>, trace: Option<TraceContext>) -> Arc<RenderedEvent> {
        let as_of = event.position;
        let heeded = self.redactions.all_heeded();
        let shared = RenderedEvent::new(event, self.base.epoch, heeded, &self.memory);
        let shared = Arc::new(shared.in_trace(trace));
        self.events.push_back(Kept { shared: Arc::clone(&shared), as_of });
        self.shrink();
        shared
    }

    /// Takes the text of a message away, as the log did, from all that this node holds.
    pub(super) fn redact(&mut self, redaction: Redaction) {
        self.redactions.add(redaction);
        let index = usize::try_from(redaction.position.0 - self.base.position.0 - 1);
        if let Some(kept) = index.ok().and_then(|index| self.events.get_mut(index)) {
            // The text is not even in memory any more, once no subscriber holds the event.
            kept.shared = Arc::new(kept.shared.without_answers());
        }
    }

    /// Forgets the oldest events while there are too many, or while they take too much memory. Answers are added at any
    /// time, so this is to be called now and then.
    pub(super) fn shrink(&mut self) {
        while self.events.len() > MAX_EVENTS || self.memory.bytes() > self.most_bytes {
            let Some(oldest) = self.events.pop_front() else { return };
            self.base = oldest.shared.place();
        }
    }

    /// Forgets the events up to a position, before which the log is no longer kept. So nobody is told more here than by a
    /// node that has read them from the log.
    pub(super) fn trim(&mut self, through: Position) {
        while let Some(oldest) = self.events.pop_front_if(|oldest| oldest.shared.event.position <= through) {
            self.base = oldest.shared.place();
        }
    }

    /// Finds a place, which its chain proves to be in this log.
    pub(super) fn find(&self, place: Place) -> Found {
        if place.epoch != self.base.epoch || place.position > self.newest() {
            return Found::Elsewhere;
        }
        // There are no gaps, so the position says how many of the events come first.
        let Ok(before) = usize::try_from(place.position.0.saturating_sub(self.base.position.0)) else {
            return Found::Older;
        };
        let known = match before.checked_sub(1) {
            Some(last) => self.events.get(last).map(|kept| kept.shared.place()),
            None => Some(self.base),
        };
        if known == Some(place) { Found::Here(before) } else { Found::Elsewhere }
    }

    /// The events after the first `count`.
    pub(super) fn after_first(&mut self, count: usize) -> impl Iterator<Item = &mut Kept> {
        self.events.range_mut(count..)
    }

    fn newest(&self) -> Position {
        self.events.back().map_or(self.base.position, |kept| kept.shared.event.position)
    }
}

impl Kept {
    /// The event itself.
    pub(super) fn event(&self) -> &Event {
        &self.shared.event
    }

    /// The event with its answers, for somebody who comes back when the log has grown up to `applied`.
    pub(super) fn share(&mut self, applied: Position) -> Arc<RenderedEvent> {
        if self.as_of < applied && self.shared.is_old() {
            self.as_of = applied;
            self.shared = Arc::new(self.shared.without_answers());
        }
        Arc::clone(&self.shared)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::hub::Answer;
    use crate::messaging::{
        Body, Chain, Change, ConversationId, Covered, Epoch, Message, MessageId, Sent, Timestamp, UserId,
        View,
    };

    const BASE: Place = Place { epoch: Epoch(1), position: Position(10), chain: Chain(5) };

    /// The events after `place`: messages of so many bytes.
    fn events(mut place: Place, bytes: &[usize]) -> Vec<Arc<Event>> {
        let event = |bytes: &usize| {
            let (position, id) = (place.position.next(), Uuid::from_u128(1));
            let (conversation, actor, at) = (ConversationId(id), UserId(id), Timestamp(position.0));
            let message = Arc::new(Message {
                position,
                id: MessageId(id),
                conversation,
                sender: actor,
                body: Body::parse(&"a".repeat(*bytes), 100_000).unwrap(),
                metadata: None,
                sent_at: at,
                redacted_at: None,
            });
            let change = Sent { message }.into();
            let mut event = Event {
                position,
                chain: Chain::START,
                at,
                conversation,
                actor,
                origin: None,
                via: None,
                change,
            };
            event.chain = place.chain.after(&event);
            place = place.at(&event);
            Arc::new(event)
        };
        bytes.iter().map(event).collect()
    }

    fn recent(events: &[Arc<Event>], most_bytes: usize) -> Recent {
        let mut recent = Recent::after(BASE, Redactions::default(), most_bytes);
        for event in events {
            recent.push(Arc::clone(event), None);
        }
        recent
    }

    fn positions(recent: &mut Recent, after: Place) -> Option<Vec<i64>> {
        let Found::Here(count) = recent.find(after) else { return None };
        Some(recent.after_first(count).map(|kept| kept.event().position.0).collect())
    }

    proptest! {
        #[test]
        fn a_place_is_found_while_all_that_comes_after_it_is_kept(
            bytes in prop::collection::vec(1..2_000_usize, 0..40),
            most_bytes in 0..50_000_usize,
        ) {
            let events = events(BASE, &bytes);
            let mut recent = recent(&events, most_bytes);
            let kept = recent.events.len();
            prop_assert!(recent.memory.bytes() <= most_bytes);
            for known in 0..=events.len() {
                let place = known.checked_sub(1).map_or(BASE, |last| BASE.at(&events[last]));
                let later: Vec<_> = events[known..].iter().map(|event| event.position.0).collect();
                let is_kept = later.len() <= kept;
                prop_assert_eq!(positions(&mut recent, place), is_kept.then_some(later));
                let other = Place { chain: Chain(place.chain.0 + 1), ..place };
                prop_assert_eq!(recent.find(other), if is_kept { Found::Elsewhere } else { Found::Older });
                let other = Place { epoch: Epoch(2), ..place };
                prop_assert_eq!(recent.find(other), Found::Elsewhere);
            }
            let end = events.last().map_or(BASE, |last| BASE.at(last));
            prop_assert_eq!(recent.find(Place { position: end.position.next(), ..end }), Found::Elsewhere);
        }
    }

    #[tokio::test]
    async fn the_memory_for_events_and_answers_is_limited() {
        let mut recent = recent(&events(BASE, &[40_000; 100]), 1 << 20);
        let few = recent.events.len();
        assert!((20..=26).contains(&few), "{few} events of 40 kB");
        // Everyone asks for something else.
        for operation in 0..100_u128 {
            for kept in recent.after_first(recent.events.len().saturating_sub(5)) {
                let shared = kept.share(Position::START);
                let view = View { covered: Covered::After(Position::START), as_of: None };
                let render = async { Ok::<_, ()>(Some(Answer::from(&*"a".repeat(40_000)))) };
                shared.render_once(operation.to_be_bytes(), view, render).await.unwrap();
            }
            recent.shrink();
            assert!(recent.memory.bytes() <= 1 << 20);
            if recent.events.len() < 5 {
                break;
            }
        }
        assert!(recent.events.len() < 5, "the answers count");
        recent.events.clear();
        assert_eq!(recent.memory.bytes(), 0);
    }

    fn redact(recent: &mut Recent, position: i64) {
        let (epoch, conversation) = (BASE.epoch, ConversationId(Uuid::from_u128(1)));
        recent.redact(Redaction { epoch, conversation, position: Position(position), at: Timestamp(99) });
    }

    fn body(shared: &RenderedEvent) -> (String, Option<Timestamp>) {
        let Change::Sent(Sent { message }) = shared.change() else { panic!("another kind") };
        (message.body.as_str().into(), message.redacted_at)
    }

    const VIEW: View = View { covered: Covered::After(Position::START), as_of: None };

    async fn render(shared: &RenderedEvent) {
        shared.render_once([1; 16], VIEW, async { Ok::<_, ()>(Some("the text".into())) }).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_redacted_is_gone_for_those_who_hold_the_event_and_for_those_who_come() {
        let mut recent = recent(&events(BASE, &[10, 20, 30]), 1 << 20);
        let before = recent.memory.bytes();
        let held = recent.after_first(1).next().unwrap().share(Position(13));
        render(&held).await;
        redact(&mut recent, 12);
        redact(&mut recent, 7);
        let later = recent.after_first(1).next().unwrap().share(Position(13));
        for shared in [&held, &later] {
            assert!(shared.rendered([1; 16], VIEW).is_none());
            assert_eq!(body(shared), (String::new(), Some(Timestamp(99))));
        }
        drop(held);
        assert_eq!(recent.memory.bytes(), before - 20);
        let bytes: Vec<_> = recent.after_first(0).map(|kept| bytes_of(kept.event())).collect();
        assert_eq!((bytes[0] - bytes[1], bytes[2] - bytes[1]), (10, 30));
    }

    // Such as the change of a status, which shows the message, or any event that shows the last message.
    #[tokio::test]
    async fn answers_of_other_events_of_the_conversation_are_gone_too() {
        let mut recent = recent(&events(BASE, &[10, 20, 30]), 1 << 20);
        let held: Vec<_> = recent.after_first(0).map(|kept| kept.share(Position(13))).collect();
        for shared in &held {
            render(shared).await;
        }
        redact(&mut recent, 12);
        assert!(held.iter().all(|shared| shared.rendered([1; 16], VIEW).is_none()));
        assert_eq!(held.iter().map(|shared| body(shared).0.len()).collect::<Vec<_>>(), [10, 0, 30]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_redacted_is_gone_from_copies_that_only_subscribers_hold() {
        let mut recent = recent(&events(BASE, &[10, 20]), 1 << 20);
        let mut share = || recent.after_first(0).next().unwrap().share(Position(12));
        let first = share();
        tokio::time::advance(RenderedEvent::MAX_AGE * 2).await;
        let second = share();
        assert!(!Arc::ptr_eq(&first, &second));
        recent.most_bytes = 0;
        recent.shrink();
        assert!(recent.events.is_empty());
        redact(&mut recent, 11);
        assert_eq!((body(&first).0.len(), body(&second).0.len()), (0, 0));
    }

    #[tokio::test]
    async fn whoever_comes_after_a_redaction_does_not_wait_for_what_was_begun_before() {
        let mut recent = recent(&events(BASE, &[10]), 1 << 20);
        let shared = recent.after_first(0).next().unwrap().share(Position(11));
        let render = async {
            redact(&mut recent, 11);
            render(&shared).await;
            Ok::<_, ()>(Some("begun before".into()))
        };
        shared.render_once([1; 16], VIEW, render).await.unwrap();
        let rendered = shared.rendered([1; 16], VIEW).flatten().unwrap();
        assert_eq!(&*rendered.filled(|| None), "the text");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_shared_until_it_is_old_and_the_log_has_grown() {
        let events = events(BASE, &[1, 1]);
        let mut recent = recent(&events, 1 << 20);
        let mut share = |applied: &Event| recent.after_first(0).next().unwrap().share(applied.position);
        let first = share(&events[1]);
        assert!(Arc::ptr_eq(&first, &share(&events[1])), "it is young");
        tokio::time::advance(RenderedEvent::MAX_AGE * 2).await;
        assert!(Arc::ptr_eq(&first, &share(&events[0])), "the log has not grown");
        let second = share(&events[1]);
        assert!(!Arc::ptr_eq(&first, &second), "both");
        tokio::time::advance(RenderedEvent::MAX_AGE * 2).await;
        assert!(Arc::ptr_eq(&second, &share(&events[1])), "the log has not grown since");
    }
}
