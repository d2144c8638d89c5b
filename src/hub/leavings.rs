//! Who has left a conversation since an event was queued or read. Its view may be too wide by then. What never lives
//! here: what they may see.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::messaging::{Position, UserId};

/// Users who are known by name. Of those who left before them it is only known that somebody did.
const MAX_USERS: usize = 4_096;

/// The leavings that this node has applied. A clone shares them.
#[derive(Debug, Clone, Default)]
pub(super) struct Leavings(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The position of the newest leaving. It is read for each event of each subscription, so it takes no lock.
    newest: AtomicI64,
    // A `std` mutex, because it is locked only to look a user up and never across an await.
    users: Mutex<Users>,
}

#[derive(Debug, Default)]
struct Users {
    /// Where each of them left last.
    left: HashMap<UserId, Position>,
    /// Anybody may have left up to here.
    forgotten: i64,
}

impl Leavings {
    /// Notes that these users leave with the event at a position.
    pub(super) fn note(&self, users: &[UserId], position: Position) {
        let mut known = self.users();
        if known.left.len() + users.len() > MAX_USERS {
            *known = Users { left: HashMap::new(), forgotten: self.newest().0 };
        }
        known.left.extend(users.iter().map(|user| (*user, position)));
        // The users are noted before it.
        self.0.newest.store(position.0, Ordering::Release);
    }

    /// Forgets everybody, since the log goes on from this position, which may be lower than before.
    pub(super) fn begin_after(&self, position: Position) {
        *self.users() = Users { left: HashMap::new(), forgotten: position.0 };
        self.0.newest.store(position.0, Ordering::Release);
    }

    /// The position of the newest leaving.
    pub(super) fn newest(&self) -> Position {
        Position(self.0.newest.load(Ordering::Acquire))
    }

    /// Whether the user may have left a conversation after a position.
    pub(super) fn may_have_left(&self, user: UserId, after: Position) -> bool {
        if self.newest() <= after {
            return false;
        }
        let known = self.users();
        known.forgotten > after.0 || known.left.get(&user).is_some_and(|left| *left > after)
    }

    fn users(&self) -> MutexGuard<'_, Users> {
        self.0.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn user(number: usize) -> UserId {
        UserId(Uuid::from_u128(number as u128))
    }

    #[test]
    fn only_who_left_afterwards_is_in_doubt() {
        let leavings = Leavings::default();
        leavings.note(&[user(1)], Position(5));
        leavings.note(&[user(2)], Position(9));
        let in_doubt = |number, after| leavings.may_have_left(user(number), Position(after));
        assert_eq!(
            [in_doubt(1, 4), in_doubt(1, 5), in_doubt(2, 8), in_doubt(2, 9), in_doubt(3, 0)],
            [true, false, true, false, false]
        );
    }

    #[test]
    fn of_whom_is_forgotten_anybody_may_have_left() {
        let leavings = Leavings::default();
        for (number, position) in (0..=MAX_USERS).zip(1..) {
            leavings.note(&[user(number)], Position(position));
        }
        let newest = leavings.newest();
        let before = Position(newest.0 - 1);
        assert!(leavings.may_have_left(user(7), Position(1)));
        assert!(!leavings.may_have_left(user(7), before));
        assert!(leavings.may_have_left(user(MAX_USERS), before));
    }

    #[test]
    fn a_log_that_goes_back_begins_anew() {
        let leavings = Leavings::default();
        leavings.note(&[user(1)], Position(1_000));
        leavings.begin_after(Position(900));
        assert_eq!(leavings.newest(), Position(900));
        assert!(!leavings.may_have_left(user(1), Position(900)));
        leavings.note(&[user(1)], Position(950));
        assert!(leavings.may_have_left(user(1), Position(949)));
    }
}
