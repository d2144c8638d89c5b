//! Every device has reached the end of the log.

use super::cursors::Cursors;
use super::lossless::{described, follower};
use super::{Evidence, Ledger};

/// Devices that are named when several are behind.
const NAMED: usize = 3;

pub(super) fn check(evidence: &Evidence, ledger: &Ledger<'_>) -> Result<(), String> {
    let behind = behind(evidence, ledger);
    if behind.is_empty() {
        return Ok(());
    }
    let named = &behind[..behind.len().min(NAMED)];
    Err(format!("{} devices have not caught up:\n{}", behind.len(), named.join("\n")))
}

/// The devices that are still to be told something.
pub(super) fn behind(evidence: &Evidence, ledger: &Ledger<'_>) -> Vec<String> {
    let known = Cursors::known(evidence, ledger);
    let devices = evidence.past.devices.iter().filter(|device| !device.has_expired);
    let devices = devices.filter_map(|device| {
        if evidence.past.must_expire(device) {
            return Some(format!("not told that the log went back\n{}", described(device)));
        }
        // A device that received a wrong event never catches up. It is reported for the wrong event.
        let missing = follower(device, &known, ledger).compare(ledger).ok()?;
        let first = missing.first()?;
        let event = ledger.event(*first);
        Some(format!("missing: {} events, first {event:?}\n{}", missing.len(), described(device)))
    });
    devices.collect()
}
