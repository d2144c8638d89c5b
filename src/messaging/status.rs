//! How far a message has come.

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

/// How many recipients a message has, and how many of them have received and read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// The participants whose interval holds the message, without its sender.
    pub recipients: u32,
    /// The recipients whose delivered mark has reached it.
    pub delivered: u32,
    /// The recipients whose read mark has reached it.
    pub read: u32,
}

impl Counts {
    /// The status that all recipients have reached. Without recipients it stays [`Status::Sent`].
    pub fn status(&self) -> Status {
        match self.recipients {
            0 => Status::Sent,
            n if self.read == n => Status::Read,
            n if self.delivered == n => Status::Delivered,
            _ => Status::Sent,
        }
    }
}
