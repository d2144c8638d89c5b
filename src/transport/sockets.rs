//! How many sockets each user has open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::messaging::UserId;

/// Counts the open sockets of each user.
#[derive(Debug, Clone)]
pub(crate) struct Sockets {
    most: usize,
    // A `std` mutex: held for one look, never across an await.
    open: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// One open socket. It is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    user: UserId,
    sockets: Sockets,
}

impl Sockets {
    pub(super) fn new(most: usize) -> Self {
        Self { most, open: Arc::default() }
    }

    /// Counts a socket in; `None` when the user has as many as they may.
    pub(super) fn take(&self, user: UserId) -> Option<Slot> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(user).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Slot { user, sockets: self.clone() })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.sockets.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}
