//! The feed within one process: a channel for each listener.

use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;

use super::{Feed, LogNotification};

/// Notifications that may wait for one listener. Each stands for a batch, so a listener may be seconds late.
const QUEUE_NOTIFICATIONS: usize = 1_024;

/// Carries notifications within this process.
#[derive(Debug, Default)]
pub struct InProcess {
    listeners: Mutex<Vec<mpsc::Sender<LogNotification>>>,
}

impl Feed for InProcess {
    fn publish(&self, notification: LogNotification) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| match listener.try_send(notification.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                tracing::warn!("a listener is late and misses a notification; it reads the log instead");
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        });
    }

    fn listen(&self) -> mpsc::Receiver<LogNotification> {
        let (listener, notifications) = mpsc::channel(QUEUE_NOTIFICATIONS);
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
        notifications
    }
}
