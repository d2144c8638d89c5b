//! Counts the memory that many things take together, so that whoever keeps them knows when it is too much.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes that are in use. A clone counts in the same sum.
#[derive(Debug, Clone, Default)]
pub(super) struct MemoryUse(Arc<AtomicUsize>);

impl MemoryUse {
    /// The sum of all shares that still live.
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Begins a share of the sum.
    pub(super) fn share(&self, bytes: usize) -> MemoryShare {
        let share = MemoryShare { sum: self.clone(), own: AtomicUsize::new(0) };
        share.add(bytes);
        share
    }
}

/// What one thing adds to the sum, for as long as it lives.
#[derive(Debug)]
pub(super) struct MemoryShare {
    sum: MemoryUse,
    own: AtomicUsize,
}

impl MemoryShare {
    /// The sum that it is a share of.
    pub(super) fn sum(&self) -> &MemoryUse {
        &self.sum
    }

    pub(super) fn add(&self, bytes: usize) {
        self.own.fetch_add(bytes, Ordering::Relaxed);
        self.sum.0.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn subtract(&self, bytes: usize) {
        self.own.fetch_sub(bytes, Ordering::Relaxed);
        self.sum.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.sum.0.fetch_sub(*self.own.get_mut(), Ordering::Relaxed);
    }
}
