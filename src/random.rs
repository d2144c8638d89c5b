//! Randomness from the operating system, and the ids drawn from it. The pure core is handed what it needs.

use uuid::Uuid;

/// `N` bytes that nobody can guess.
///
/// # Panics
/// When the operating system has no randomness to give: nothing here would be safe then.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

/// A new id. Later ones sort after earlier ones (UUID version 7), which keeps index pages warm.
pub fn id() -> Uuid {
    Uuid::now_v7()
}
