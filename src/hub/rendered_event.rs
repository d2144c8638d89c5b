//! An event, and the answers that were rendered from it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::Answer;
use super::memory_use::{MemoryShare, MemoryUse};
use super::redactions::{Heed, Heeded, Redaction};
use crate::messaging::{Change, Epoch, Event, Message, Place, Record, Sent, View};
use crate::trace::TraceContext;

/// Answers that one event keeps. They are looked for one by one. If more operations and views than this render one
/// event, the oldest answer is forgotten, and rendered again if somebody else asks for it.
const MAX_ANSWERS: usize = 256;

/// Bytes of memory that an answer takes beside its text: its key, and the cell that holds it.
const ANSWER_BYTES: usize = size_of::<(Fingerprint, View, Render)>() + size_of::<OnceCell<Rendered>>();

/// Identifies an operation. Two are equal only if document, variables and operation name are equal.
pub type Fingerprint = [u8; 16];

/// The outcome of one rendering. `None` when the answer depends on the viewer, so that no other viewer may get it.
pub type Rendered = Option<Answer>;

/// A rendering that the first caller does and the others share.
type Render = Arc<OnceCell<Rendered>>;

/// An event with the answers that were rendered from it so far.
#[derive(Debug)]
pub struct RenderedEvent {
    /// The event itself, as it came: see [`RenderedEvent::change`].
    pub event: Arc<Event>,
    /// Where the trace of the request that caused it goes on. `None` if that is not traced, or if this node read the event
    /// from the log, which does not have it.
    pub trace: Option<TraceContext>,
    /// The epoch of the log in which the event is delivered.
    epoch: Epoch,
    made: Instant,
    // A `std` mutex, because it is locked only while the answers are searched and never across an await.
    shown: Mutex<Shown>,
    memory: MemoryShare,
}

/// What an event may be shown as, as of the redactions that are heeded.
#[derive(Debug)]
struct Shown {
    heeded: Heeded,
    /// What is left of the event of a message that was redacted since it was read.
    redacted: Option<Change>,
    /// Whether this node passed over a part of the log since the event was read. Then nobody knows what of it was
    /// redacted.
    is_lost: bool,
    // A handful of operations render one event, so a list is faster than a map.
    renders: Vec<(Fingerprint, View, Render)>,
}

impl RenderedEvent {
    /// The age up to which answers are given to whoever comes back, although the log may have grown. An answer shows a
    /// message with its status and a conversation with its title as they were when it was rendered.
    pub(super) const MAX_AGE: Duration = Duration::from_secs(1);

    /// An event that nobody has rendered yet, and that was read when these redactions were heeded. Its memory, and that of
    /// its answers, counts in `memory`.
    pub(super) fn new(event: Arc<Event>, epoch: Epoch, heeded: Heeded, memory: &MemoryUse) -> Self {
        let memory = memory.share(size_of::<Self>() + bytes_of(&event));
        let shown = Mutex::new(Shown { heeded, redacted: None, is_lost: false, renders: Vec::new() });
        Self { event, trace: None, epoch, made: Instant::now(), shown, memory }
    }

    /// The event, with the place at which its trace goes on.
    pub(super) fn in_trace(self, trace: Option<TraceContext>) -> Self {
        Self { trace, ..self }
    }

    /// The same event, which nobody has rendered yet, without what was redacted since.
    pub(super) fn without_answers(&self) -> Self {
        let shown = self.shown();
        let event = match &shown.redacted {
            Some(change) => Arc::new(Event { change: change.clone(), ..(*self.event).clone() }),
            None => Arc::clone(&self.event),
        };
        let heeded = shown.heeded.clone();
        Self::new(event, self.epoch, heeded, self.memory.sum()).in_trace(self.trace.clone())
    }

    /// Whether an answer may be older than [`Self::MAX_AGE`].
    pub(super) fn is_old(&self) -> bool {
        self.made.elapsed() > Self::MAX_AGE
    }

    /// What the event changed, without what was redacted since.
    pub fn change(&self) -> Change {
        self.shown().redacted.as_ref().unwrap_or(&self.event.change).clone()
    }

