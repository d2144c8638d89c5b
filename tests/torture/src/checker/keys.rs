//! Every idempotency key stands for one thing.

use std::collections::HashMap;

use super::{Evidence, Ledger};
use crate::act::{Act, Outcome};

pub(super) fn check(evidence: &Evidence, _: &Ledger<'_>) -> Result<(), String> {
    let mut stored: HashMap<(&str, &str), &str> = HashMap::new();
    for message in &evidence.log.messages {
        let Some(key) = message.key.as_deref() else { continue };
        if let Some(first) = stored.insert((message.sender.as_str(), key), &message.id) {
            return Err(format!("the key {key} stands for {first} and for {}", message.id));
        }
    }
    for call in &evidence.past.calls {
        let Act::Send { key: Some(key), .. } = &call.act else { continue };
        let Some(Outcome::Answered(answer)) = call.outcome() else { continue };
        let stored = stored.get(&(call.user.as_str(), key.as_str())).copied();
        if stored != answer.message.as_deref() {
            return Err(format!(
                "the log has {stored:?} under the key {key}, and this was answered: {call:?}"
            ));
        }
    }
    Ok(())
}
