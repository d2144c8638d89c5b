//! Others are told of a mark only if its maker shares it.

use std::collections::HashMap;

use super::cursors::Cursors;
use super::{Evidence, Ledger};
use crate::act::{Act, Outcome};
use crate::history::Call;
use crate::record::Kind;

/// What somebody chose in one conversation, in the order of asking.
type Choices<'a> = HashMap<(&'a str, &'a str), Vec<Choice<'a>>>;

struct Choice<'a> {
    call: &'a Call,
    delivered: bool,
    read: bool,
}

pub(super) fn check(evidence: &Evidence, ledger: &Ledger<'_>) -> Result<(), String> {
    let mut choices: Choices<'_> = HashMap::new();
    for call in &evidence.past.calls {
        if let Act::Share { conversation, delivered, read } = &call.act
            && !matches!(call.outcome(), Some(Outcome::Refused(_)))
        {
            let choice = Choice { call, delivered: *delivered, read: *read };
            choices.entry((conversation, &call.user)).or_default().push(choice);
        }
    }
    for event in evidence.log.events.iter().filter(|event| event.is_private) {
        let chosen = choices.get(&(event.conversation.as_str(), event.actor.as_str()));
        if !chosen.into_iter().flatten().any(|choice| !choice.read) {
            return Err(format!("nobody asked to keep this to themselves: {event:?}"));
        }
    }
    // A choice may be lost with the log.
    if evidence.past.turn.is_some() {
        return Ok(());
    }
    let cursors = Cursors::known(evidence, ledger);
    for ((conversation, user), mut chosen) in choices {
        chosen.sort_by_key(|choice| choice.call.began);
        let Some((since, last)) = settled(&chosen, &cursors) else { continue };
        let told = evidence.log.events.iter().find(|event| {
            let is_shared = match event.kind {
                Kind::Delivered => last.delivered,
                Kind::Read => last.read,
                _ => true,
            };
            let is_theirs = event.conversation == conversation && event.actor == user;
            is_theirs && event.position > since && !event.is_private && !is_shared
        });
        if let Some(told) = told {
            return Err(format!("not shared since {since}, and others are told: {told:?}"));
        }
    }
    Ok(())
}

/// The last choice, and a position after which it holds for sure; `None` where that is not known.
fn settled<'a>(chosen: &'a [Choice<'a>], cursors: &Cursors<'_>) -> Option<(i64, &'a Choice<'a>)> {
    let (last, before) = chosen.split_last()?;
    let is_over = |choice: &Choice<'_>| {
        let answered =
            choice.call.ended.as_ref().filter(|(_, outcome)| matches!(outcome, Outcome::Answered(_)));
        answered.is_some_and(|(ended, _)| *ended < last.call.began)
    };
    if !before.iter().all(is_over) {
        return None;
    }
    let Some(Outcome::Answered(answer)) = last.call.outcome() else { return None };
    Some((cursors.position(&answer.cursor)?, last))
}
