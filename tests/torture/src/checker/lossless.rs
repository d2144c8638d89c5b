//! Every device has received all events that it may see, up to its last one.

use super::compare::Follower;
use super::cursors::{self, Cursors};
use super::{Evidence, Ledger};
use crate::history::{DevicePast, Start};

/// Lines of a device's connections that are shown.
const SHOWN: usize = 25;

pub(super) fn check(evidence: &Evidence, ledger: &Ledger<'_>) -> Result<(), String> {
    let known = Cursors::known(evidence, ledger);
    for device in &evidence.past.devices {
        follower(device, &known, ledger)
            .compare(ledger)
            .map_err(|difference| format!("{difference}\n{}", described(device)))?;
    }
    cursors::check(evidence, ledger)
}

/// The device as one that follows from the position that its first cursor names.
pub(super) fn follower<'a>(device: &'a DevicePast, known: &Cursors<'_>, ledger: &Ledger<'_>) -> Follower<'a> {
    let after = match &device.start {
        Start::Beginning => 0,
        Start::Nowhere => ledger.log.head,
        // When the place of its first cursor is unknown, it begins with the first event that it received.
        Start::After(cursor) => known.position(cursor).unwrap_or_else(|| {
            let first = device.told.first().and_then(|first| ledger.position(first));
            first.map_or(ledger.log.head, |first| first - 1)
        }),
    };
    Follower {
        user: &device.user,
        connection: Some(&device.connection),
        scope: &device.scope,
        after,
        told: &device.told,
    }
}

/// Who a device is, and how its last connections went.
pub(super) fn described(device: &DevicePast) -> String {
    let notes = &device.notes[device.notes.len().saturating_sub(SHOWN)..];
    let notes: Vec<String> = notes.iter().map(|(time, note)| format!("  {time} ms: {note}")).collect();
    format!(
        "device {} of {}, {:?}, {:?}, told {} events:\n{}",
        device.connection,
        device.user,
        device.scope,
        device.start,
        device.told.len(),
        notes.join("\n")
    )
}
