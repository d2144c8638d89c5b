//! Compares the events that a device received with those that it should receive, and describes the first difference.

use std::collections::HashSet;

use super::Ledger;
use crate::history::Scope;
use crate::record::{Event, Kind, Message};
use crate::told::{Told, What};

/// Lines that are shown before and after the first difference.
const AROUND: usize = 3;

/// Whoever follows, and what they were told.
pub(super) struct Follower<'a> {
    pub(super) user: &'a str,
    /// Its connection, whose own doing it is not told.
    pub(super) connection: Option<&'a str>,
    pub(super) scope: &'a Scope,
    /// The position after which it follows.
    pub(super) after: i64,
    pub(super) told: &'a [Told],
}

/// The positions of what somebody is to be told, in order.
pub(super) fn expected(
    ledger: &Ledger<'_>,
    user: &str,
    connection: Option<&str>,
    scope: &Scope,
    after: i64,
) -> Vec<i64> {
    let events = ledger.log.events.iter().filter(|event| event.position > after);
    events
        .filter(|event| is_asked_for(event, scope) && !is_own(event, user, connection))
        .filter(|event| ledger.what(event, user).is_some())
        .map(|event| event.position)
        .collect()
}

fn is_asked_for(event: &Event, scope: &Scope) -> bool {
    match scope {
        Scope::Everything => true,
        Scope::MessagesIn(conversation) => event.kind == Kind::Sent && event.conversation == *conversation,
    }
}

fn is_own(event: &Event, user: &str, connection: Option<&str>) -> bool {
    connection.is_some() && event.connection.as_deref() == connection && event.actor == user
}

impl Follower<'_> {
    /// Compares. What is still missing at the end is the answer, by position; any other difference is an
    /// error.
    pub(super) fn compare(&self, ledger: &Ledger<'_>) -> Result<Vec<i64>, String> {
        let expected = expected(ledger, self.user, self.connection, self.scope, self.after);
        let told: Vec<Option<i64>> = self.told.iter().map(|told| ledger.position(told)).collect();
        for (index, (event, position)) in self.told.iter().zip(&told).enumerate() {
            let Some(position) = *position else {
                return Err(format!("altered: nothing in the log says {event:?}"));
            };
            if expected.get(index) != Some(&position) {
                let difference = self.difference(ledger, &expected, &told, index, position);
                return Err(format!("{difference}\n{}", shown(ledger, &expected, &told, index)));
            }
            self.content(ledger, event, position)?;
        }
        Ok(expected[told.len()..].to_vec())
    }

    /// Whether an event that is due says what it must.
    fn content(&self, ledger: &Ledger<'_>, told: &Told, position: i64) -> Result<(), String> {
        let event = ledger.event(position).ok_or("an event vanished")?;
        let what = ledger.what(event, self.user);
        let is_same =
            what.as_ref() == Some(&told.what) || self.was_told_before_redaction(ledger, told, position);
        if is_same && event.conversation == told.conversation && event.at == told.at {
            return Ok(());
        }
        Err(format!(
            "altered: position {position} says {what:?} at {}, and this was told: {told:?}",
            event.at
        ))
    }

    /// Whether it is told of a message that was redacted since, with its text. Only who followed meanwhile may be.
    fn was_told_before_redaction(&self, ledger: &Ledger<'_>, told: &Told, position: i64) -> bool {
        let What::Sent { message, sender, sent_at, .. } = &told.what else { return false };
        let is_it = |stored: &&Message| {
            stored.position == position && stored.sender == *sender && stored.sent_at == *sent_at
        };
        let stored = ledger.message(message).filter(is_it);
        self.connection.is_some() && stored.is_some_and(|stored| stored.redacted_at.is_some())
    }

    /// What is wrong with being told of `position` at `index`.
    fn difference(
        &self,
        ledger: &Ledger<'_>,
        expected: &[i64],
        told: &[Option<i64>],
        index: usize,
        position: i64,
    ) -> String {
        if told[..index].contains(&Some(position)) {
            return format!("repeated: position {position} was told before");
        }
        if let Some(ahead) = expected[index.min(expected.len())..].iter().position(|due| *due == position) {
            let skipped = &expected[index..index + ahead];
            let later: HashSet<i64> = told[index..].iter().flatten().copied().collect();
            let lost: Vec<i64> = skipped.iter().copied().filter(|due| !later.contains(due)).collect();
            if lost.is_empty() {
                return format!("out of order: position {position} was told before {skipped:?}");
            }
            return format!("missing: {} events were never told: {lost:?}", lost.len());
        }
        let Some(event) = ledger.event(position) else { return format!("{position} is not in the log") };
        if is_own(event, self.user, self.connection) {
            format!("own echo: position {position} is this connection's own doing")
        } else if ledger.what(event, self.user).is_none() {
            format!("not entitled: position {position} is nothing to {}", self.user)
        } else {
            format!("not asked for: position {position} is before the cursor, or of another conversation")
        }
    }
}

/// What was to come and what came, around a difference.
fn shown(ledger: &Ledger<'_>, expected: &[i64], told: &[Option<i64>], index: usize) -> String {
    let from = index.saturating_sub(AROUND);
    let line = |position: Option<i64>| match position.and_then(|position| ledger.event(position)) {
        Some(event) => format!("{event:?}"),
        None => "nothing".to_owned(),
    };
    let mut lines = Vec::new();
    for at in from..=index + AROUND {
        let (due, came) = (expected.get(at).copied(), told.get(at).copied().flatten());
        if due.is_some() || came.is_some() {
            let mark = if at == index { ">" } else { " " };
            lines.push(format!("{mark} {at}: expected {}\n  {at}: told     {}", line(due), line(came)));
        }
    }
    lines.join("\n")
}
