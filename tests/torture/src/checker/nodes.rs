//! Every node delivers the same events and receipts.

use super::compare::Follower;
use super::{Evidence, Ledger};
use crate::history::Scope;

pub(super) fn check(evidence: &Evidence, ledger: &Ledger<'_>) -> Result<(), String> {
    for fresh in &evidence.fresh {
        let follower = Follower {
            user: &fresh.user,
            connection: None,
            scope: &Scope::Everything,
            after: fresh.after,
            told: &fresh.told,
        };
        let who = || format!("node {} to {}", fresh.node, fresh.user);
        let missing = follower.compare(ledger).map_err(|why| format!("{}: {why}", who()))?;
        if let Some(first) = missing.first() {
            let (count, event) = (missing.len(), ledger.event(*first));
            return Err(format!("{}: {count} events were not told, first {event:?}", who()));
        }
    }
    Ok(())
}
