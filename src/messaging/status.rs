//! How far a message has come, and who tells.

use super::Mark;

/// How far a message has come with all of its recipients. It only moves forward, in the order of the variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// It is stored.
    Sent,
    /// Every recipient has received it.
    Delivered,
    /// Every recipient has read it.
    Read,
}

/// What a user lets others know of what they receive and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharing {
    /// Whether others are told of what they receive.
    pub delivered: bool,
    /// Whether others are told of what they read. Reading tells of receiving, so this counts only beside `delivered`.
    pub read: bool,
}

impl Default for Sharing {
    /// Everything is shared, as for those who never chose.
    fn default() -> Self {
        Self { delivered: true, read: true }
    }
}

impl Sharing {
    /// Whether others are told of these marks.
    pub fn tells(self, mark: Mark) -> bool {
        match mark {
            Mark::Delivered => self.delivered,
            Mark::Read => self.delivered && self.read,
        }
    }
}

/// How many recipients a message has, and how many of them tell that they have received and read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// The participants whose interval holds the message, without its sender.
    pub recipients: u32,
    /// The recipients of whom the sender is told that they received it, or will be.
    pub sharing: u32,
    /// The recipients who told that they received it.
    pub delivered: u32,
    /// The recipients who told that they read it.
    pub read: u32,
}

impl Counts {
    /// The same for a viewer to whom only such marks are shown as they share of their own.
    #[must_use]
    pub fn shown_to_who_shares(self, own: Sharing) -> Self {
        match (own.tells(Mark::Delivered), own.tells(Mark::Read)) {
            (_, true) => self,
            (true, false) => Self { read: 0, ..self },
            (false, false) => Self { recipients: self.recipients, ..Self::default() },
        }
    }

    /// The status that all recipients who share theirs have reached. Where nobody does it stays [`Status::Sent`].
    pub fn status(&self) -> Status {
        match self.sharing {
            0 => Status::Sent,
            n if self.read == n => Status::Read,
            n if self.delivered == n => Status::Delivered,
            _ => Status::Sent,
        }
    }
}
