//! The log has positions without gaps, an event for every message, and the last title of every conversation.

use std::collections::{HashMap, HashSet};

use super::{Evidence, Ledger};
use crate::record::{Event, Kind, Message};

pub(super) fn check(evidence: &Evidence, ledger: &Ledger<'_>) -> Result<(), String> {
    let log = &evidence.log;
    for (event, position) in log.events.iter().zip(1..) {
        if event.position != position {
            return Err(format!("position {position} is missing: after it comes {event:?}"));
        }
    }
    let last = log.events.last().map_or(0, |event| event.position);
    if last != log.head {
        return Err(format!("log_head says {}, and the last event has the position {last}", log.head));
    }
    let sent: HashMap<i64, &Event> = log
        .events
        .iter()
        .filter(|event| event.kind == Kind::Sent)
        .map(|event| (event.position, event))
        .collect();
    let mut ids = HashSet::new();
    for message in &log.messages {
        let event = sent.get(&message.position).ok_or_else(|| format!("no event sends {message:?}"))?;
        if event.conversation != message.conversation || event.actor != message.sender {
            return Err(format!("{event:?} and {message:?} do not belong together"));
        }
        if !ids.insert(&message.id) {
            return Err(format!("two messages have the id {}", message.id));
        }
    }
    if sent.len() != log.messages.len() {
        let messages: HashSet<i64> = log.messages.iter().map(|message| message.position).collect();
        let bare = sent.keys().find(|position| !messages.contains(*position));
        return Err(format!("the event at {bare:?} sends a message that is not there"));
    }
    let redacted: HashSet<i64> = log
        .events
        .iter()
        .filter(|event| event.kind == Kind::Redacted)
        .filter_map(|event| event.through)
        .collect();
    let strange = |message: &&Message| {
        message.redacted_at.is_some() != redacted.contains(&message.position)
            || (message.redacted_at.is_some() && !message.body.is_empty())
    };
    if let Some(message) = log.messages.iter().find(strange) {
        return Err(format!("the events and the row do not agree whether it was redacted: {message:?}"));
    }
    for (conversation, renamings) in ledger.renamings() {
        let (last, stored) = (renamings.last().map(|last| &last.title), log.titles.get(conversation));
        if last != stored {
            return Err(format!(
                "{conversation} was given the title {last:?} last, and {stored:?} is stored"
            ));
        }
    }
    ledger.impossible.first().map_or(Ok(()), |first| Err(first.clone()))
}
