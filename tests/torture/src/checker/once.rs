//! A request without an answer has at most one effect, a refused request has none, and the log has nothing that nobody
//! requested.

use std::collections::HashMap;

use super::{Evidence, Ledger};
use crate::act::{Act, Outcome};
use crate::record::Kind;

/// What is known of everything that was asked for under one text, which is never used for anything else.
#[derive(Debug, Default, Clone, Copy)]
struct Asked {
    /// Whether it may be in the log.
    possible: bool,
}

pub(super) fn check(evidence: &Evidence, ledger: &Ledger<'_>) -> Result<(), String> {
    let mut asked: HashMap<&str, Asked> = HashMap::new();
    let mut leaves: HashMap<(&str, &str), usize> = HashMap::new();
    for call in &evidence.past.calls {
        let possible = !matches!(call.outcome(), Some(Outcome::Refused(_)));
        match &call.act {
            Act::Start { title: text, .. }
            | Act::Rename { title: text, .. }
            | Act::Report { reason: text, .. }
            | Act::Send { body: text, .. } => {
                asked.entry(text).or_default().possible |= possible;
            }
            Act::Leave { conversation } if possible => {
                *leaves.entry((conversation.as_str(), call.user.as_str())).or_default() += 1;
            }
            Act::Leave { .. }
            | Act::Add { .. }
            | Act::Remove { .. }
            | Act::Mark { .. }
            | Act::MarkAll { .. }
            | Act::Share { .. }
            | Act::Redact { .. } => {}
        }
    }
    let log = &evidence.log;
    let whole = log.messages.iter().filter(|message| message.redacted_at.is_none());
    let bodies = whole.map(|message| message.body.as_str());
    once(&asked, bodies, "message")?;
    let first = log.titles.keys().filter_map(|conversation| ledger.first_title(conversation));
    let later = log.events.iter().filter_map(|event| event.renaming.as_ref()?.title.as_deref());
    once(&asked, first.chain(later), "title")?;
    once(&asked, log.events.iter().filter_map(|event| event.reason.as_deref()), "reason")?;
    for event in log.events.iter().filter(|event| event.kind == Kind::Redacted) {
        let redacted = event.through.and_then(|through| log.messages.iter().find(|m| m.position == through));
        let is_asked_for = evidence.past.calls.iter().any(|call| {
            let is_it =
                matches!(&call.act, Act::Redact { message } if redacted.is_some_and(|m| m.id == *message));
            is_it && call.user == event.actor && !matches!(call.outcome(), Some(Outcome::Refused(_)))
        });
        if !is_asked_for {
            return Err(format!("nobody asked to redact what {event:?} redacted"));
        }
    }
    for event in log.events.iter().filter(|event| event.kind == Kind::Removed) {
        let is_asked_for = evidence.past.calls.iter().any(|call| match &call.act {
            Act::Remove { conversation, handles } => {
                let named: Vec<_> = handles.iter().filter_map(|handle| evidence.users.get(handle)).collect();
                *conversation == event.conversation
                    && call.user == event.actor
                    && !matches!(call.outcome(), Some(Outcome::Refused(_)))
                    && event.users.iter().flatten().all(|user| named.contains(&user))
            }
            Act::Start { .. }
            | Act::Rename { .. }
            | Act::Send { .. }
            | Act::Leave { .. }
            | Act::Add { .. }
            | Act::Mark { .. }
            | Act::MarkAll { .. }
            | Act::Share { .. }
            | Act::Redact { .. }
            | Act::Report { .. } => false,
        });
        if !is_asked_for {
            return Err(format!("nobody asked to remove those that {event:?} removed"));
        }
    }
    let mut left: HashMap<(&str, &str), usize> = HashMap::new();
    for event in log.events.iter().filter(|event| event.kind == Kind::Left) {
        *left.entry((event.conversation.as_str(), event.actor.as_str())).or_default() += 1;
    }
    for (who, times) in left {
        let most = leaves.get(&who).copied().unwrap_or(0);
        if times > most {
            return Err(format!("{} left {} {times} times, and asked to {most} times", who.1, who.0));
        }
    }
    Ok(())
}

fn once<'a>(
    asked: &HashMap<&str, Asked>,
    found: impl Iterator<Item = &'a str>,
    what: &str,
) -> Result<(), String> {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for text in found {
        match asked.get(text) {
            None => return Err(format!("nobody asked for the {what} {text:?}")),
            Some(Asked { possible: false }) => {
                return Err(format!("the {what} {text:?} was refused, and is in the log"));
            }
            Some(Asked { possible: true }) => *times.entry(text).or_default() += 1,
        }
    }
    match times.into_iter().find(|(_, times)| *times > 1) {
        Some((text, times)) => Err(format!("the {what} {text:?} is in the log {times} times")),
        None => Ok(()),
    }
}
