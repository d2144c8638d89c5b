//! An event on its way out, and what it was rendered to.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::messaging::{Epoch, Event, Place, View};

/// Tells operations apart: equal only where document, variables and operation name are.
pub type Fingerprint = [u8; 16];

/// What one rendering came to; `None` when it depends on who looks, and so is nobody else's.
pub type Rendered = Option<Arc<str>>;

/// A rendering that is done once, by whoever asks first.
type Render = Arc<OnceCell<Rendered>>;

/// An event, with the answers that were rendered from it so far.
#[derive(Debug)]
pub struct RenderedEvent {
    /// What happened.
    pub event: Arc<Event>,
    /// The life of the log in which it is told.
    epoch: Epoch,
    // A handful of operations look at one event, so a list beats a map. This is a `std` mutex since it is
    // held for a look at the list and never across an await.
    renders: Mutex<Vec<(Fingerprint, View, Render)>>,
}

impl RenderedEvent {
    /// An event that nobody has rendered yet.
    pub fn new(event: Arc<Event>, epoch: Epoch) -> Self {
        Self { event, epoch, renders: Mutex::default() }
    }

    /// Its place in the log.
    pub fn place(&self) -> Place {
        Place { epoch: self.epoch, position: self.event.position, chain: self.event.chain }
    }

    /// What the operation gives to whoever has this view of the event, if somebody has rendered it.
    pub fn rendered(&self, operation: Fingerprint, view: View) -> Option<Rendered> {
        self.cell(operation, view).get().cloned()
    }

    /// The answer that the operation gives to whoever has this view of the event. The first to ask renders
    /// it with `render`, everyone else gets the same bytes; if the first gives up, the next one renders.
    ///
    /// # Errors
    /// Those of `render`; nothing is kept then, and the next one tries again.
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
    /// The event.
    pub shared: Arc<RenderedEvent>,
    /// How much of it.
    pub view: View,
}
