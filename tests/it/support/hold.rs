//! Holds whoever has just run a statement, so that a test can have other things happen first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc as blocking};

use herald::log::Observer;
use tokio::sync::mpsc;

/// Holds the first who runs a certain statement. The test needs several threads.
pub(crate) struct Hold {
    armed: Arc<AtomicBool>,
    held: mpsc::UnboundedReceiver<()>,
    go_on: blocking::Sender<()>,
}

impl Hold {
    /// A hold on statements with this text in them, and the observer that sees to it.
    pub(crate) fn on(text: &'static str) -> (Self, Observer) {
        let (holding, held) = mpsc::unbounded_channel();
        let (go_on, gone_on) = blocking::channel();
        let (armed, gone_on) = (Arc::new(AtomicBool::new(false)), Mutex::new(gone_on));
        let is_armed = Arc::clone(&armed);
        let observer = Observer(Arc::new(move |sql| {
            if sql.contains(text) && is_armed.swap(false, Ordering::SeqCst) {
                holding.send(()).unwrap();
                // The other tasks of this thread go on in another one.
                tokio::task::block_in_place(|| gone_on.lock().unwrap().recv().unwrap());
            }
        }));
        (Self { armed, held, go_on }, observer)
    }

    /// Holds the next one.
    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Waits until somebody is held.
    pub(crate) async fn held(&mut self) {
        self.held.recv().await.unwrap();
    }

    /// Has them go on.
    pub(crate) fn let_go(&self) {
        self.go_on.send(()).unwrap();
    }
}
