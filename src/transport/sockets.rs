//! Counts the WebSockets and the subscriptions over HTTP that each user and each service have open on this node.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::rates::Owner;

/// The counts of all users and services. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Sockets {
    max_per_user: usize,
    // This is a `std` mutex because nobody holds it across an await.
    open: Arc<Mutex<HashMap<Owner, usize>>>,
}

/// A place among the sockets of a user or a service. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct Slot {
    owner: Owner,
    sockets: Sockets,
}

impl Sockets {
    pub(super) fn new(max_per_user: usize) -> Self {
        Self { max_per_user, open: Arc::default() }
    }

    /// Takes a place for a socket. `None` means that they have no place left.
    pub(super) fn take(&self, owner: Owner) -> Option<Slot> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(owner).or_default();
        if *count >= self.max_per_user {
            return None;
        }
        *count += 1;
        Some(Slot { owner, sockets: self.clone() })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.sockets.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.owner);
            }
        }
    }
}
