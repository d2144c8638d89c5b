//! Digests of 32 bytes. Two digests are equal exactly when the digested values are equal. They are stored, so the input
//! of each digest never changes.

use sha2::{Digest, Sha256};

use super::{Metadata, Title, UserId};

/// A digest of a set of people. Order and repetition do not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct People(pub [u8; 32]);

impl People {
    /// The digest of these people.
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

/// A digest of a request to start a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Request(pub [u8; 32]);

impl Request {
    /// The digest of a request for a conversation of these people. A later addition must not change the digest of a
    /// request without it.
    pub fn new(
        people: People,
        title: Option<&Title>,
        is_distinct: bool,
        metadata: Option<&Metadata>,
    ) -> Self {
        let mut digest = Sha256::new();
        digest.update(people.0);
        digest.update([u8::from(is_distinct)]);
        // A title is never empty.
        digest.update(title.map_or("", Title::as_str));
        if let Some(metadata) = metadata {
            // A title has no such character.
            digest.update([0]);
            digest.update(metadata.as_str());
        }
        Self(digest.finalize().into())
    }
}