    /// What may be shown now: every redaction that this node has applied is heeded.
    fn shown(&self) -> MutexGuard<'_, Shown> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(heed) = shown.heeded.next() {
            match heed {
                Heed::Redacted(redaction) => self.redact(&mut shown, &redaction),
                Heed::PassedOver => {
                    shown.is_lost = true;
                    self.forget_answers(&mut shown);
                }
            }
        }
        shown
    }

    /// Whether the event may show what was redacted. Nobody may be shown it, nor what was rendered from it.
    pub fn is_lost(&self) -> bool {
        self.shown().is_lost
    }

    /// Takes the text away if this event sent the message, and every answer that may show it: any event of the
    /// conversation may show its last message. Whoever holds the event renders it anew.
    fn redact(&self, shown: &mut Shown, redaction: &Redaction) {
        if redaction.conversation != self.event.conversation {
            return;
        }
        if let Change::Sent(Sent { message }) = &self.event.change
            && redaction.position == self.event.position
            && redaction.epoch == self.epoch
        {
            let message = Arc::new(message.redacted(redaction.at));
            shown.redacted.get_or_insert(Sent { message }.into());
        }
        self.forget_answers(shown);
    }

    fn forget_answers(&self, shown: &mut Shown) {
        for (.., cell) in shown.renders.drain(..) {
            self.memory.subtract(ANSWER_BYTES + cell.get().map_or(0, text_bytes));
        }
    }

    /// The place of the event in the log.
    pub fn place(&self) -> Place {
        Place { epoch: self.epoch, position: self.event.position, chain: self.event.chain }
    }

    /// The answer of the operation for this view of the event; `None` if nobody has rendered it yet.
    pub fn rendered(&self, operation: Fingerprint, view: View) -> Option<Rendered> {
        let shown = self.shown();
        if shown.is_lost {
            return None;
        }
        let (.., cell) = shown.renders.iter().find(|(o, v, _)| *o == operation && *v == view)?;
        cell.get().cloned()
    }

    /// Returns the answer of the operation for this view of the event. The first caller renders it with `render`, and
    /// all others get the same. If the first caller is dropped, the next one renders. Whoever calls after a redaction was
    /// applied does not get what was begun before it.
    ///
    /// # Errors
    /// The errors of `render`. Then nothing is kept, and the next caller renders.
    pub async fn render_once<E>(
        &self,
        operation: Fingerprint,
        view: View,
        render: impl Future<Output = Result<Rendered, E>>,
    ) -> Result<Rendered, E> {
        let render = async {
            let rendered = render.await?;
            self.memory.add(text_bytes(&rendered));
            Ok(rendered)
        };
        self.cell(operation, view).get_or_try_init(|| render).await.cloned()
    }

    fn cell(&self, operation: Fingerprint, view: View) -> Render {
        let Shown { renders, .. } = &mut *self.shown();
        let known = renders.iter().find(|(o, v, _)| *o == operation && *v == view);
        if let Some((_, _, cell)) = known {
            return Arc::clone(cell);
        }
        if renders.len() == MAX_ANSWERS {
            let (.., oldest) = renders.remove(0);
            self.memory.subtract(ANSWER_BYTES + oldest.get().map_or(0, text_bytes));
        }
        let cell = Render::default();
        renders.push((operation, view, Arc::clone(&cell)));
        self.memory.add(ANSWER_BYTES);
        cell
    }
}

fn text_bytes(rendered: &Rendered) -> usize {
    rendered.as_ref().map_or(0, Answer::bytes)
}

/// The memory that an event takes, with all that only it refers to.
pub(super) fn bytes_of(event: &Event) -> usize {
    let Record { users, message, data, .. } = event.change.record();
    let people = users.map_or(0, |users| size_of_val(&*users));
    let message = message.map_or(0, |message| size_of::<Message>() + message.bytes());
    size_of::<Event>() + people + message + data.map_or(0, |data| data.len())
}

/// An event as one subscriber sees it.
#[derive(Debug, Clone)]
pub struct VisibleEvent {
    /// The event, shared by all subscribers who may see it.
    pub shared: Arc<RenderedEvent>,
    /// The part of the event that this subscriber may see.
    pub view: View,
}
