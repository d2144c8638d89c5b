//! A log that went back counts as two logs: the lost one and the one that continues. Each is checked against all rules,
//! with the answers and the devices that belong to it.

use std::borrow::Cow;

use super::answered::Seen;
use super::cursors::Cursors;
use super::lossless::follower;
use super::{Evidence, Ledger};
use crate::act::{Act, Answer, Outcome};
use crate::history::{Call, DevicePast, Turn};
use crate::record::Log;

/// What is known of each log: of the one that is lost, if there is one, and of the one that goes on.
pub(super) fn of(evidence: &Evidence) -> Vec<Cow<'_, Evidence>> {
    let turn = evidence.past.turn.as_ref();
    match turn.and_then(|turn| Some((turn, turn.lost.clone()?))) {
        Some((turn, log)) => split(evidence, turn, log).map(Cow::Owned).into(),
        None => vec![Cow::Borrowed(evidence)],
    }
}

fn split(evidence: &Evidence, turn: &Turn, log: Log) -> [Evidence; 2] {
    let Evidence { users, small_conversation, .. } = evidence.clone();
    let mut lost = Evidence { log, users, small_conversation, ..Evidence::default() };
    let mut kept = evidence.clone();
    let ledger = Ledger::of(&lost.log, lost.small_conversation);
    let known = Cursors::known(evidence, &ledger);
    let kept_ledger = Ledger::of(&evidence.log, evidence.small_conversation);
    let kept_known = Cursors::known(evidence, &kept_ledger);
    let (mut of_lost, mut of_kept) = (Vec::new(), Vec::new());
    for device in &evidence.past.devices {
        let early = until(device, turn.since);
        let fits_lost = || follower(&early, &known, &ledger).compare(&ledger).is_ok();
        let fits_kept = || follower(device, &kept_known, &kept_ledger).compare(&kept_ledger).is_ok();
        // A device without an error about the log belongs to the log that continues, and to no other.
        if device.has_expired && (fits_lost() || !fits_kept()) {
            of_lost.push(early);
        } else {
            of_kept.push(device.clone());
        }
    }
    let calls = evidence.past.calls.iter().map(|call| {
        divide(call, turn, |answer| {
            let seen = Seen { users: &evidence.users, ledger: &ledger, cursors: &known, call, answer };
            seen.check().is_ok()
        })
    });
    let (calls_of_lost, calls_of_kept): (Vec<_>, Vec<_>) = calls.unzip();
    (lost.past.devices, kept.past.devices) = (of_lost, of_kept);
    lost.past.calls = calls_of_lost.into_iter().flatten().collect();
    kept.past.calls = calls_of_kept.into_iter().flatten().collect();
    [lost, kept]
}

/// A device, with what it was told up to a time. Between the moment in which the log goes back and the one in which a
/// node notices, events of the lost log are shown with what they lead to in the other one: the promise is that the
/// device is told to begin anew then.
fn until(device: &DevicePast, time: u64) -> DevicePast {
    let early =
        device.told.iter().cloned().zip(device.times.iter().copied()).filter(|(_, told)| *told <= time);
    let (told, times) = early.unzip();
    DevicePast { told, times, ..device.clone() }
}

/// What a call is to the log that is lost, and to the one that goes on. What it may have been answered is looked for in
/// the former.
fn divide(call: &Call, turn: &Turn, is_in_lost: impl Fn(&Answer) -> bool) -> (Option<Call>, Option<Call>) {
    let unknown = || {
        let ended = call.ended.as_ref().map(|(ended, _)| (*ended, Outcome::Unknown("of another log".into())));
        Some(Call { ended, ..call.clone() })
    };
    let ended = call.ended.as_ref().map_or(u64::MAX, |(ended, _)| *ended);
    if call.began > turn.until {
        return (None, Some(call.clone()));
    }
    if ended < turn.kept {
        return (Some(call.clone()), Some(call.clone()));
    }
    if ended < turn.since {
        // A refusal belongs to one log only.
        let was_refused = matches!(call.outcome(), Some(Outcome::Refused(_)));
        return (Some(call.clone()), unknown().filter(|_| !was_refused));
    }
    // The request was on its way when the log went back. Either log may have answered it.
    match call.outcome() {
        Some(Outcome::Answered(answer)) if !matches!(call.act, Act::Leave { .. }) => {
            if is_in_lost(answer) {
                (Some(call.clone()), unknown())
            } else {
                (unknown(), Some(call.clone()))
            }
        }
        _ => (unknown(), unknown()),
    }
}
