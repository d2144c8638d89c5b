//! The errors of refused and failed requests.

use std::collections::HashMap;

use super::{Evidence, Ledger};
use crate::act::{Act, Outcome};
use crate::history::Call;

pub(super) fn check(evidence: &Evidence, ledger: &Ledger<'_>) -> Result<(), String> {
    if let Some((time, what)) = evidence.past.strange.first() {
        return Err(format!("{what} (at {time} ms)"));
    }
    let known = Known::of(evidence);
    for call in &evidence.past.calls {
        let Some(Outcome::Refused(code)) = call.outcome() else { continue };
        let is_justified = match code.as_str() {
            "SENDER_CANNOT_MARK" => is_senders(call, ledger),
            "FORBIDDEN" => is_not_owners(call, ledger),
            "NOT_FOUND" => !known.must_find(call, ledger),
            _ => true,
        };
        if !is_justified {
            return Err(format!("there was no reason to refuse {call:?}"));
        }
    }
    Ok(())
}

fn is_senders(call: &Call, ledger: &Ledger<'_>) -> bool {
    match &call.act {
        Act::Mark { message, .. } => {
            ledger.message(message).is_some_and(|message| message.sender == call.user)
        }
        _ => false,
    }
}

/// Whether somebody did not own, at some time, the conversation from which they wanted to remove others.
fn is_not_owners(call: &Call, ledger: &Ledger<'_>) -> bool {
    match &call.act {
        Act::Remove { conversation, .. } | Act::Rename { conversation, as_owner: true, .. } => {
            was_member(conversation, &call.user, ledger)
        }
        Act::Redact { message } => ledger.message(message).is_some_and(|message| {
            message.sender != call.user && was_member(&message.conversation, &call.user, ledger)
        }),
        _ => false,
    }
}

fn was_member(conversation: &str, user: &str, ledger: &Ledger<'_>) -> bool {
    // Whoever starts a conversation owns it until they leave.
    ledger.parts(conversation, user).iter().any(|part| part.owner_since != Some(part.joined))
}

/// When people first heard of conversations, in milliseconds.
struct Known<'a>(HashMap<(&'a str, &'a str), u64>);

impl<'a> Known<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        let mut known: HashMap<(&str, &str), u64> = HashMap::new();
        let mut know = |conversation: &'a str, user: &'a str, time: u64| {
            let first = known.entry((conversation, user)).or_insert(time);
            *first = time.min(*first);
        };
        for device in &evidence.past.devices {
            for (told, time) in device.told.iter().zip(&device.times) {
                know(&told.conversation, &device.user, *time);
            }
        }
        for call in &evidence.past.calls {
            if let Some((ended, Outcome::Answered(answer))) = &call.ended
                && let Some(conversation) = &answer.conversation
            {
                know(conversation, &call.user, *ended);
            }
        }
        Self(known)
    }

    /// Whether somebody certainly took part in the conversation when they asked: they had heard of it before,
    /// and never left.
    fn must_find(&self, call: &Call, ledger: &Ledger<'_>) -> bool {
        let (conversation, since) = match &call.act {
            Act::Add { conversation, .. }
            | Act::Leave { conversation }
            | Act::Remove { conversation, .. }
            | Act::MarkAll { conversation, .. }
            | Act::Share { conversation, .. }
            | Act::Rename { conversation, .. }
            | Act::Send { conversation, .. } => (conversation.as_str(), 0),
            Act::Mark { message, .. } | Act::Redact { message } => match ledger.message(message) {
                Some(message) => (message.conversation.as_str(), message.position),
                None => return false,
            },
            Act::Report { message, .. } => match ledger.message(message) {
                Some(message) if message.sender != call.user => {
                    (message.conversation.as_str(), message.position)
                }
                _ => return false,
            },
            Act::Start { .. } => return false,
        };
        let heard = self.0.get(&(conversation, call.user.as_str()));
        let parts = ledger.parts(conversation, &call.user);
        let never_left =
            matches!(parts, [part] if part.left.is_none() && (since == 0 || part.joined <= since));
        never_left && heard.is_some_and(|heard| *heard < call.began)
    }
}
