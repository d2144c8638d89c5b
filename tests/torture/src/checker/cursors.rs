//! The place in the log that a cursor names. It is known when an event came with this cursor.

use std::collections::HashMap;

use super::{Evidence, Ledger};
use crate::history::DevicePast;
use crate::told::Told;

/// What is known of cursors. They are never taken apart.
pub(super) struct Cursors<'a> {
    positions: HashMap<&'a str, i64>,
}

impl<'a> Cursors<'a> {
    /// All that devices and fresh subscriptions were shown.
    pub(super) fn known(evidence: &'a Evidence, ledger: &Ledger<'_>) -> Self {
        let positions = shown(evidence, |_| true)
            .filter_map(|told| Some((told.cursor.as_str(), ledger.position(told)?)))
            .collect();
        Self { positions }
    }

    /// The position that a cursor names.
    pub(super) fn position(&self, cursor: &str) -> Option<i64> {
        self.positions.get(cursor).copied()
    }
}

/// A cursor names one position, and a position has one cursor, whoever is shown it and by which node.
pub(super) fn check(evidence: &Evidence, ledger: &Ledger<'_>) -> Result<(), String> {
    let mut positions: HashMap<&str, i64> = HashMap::new();
    let mut cursors: HashMap<i64, &str> = HashMap::new();
    // An event of another epoch had another cursor there.
    for told in shown(evidence, |device| !device.has_expired) {
        let (cursor, Some(position)) = (told.cursor.as_str(), ledger.position(told)) else { continue };
        let other = *positions.entry(cursor).or_insert(position);
        if other != position {
            return Err(format!("the cursor {cursor} was shown for {other} and for {position}"));
        }
        let other = *cursors.entry(position).or_insert(cursor);
        if other != cursor {
            return Err(format!("the position {position} was shown as {other} and as {cursor}"));
        }
    }
    Ok(())
}

fn shown(evidence: &Evidence, is_asked: fn(&DevicePast) -> bool) -> impl Iterator<Item = &Told> {
    let devices = evidence.past.devices.iter().filter(move |device| is_asked(device));
    devices.flat_map(|device| &device.told).chain(evidence.fresh.iter().flat_map(|fresh| &fresh.told))
}
