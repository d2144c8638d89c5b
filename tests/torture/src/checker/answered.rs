//! The log has the effect of every answered mutation.

use std::collections::{BTreeSet, HashMap};

use super::cursors::Cursors;
use super::{Evidence, Ledger};
use crate::act::{Act, Answer, Outcome};
use crate::history::Call;
use crate::record::{Kind, Part};

pub(super) fn check(evidence: &Evidence, ledger: &Ledger<'_>) -> Result<(), String> {
    let cursors = Cursors::known(evidence, ledger);
    let mut left: HashMap<(&str, &str), usize> = HashMap::new();
    for call in &evidence.past.calls {
        let Some(Outcome::Answered(answer)) = call.outcome() else { continue };
        let seen = Seen { users: &evidence.users, ledger, cursors: &cursors, call, answer };
        seen.check().map_err(|why| format!("{why}: {call:?}"))?;
        if let Act::Leave { conversation } = &call.act {
            *left.entry((conversation.as_str(), call.user.as_str())).or_default() += 1;
        }
    }
    for ((conversation, user), answered) in left {
        let events = evidence.log.events.iter().filter(|event| {
            event.kind == Kind::Left && event.conversation == conversation && event.actor == user
        });
        let events = events.count();
        if events < answered {
            return Err(format!(
                "{user} was told {answered} times that they left {conversation}, and the log has {events}"
            ));
        }
    }
    Ok(())
}

/// One answered mutation, and where to look for its effect.
pub(super) struct Seen<'a> {
    /// The ids of people, by handle.
    pub(super) users: &'a HashMap<String, String>,
    pub(super) ledger: &'a Ledger<'a>,
    pub(super) cursors: &'a Cursors<'a>,
    pub(super) call: &'a Call,
    pub(super) answer: &'a Answer,
}

