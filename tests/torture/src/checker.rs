//! The rules that herald must keep. They are pure functions over the database at the end and over what clients
//! received. They are written from the README, and share no code with herald.

mod answered;
mod compare;
mod converged;
mod cursors;
mod eras;
mod errors;
mod gapless;
mod keys;
mod ledger;
mod lossless;
mod marks;
mod nodes;
mod once;
mod private;
mod sessions;
#[cfg(test)]
mod tests;
mod times;

use std::collections::HashMap;

pub(crate) use ledger::Ledger;

use crate::history::Past;
use crate::record::Log;
use crate::told::Told;

/// What the rules are held against.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    pub(crate) past: Past,
    pub(crate) log: Log,
    /// The ids of people, by handle.
    pub(crate) users: HashMap<String, String>,
    /// What subscriptions of their own were told at the end, of everything from the beginning.
    pub(crate) fresh: Vec<Fresh>,
    /// What the nodes said at the end of who received and read what.
    pub(crate) receipts: Vec<Receipt>,
    /// What became of sessions that were ended.
    pub(crate) sessions: Vec<Probe>,
    /// Participants up to which everyone is told of every mark.
    pub(crate) small_conversation: usize,
}

/// Everything that one person is told by one node from a position on.
#[derive(Debug, Clone)]
pub(crate) struct Fresh {
    pub(crate) node: usize,
    pub(crate) user: String,
    /// The position from which it follows.
    pub(crate) after: i64,
    pub(crate) told: Vec<Told>,
}

/// When a message reached somebody, as a node says. Microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) node: usize,
    pub(crate) message: String,
    pub(crate) sent_at: i64,
    pub(crate) delivered_at: Option<i64>,
    pub(crate) read_at: Option<i64>,
}

/// What became of a session at one node after it was ended at another.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    pub(crate) handle: String,
    pub(crate) ended_at: usize,
    pub(crate) node: usize,
    /// Milliseconds until its token was refused; absent when it was not.
    pub(crate) refused_after: Option<u64>,
    /// The code with which its socket was closed, and after how many milliseconds; absent when it was not.
    pub(crate) closed: Option<(Option<u16>, u64)>,
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) rule: &'static str,
    pub(crate) sentence: &'static str,
    pub(crate) details: String,
}

struct Rule {
    name: &'static str,
    sentence: &'static str,
    check: fn(&Evidence, &Ledger<'_>) -> Result<(), String>,
}

/// In the order in which they are checked: what a later rule looks at is only worth looking at when the
/// earlier ones hold.
const RULES: [Rule; 12] = [
    Rule {
        name: "gapless",
        sentence: "The log has the positions 1, 2, 3, … to its head, each with what could happen.",
        check: gapless::check,
    },
    Rule {
        name: "times-are-the-order",
        sentence: "Times strictly increase with positions: sent, then received, then read, whatever the clocks do.",
        check: times::check,
    },
    Rule {
        name: "answered-is-durable",
        sentence: "What was answered is in the log, exactly once.",
        check: answered::check,
    },
    Rule {
        name: "unknown-is-at-most-once",
        sentence: "What may have happened happened once or not at all, and what was refused did not.",
        check: once::check,
    },
    Rule {
        name: "one-key-one-message",
        sentence: "All answers to one idempotency key name one message.",
        check: keys::check,
    },
    Rule {
        name: "marks-advance",
        sentence: "Marks only move forward, each from where the last one ended; nobody marks their own.",
        check: marks::check,
    },
    Rule {
        name: "private-is-private",
        sentence: "Once it is answered that somebody does not share their marks, nobody is told of a later one.",
        check: private::check,
    },
    Rule {
        name: "lossless",
        sentence: "A device is told everything it may see after its cursor, in order, once, but not its own.",
        check: lossless::check,
    },
    Rule {
        name: "converged",
        sentence: "Once nothing is broken any more, every device comes to the end of the log.",
        check: converged::check,
    },
    Rule {
        name: "same-on-every-node",
        sentence: "Whoever follows from the beginning is told the same by every node.",
        check: nodes::check,
    },
    Rule {
        name: "only-known-errors",
        sentence: "Whatever breaks, herald answers as documented, and refuses nothing without a reason.",
        check: errors::check,
    },
    Rule {
        name: "ended-sessions",
        sentence: "A session that was ended at one node is over at every node within a second.",
        check: sessions::check,
    },
];

/// The first rule that was broken, if any was.
pub(crate) fn check(evidence: &Evidence) -> Option<Broken> {
    eras::of(evidence).iter().find_map(|evidence| {
        let ledger = Ledger::of(&evidence.log, evidence.small_conversation);
        RULES.iter().find_map(|rule| {
            let details = (rule.check)(evidence, &ledger).err()?;
            Some(Broken { rule: rule.name, sentence: rule.sentence, details })
        })
    })
}

/// Whether a device was told something that it should not have been told, which nothing makes good.
pub(crate) fn has_told_wrongly(evidence: &Evidence) -> bool {
    let mut evidence = evidence.clone();
    evidence.past.devices =
        evidence.past.devices.iter().filter(|device| !evidence.past.must_expire(device)).cloned().collect();
    eras::of(&evidence).iter().any(|evidence| {
        let ledger = Ledger::of(&evidence.log, evidence.small_conversation);
        lossless::check(evidence, &ledger).is_err()
    })
}

/// The devices that have not been told all that they may see yet, each with how much is missing.
pub(crate) fn behind(evidence: &Evidence) -> Vec<String> {
    let ledger = Ledger::of(&evidence.log, evidence.small_conversation);
    converged::behind(evidence, &ledger)
}

/// How many events somebody may see after a position.
pub(crate) fn visible(ledger: &Ledger<'_>, user: &str, after: i64) -> usize {
    let everything = crate::history::Scope::Everything;
    compare::expected(ledger, user, None, &everything, after).len()
}

/// The first place in the log that a device was told of which follows it as it is now: its cursor, and its position.
pub(crate) fn earliest<'a>(evidence: &'a Evidence, ledger: &Ledger<'_>) -> Option<(&'a str, i64)> {
    let devices = evidence.past.devices.iter().filter(|device| !device.has_expired);
    let told = devices.filter_map(|device| device.told.first());
    told.filter_map(|told| Some((told.cursor.as_str(), ledger.position(told)?))).min_by_key(|place| place.1)
}
