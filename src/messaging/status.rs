//! How far a message has come.

/// Where a message stands. Ordered: it only ever moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Stored.
    Sent,
    /// Every recipient has received it.
    Delivered,
    /// Every recipient has read it.
    Read,
}

/// How many recipients a message has, and how many of them have received and read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// The participants whose interval holds the message, its sender aside.
    pub recipients: u32,
    /// Those whose delivered mark has reached it.
    pub delivered: u32,
    /// Those whose read mark has reached it.
    pub read: u32,
}

impl Counts {
    /// The status that all recipients have reached; with no recipients there is nobody to reach.
    pub fn status(&self) -> Status {
        match self.recipients {
            0 => Status::Sent,
            n if self.read == n => Status::Read,
            n if self.delivered == n => Status::Delivered,
            _ => Status::Sent,
        }
    }
}
