//! Faults that can be planted in herald, to see that the torture test finds them: only in a build with the feature
//! `sabotage`, and only the one that `HERALD_SABOTAGE` names. In every other build there is nothing here.
//!
//! Each is a mistake that somebody could make. What never lives here: anything that makes the mistake.

/// A mistake, and what should hold instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Commands are decided on facts from before the log's head was locked.
    FactsBeforeLock,
    /// Commands are answered before they are committed.
    AnswerBeforeCommit,
    /// Idempotency keys are not looked at.
    ForgetKeys,
    /// The first event after a subscriber joined the hub is left out.
    DropAtSeam,
    /// Events for which a subscriber's queue has no room are left out.
    DropOnOverflow,
    /// A subscriber that fell behind is told the last event again.
    RepeatAfterOverflow,
    /// What a connection caused is told to it when it is replayed.
    ForgetOriginOnReplay,
    /// News are believed to be complete and in order.
    TrustFeed,
    /// Who has left a conversation is told what happens there until their subscription ends.
    ForgetLeaving,
    /// Sessions that other nodes have ended are not looked for.
    ForgetEndedSessions,
    /// The time of an event is what the clock of the node says.
    NodeClock,
    /// A log that went back is taken for the one that was known.
    BelieveAnyLog,
    /// A cursor is believed by its number.
    BelieveAnyCursor,
    /// Ended sessions are counted on where the count went back.
    CountEndedSessionsOn,
}

/// Whether this mistake is to be made.
#[cfg(not(feature = "sabotage"))]
pub const fn is_planted(_: Fault) -> bool {
    false
}

/// Whether this mistake is to be made.
#[cfg(feature = "sabotage")]
pub fn is_planted(fault: Fault) -> bool {
    static PLANTED: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| std::env::var("HERALD_SABOTAGE").ok());
    PLANTED.as_ref().is_some_and(|planted| *planted == format!("{fault:?}"))
}
