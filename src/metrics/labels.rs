//! What the counters with a label tell apart.

/// The outcome of a command, as metrics count it.
#[derive(Debug, Clone, Copy)]
pub enum Outcome {
    /// The command is executed and durable.
    Committed,
    /// The rules forbid it.
    Refused,
    /// The database failed. The command may have been executed nevertheless.
    Failed,
    /// The queue of commands was full.
    Overloaded,
}

impl Outcome {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Overloaded => "overloaded",
        }
    }
}

/// Where a replay's events came from.
#[derive(Debug, Clone, Copy)]
pub enum ReplayedFrom {
    /// The hub still had them.
    Memory,
    /// They were read from the log.
    Log,
}

impl ReplayedFrom {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Log => "log",
        }
    }
}

/// Why events were read from the log.
#[derive(Debug, Clone, Copy)]
pub enum Reason {
    /// The notifications left an event out.
    Gap,
    /// A poll of the log found an event that no notification had brought yet.
    Silence,
    /// A subscriber was behind.
    Replay,
}

impl Reason {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Silence => "silence",
            Self::Replay => "replay",
        }
    }
}

/// What became of a call to a webhook.
#[derive(Debug, Clone, Copy)]
pub enum Call {
    /// The receiver accepted it.
    Accepted,
    /// An attempt failed. It is tried again, unless it was the last one.
    Failed,
    /// The last attempt failed, so that it is given up.
    GivenUp,
    /// The receiver wants no calls any more.
    Gone,
}

impl Call {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
            Self::Gone => "gone",
        }
    }
}