impl Seen<'_> {
    /// Whether its effect is there; the error is what is wrong.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        match &self.call.act {
            Act::Start { handles, title } => self.started(handles, title),
            Act::Add { conversation, handles } => self.added(conversation, handles),
            // Leaving is counted, because leaving twice makes two events. To share is no event: later marks show what
            // was chosen.
            Act::Leave { .. } | Act::Share { .. } => Ok(()),
            Act::Remove { conversation, handles } => self.removed(conversation, handles),
            Act::Rename { conversation, title, .. } => self.renamed(conversation, title),
            Act::Send { conversation, body, key } => self.sent(conversation, body, key.as_deref()),
            Act::Mark { message, is_read } => self.marked(message, *is_read),
            Act::Report { message, .. } => self.reported(message),
            Act::Redact { message } => match self.ledger.message(message) {
                Some(message) if message.redacted_at.is_some() => Ok(()),
                _ => Err("a message that was redacted is stored otherwise"),
            },
            Act::MarkAll { conversation, is_read } => self.marked_all(conversation, *is_read),
        }
    }

    fn started(&self, handles: &[String], title: &str) -> Result<(), &'static str> {
        let id = self.answer.conversation.as_deref().unwrap_or_default();
        let mut events = self.ledger.log.events.iter();
        let event = events
            .find(|event| event.kind == Kind::Started && event.conversation == id)
            .filter(|event| event.actor == self.call.user)
            .ok_or("a conversation that was started is not in the log")?;
        if self.ledger.first_title(id) != Some(title) {
            return Err("a conversation was not started with the title that it was given");
        }
        let others = handles.iter().filter_map(|handle| self.users.get(handle));
        let asked: BTreeSet<&String> = others.chain([&self.call.user]).collect();
        let joined: BTreeSet<&String> = event.users.iter().flatten().collect();
        if asked != joined {
            return Err("a conversation was started with other people than asked");
        }
        Ok(())
    }

    fn added(&self, conversation: &str, handles: &[String]) -> Result<(), &'static str> {
        for user in handles.iter().filter_map(|handle| self.users.get(handle)) {
            let parts = self.ledger.parts(conversation, user);
            let took_part = match self.cursors.position(&self.answer.cursor) {
                Some(position) => parts.iter().any(|part| part.holds(position)),
                // No event was delivered with the cursor of the answer.
                None => !parts.is_empty(),
            };
            if !took_part {
                return Err("somebody who was added takes no part");
            }
        }
        Ok(())
    }

    fn removed(&self, conversation: &str, handles: &[String]) -> Result<(), &'static str> {
        let Some(position) = self.cursors.position(&self.answer.cursor) else {
            // No event was delivered with the cursor of the answer.
            return Ok(());
        };
        for user in handles.iter().filter_map(|handle| self.users.get(handle)) {
            let parts = self.ledger.parts(conversation, user);
            // It is the last event of those who go with it.
            let takes_part = |part: &Part| part.holds(position) && part.left != Some(position);
            if parts.iter().any(takes_part) {
                return Err("somebody who was removed takes part");
            }
        }
        Ok(())
    }

    fn renamed(&self, conversation: &str, title: &str) -> Result<(), &'static str> {
        let mut events = self.ledger.log.events.iter();
        let event = events
            .find(|event| event.renaming.as_ref().is_some_and(|to| to.title.as_deref() == Some(title)))
            .ok_or("a title that was given is not in the log")?;
        if event.conversation != conversation || event.actor != self.call.user {
            return Err("a title was given to another conversation, or by somebody else");
        }
        if event.connection != self.call.connection {
            return Err("a title has another origin than the connection that gave it");
        }
        Ok(())
    }

    fn sent(&self, conversation: &str, body: &str, key: Option<&str>) -> Result<(), &'static str> {
        let id = self.answer.message.as_deref().unwrap_or_default();
        let message = self.ledger.message(id).ok_or("a message that was answered is not in the log")?;
        let is_same = (message.body == body || message.redacted_at.is_some())
            && message.conversation == conversation
            && message.sender == self.call.user
            && message.key.as_deref() == key;
        if !is_same {
            return Err("the message that was answered is another than the one that was sent");
        }
        let event = self.ledger.event(message.position).ok_or("a message has no event")?;
        // With a key, the first try may be stored and the retry answered.
        if key.is_none() && event.connection != self.call.connection {
            return Err("a message has another origin than the connection that sent it");
        }
        Ok(())
    }

    fn reported(&self, id: &str) -> Result<(), &'static str> {
        let message = self.ledger.message(id).ok_or("a message that was reported is not in the log")?;
        let position = message.position;
        let mut events = self.ledger.log.events.iter();
        // A report of what was delivered before, as far as others were told, changes nothing.
        let has_effect = events.any(|event| {
            let reaches = match event.kind {
                Kind::Undeliverable => event.through == Some(position),
                Kind::Delivered | Kind::Read => {
                    !event.is_private && event.through.is_some_and(|through| through >= position)
                }
                Kind::Started
                | Kind::Joined
                | Kind::Left
                | Kind::Sent
                | Kind::Renamed
                | Kind::Removed
                | Kind::Redacted
                | Kind::Updated => false,
            };
            reaches && event.actor == self.call.user && event.conversation == message.conversation
        });
        if has_effect { Ok(()) } else { Err("a report that was answered is not in the log") }
    }

    /// Whether everything that the user had received up to the cursor of the answer is marked.
    fn marked_all(&self, conversation: &str, is_read: bool) -> Result<(), &'static str> {
        let Some(position) = self.cursors.position(&self.answer.cursor) else { return Ok(()) };
        let parts = self.ledger.parts(conversation, &self.call.user);
        let mut messages = self.ledger.log.messages.iter().rev();
        let newest = messages.find(|message| {
            message.conversation == conversation
                && message.position <= position
                && message.sender != self.call.user
                && parts.iter().any(|part| part.holds(message.position))
        });
        newest.map_or(Ok(()), |newest| self.marked(&newest.id, is_read))
    }

    fn marked(&self, id: &str, is_read: bool) -> Result<(), &'static str> {
        let message = self.ledger.message(id).ok_or("a message that was marked is not in the log")?;
        // To have read is to have received.
        let says_so = |kind| kind == Kind::Read || (kind == Kind::Delivered && !is_read);
        let mut events = self.ledger.log.events.iter();
        let reaches = events.any(|event| {
            says_so(event.kind)
                && event.actor == self.call.user
                && event.conversation == message.conversation
                && event.through.is_some_and(|through| through >= message.position)
        });
        if reaches { Ok(()) } else { Err("a mark that was answered is not in the log") }
    }
}
