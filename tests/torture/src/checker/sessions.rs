//! Ended sessions stay ended, at every node.

use super::{Evidence, Ledger, Probe};

/// Milliseconds within which every node must know: the interval at which a node polls, and some for a busy machine.
const MAX_DELAY_MILLIS: u64 = 1_500;

/// The code with which the sockets of an ended session are closed.
const FORBIDDEN: u16 = 4403;

pub(super) fn check(evidence: &Evidence, _: &Ledger<'_>) -> Result<(), String> {
    for Probe { handle, ended_at, node, refused_after, closed } in &evidence.sessions {
        let whose = format!("a session of {handle}, ended at node {ended_at}, at node {node}");
        if refused_after.is_none_or(|after| after > MAX_DELAY_MILLIS) {
            return Err(format!("{whose}: not refused within {MAX_DELAY_MILLIS} ms: {refused_after:?}"));
        }
        if closed.is_none_or(|(code, after)| code != Some(FORBIDDEN) || after > MAX_DELAY_MILLIS) {
            return Err(format!(
                "{whose}: not closed with {FORBIDDEN} within {MAX_DELAY_MILLIS} ms: {closed:?}"
            ));
        }
    }
    Ok(())
}
