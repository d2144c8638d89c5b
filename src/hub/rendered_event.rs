//! An event, and the answers that were rendered from it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::messaging::{Epoch, Event, Place, View};

/// Identifies an operation. Two are equal only if document, variables and operation name are equal.
pub type Fingerprint = [u8; 16];

/// The outcome of one rendering. `None` when the answer depends on the viewer, so that no other viewer may get it.
pub type Rendered = Option<Arc<str>>;

/// A rendering that the first caller does and the others share.
type Render = Arc<OnceCell<Rendered>>;

/// An event with the answers that were rendered from it so far.
#[derive(Debug)]
pub struct RenderedEvent {
    /// The event itself.
    pub event: Arc<Event>,
    /// The epoch of the log in which the event is delivered.
    epoch: Epoch,
    // A handful of operations render one event, so a list is faster than a map. This is a `std` mutex, because it is
    // locked only while the list is searched and never across an await.
    renders: Mutex<Vec<(Fingerprint, View, Render)>>,
}

impl RenderedEvent {
    /// An event that nobody has rendered yet.
    pub fn new(event: Arc<Event>, epoch: Epoch) -> Self {
        Self { event, epoch, renders: Mutex::default() }
    }

    /// The place of the event in the log.
    pub fn place(&self) -> Place {
        Place { epoch: self.epoch, position: self.event.position, chain: self.event.chain }
    }

    /// The answer of the operation for this view of the event; `None` if nobody has rendered it yet.
    pub fn rendered(&self, operation: Fingerprint, view: View) -> Option<Rendered> {
        self.cell(operation, view).get().cloned()
    }

    /// Returns the answer of the operation for this view of the event. The first caller renders it with `render`, and
    /// all others get the same bytes. If the first caller is dropped, the next one renders.
    ///
    /// # Errors
    /// The errors of `render`. Then nothing is kept, and the next caller renders.
    pub async fn render_once<E>(
        &self,
        operation: Fingerprint,
        view: View,
        render: impl Future<Output = Result<Rendered, E>>,
    ) -> Result<Rendered, E> {
        self.cell(operation, view).get_or_try_init(|| render).await.cloned()
    }

    fn cell(&self, operation: Fingerprint, view: View) -> Render {
        let mut renders = self.renders.lock().unwrap_or_else(PoisonError::into_inner);
        let known = renders.iter().find(|(o, v, _)| *o == operation && *v == view);
        if let Some((_, _, cell)) = known {
            return Arc::clone(cell);
        }
        let cell = Render::default();
        renders.push((operation, view, Arc::clone(&cell)));
        cell
    }
}

/// An event as one subscriber sees it.
#[derive(Debug, Clone)]
pub struct VisibleEvent {
    /// The event, shared by all subscribers who may see it.
    pub shared: Arc<RenderedEvent>,
    /// The part of the event that this subscriber may see.
    pub view: View,
}
