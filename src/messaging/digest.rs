//! Values of 32 bytes that stand for larger ones: two are equal just when what they stand for is. They are stored, so
//! what goes into them never changes.

use sha2::{Digest, Sha256};

use super::{Title, UserId};

/// Stands for a set of people, in whatever order they are named, and however often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct People(pub [u8; 32]);

impl People {
    /// These people.
    pub fn of(users: impl IntoIterator<Item = UserId>) -> Self {
        let mut users: Vec<UserId> = users.into_iter().collect();
        users.sort_unstable();
        users.dedup();
        let mut digest = Sha256::new();
        for user in users {
            digest.update(user.0.as_bytes());
        }
        Self(digest.finalize().into())
    }
}

/// Stands for what was asked for when a conversation was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Request(pub [u8; 32]);

impl Request {
    /// A conversation of these people. What is added here later has to leave the value of requests without it as it is.
    pub fn new(people: People, title: Option<&Title>, is_distinct: bool) -> Self {
        let mut digest = Sha256::new();
        digest.update(people.0);
        digest.update([u8::from(is_distinct)]);
        // A title is never empty.
        digest.update(title.map_or("", Title::as_str));
        Self(digest.finalize().into())
    }
}
