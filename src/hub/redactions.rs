//! The redactions that this node applied, for whoever holds what may show a redacted text. Each reader walks them in its
//! own time, so a redaction costs nothing for what nobody looks at any more. None is forgotten while a reader still has to
//! come to it, and none is kept after that.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::messaging::{ConversationId, Epoch, Position, Timestamp};

/// A message was redacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Redaction {
    /// The epoch in which this node applied it. In a later one, another message may have the position.
    pub(super) epoch: Epoch,
    pub(super) conversation: ConversationId,
    /// The position of the message.
    pub(super) position: Position,
    pub(super) at: Timestamp,
}

/// What a reader is to heed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heed {
    /// The text of this message is not shown any more.
    Redacted(Redaction),
    /// This node passed over a part of the log. It does not know what was redacted there, so nothing is shown any more
    /// that was read before.
    PassedOver,
}

/// All redactions, in order. A clone shares them.
#[derive(Debug, Clone, Default)]
pub(super) struct Redactions(
    // A `std` mutex, because it is locked only to copy or move the end and never across an await.
    Arc<Mutex<Heeded>>,
);

/// How many of the redactions a reader has heeded. A clone goes on from the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Heeded(Arc<Link>);

/// A place between two redactions.
#[derive(Debug, Default)]
struct Link(OnceLock<(Heed, Heeded)>);

impl Redactions {
    /// For a reader of what is read after this call: all redactions up to now are heeded in that.
    pub(super) fn all_heeded(&self) -> Heeded {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds one, which every reader comes to.
    pub(super) fn add(&self, redaction: Redaction) {
        self.extend(Heed::Redacted(redaction));
    }

    /// Says to every reader that this node passed over a part of the log.
    pub(super) fn pass_over(&self) {
        self.extend(Heed::PassedOver);
    }

    fn extend(&self, heed: Heed) {
        let mut end = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = Heeded::default();
        let _ = end.0.0.set((heed, next.clone()));
        *end = next;
    }
}

impl Heeded {
    /// What is next, which is heeded from here on. It costs one atomic load when there is nothing.
    pub(super) fn next(&mut self) -> Option<Heed> {
        let (heed, next) = self.0.0.get()?.clone();
        *self = next;
        Some(heed)
    }
}

impl Drop for Link {
    /// One by one: each link would otherwise drop the next one within its own drop, and many would overflow the stack.
    fn drop(&mut self) {
        let mut next = self.0.take();
        while let Some((_, Heeded(link))) = next {
            next = Arc::into_inner(link).and_then(|mut link| link.0.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn each_reader_comes_to_every_redaction_and_nothing_is_kept_that_nobody_has_to_come_to() {
        let redactions = Redactions::default();
        let add = |position| {
            let (epoch, conversation, at) = (Epoch(1), ConversationId(Uuid::nil()), Timestamp(9));
            redactions.add(Redaction { epoch, conversation, position: Position(position), at });
        };
        let positions = |mut heeded: Heeded| {
            let position = |heed| match heed {
                Heed::Redacted(redaction) => redaction.position.0,
                Heed::PassedOver => panic!("nothing was passed over"),
            };
            std::iter::from_fn(move || heeded.next().map(position)).collect::<Vec<_>>()
        };
        let first = redactions.all_heeded();
        (0..3).for_each(add);
        let later = redactions.all_heeded();
        (3..100_000).for_each(add);
        assert_eq!(positions(first.clone()), (0..100_000).collect::<Vec<_>>());
        assert_eq!(positions(later.clone()), (3..100_000).collect::<Vec<_>>());
        let kept = Arc::downgrade(&later.0);
        drop((first, later));
        assert_eq!(kept.strong_count(), 0);
        assert!(positions(redactions.all_heeded()).is_empty());
    }
}
