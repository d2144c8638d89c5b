//! The phase of a round, which tasks can wait for.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// What goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// People act, and things break.
    Acting,
    /// Nothing breaks any more; what is under way is brought to an end, and everyone catches up.
    Quiet,
    /// Devices are put away.
    Over,
}

/// Sees how far the round has come.
#[derive(Debug, Clone)]
pub(crate) struct Phases(watch::Receiver<Phase>);

impl Phases {
    /// The phases of a round, which begins with the first.
    pub(crate) fn begin() -> (watch::Sender<Phase>, Self) {
        let (sender, receiver) = watch::channel(Phase::Acting);
        (sender, Self(receiver))
    }

    /// The phase now. A round that was given up is over.
    pub(crate) fn now(&self) -> Phase {
        if self.0.has_changed().is_err() { Phase::Over } else { *self.0.borrow() }
    }

    /// Returns once this phase, or a later one, has come.
    pub(crate) async fn reach(&mut self, phase: Phase) {
        // When the sender is gone, the round was given up.
        let _ = self.0.wait_for(|now| *now >= phase).await;
    }

    /// Waits, but not beyond the phase that goes on.
    pub(crate) async fn sleep(&mut self, time: Duration) {
        let now = self.now();
        if now != Phase::Over {
            // This waits for the time to be over.
            let _ = timeout(time, self.0.wait_for(|later| *later > now)).await;
        }
    }
}
