//! Reads the log from the first event: who took part when, how far marks had come, and what each event says. It notes
//! every event that could not have happened.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::record::{Event, Kind, Log, Message, Part, Renaming};
use crate::told::{COVERED, Told, What};

/// Marks of one kind: in which conversation, whose, and whether they say that something was read.
type Marking<'a> = (&'a str, &'a str, bool);

/// What the log comes to.
pub(crate) struct Ledger<'a> {
    pub(crate) log: &'a Log,
    parts: HashMap<(&'a str, &'a str), Vec<Part>>,
    members: HashMap<&'a str, HashSet<&'a str>>,
    /// The messages of each conversation, in order.
    sent: HashMap<&'a str, Vec<&'a Message>>,
    at: HashMap<i64, &'a Message>,
    by_id: HashMap<&'a str, &'a Message>,
    /// What each conversation that was renamed was called, in order.
    renamings: HashMap<&'a str, Vec<&'a Renaming>>,
    /// The position of the event that says so.
    said: HashMap<String, i64>,
    /// Somebody's marks of one kind: how far each reached, and its position, both in order.
    marks: HashMap<Marking<'a>, Vec<(i64, i64)>>,
    /// Events that could not have happened.
    pub(crate) impossible: Vec<String>,
    /// Marks that could not have been made.
    pub(crate) impossible_marks: Vec<String>,
}

impl<'a> Ledger<'a> {
    /// Reads a log in which everyone is told of marks in conversations of up to `small` participants.
    pub(crate) fn of(log: &'a Log, small: usize) -> Self {
        let mut ledger = Self {
            log,
            parts: HashMap::new(),
            members: HashMap::new(),
            sent: HashMap::new(),
            at: HashMap::new(),
            by_id: HashMap::new(),
            renamings: HashMap::new(),
            said: HashMap::new(),
            marks: HashMap::new(),
            impossible: Vec::new(),
            impossible_marks: Vec::new(),
        };
        for message in &log.messages {
            ledger.at.insert(message.position, message);
            ledger.by_id.insert(&message.id, message);
            ledger.sent.entry(&message.conversation).or_default().push(message);
        }
        for event in &log.events {
            if let Err(why) = ledger.apply(event, small) {
                let note = format!("{why}: {event:?}");
                if event.kind.is_mark() {
                    ledger.impossible_marks.push(note);
                } else {
                    ledger.impossible.push(note);
                }
            }
            if let Some(said) = ledger.said_by(event) {
                ledger.said.insert(said, event.position);
            }
        }
        ledger
    }

    fn apply(&mut self, event: &'a Event, small: usize) -> Result<(), &'static str> {
        let takes_part = self.takes_part(&event.conversation, &event.actor);
        match event.kind {
            Kind::Started if self.members.contains_key(event.conversation.as_str()) => Err("started twice"),
            Kind::Started => self.join(event),
            // A recipient stays one, also after they have left.
            Kind::Undeliverable => self.report(event),
            // So does a sender.
            Kind::Redacted => self.redact(event),
            _ if !takes_part => Err("somebody acts who takes no part"),
            Kind::Joined => self.join(event),
            Kind::Left => self.leave(event),
            Kind::Removed => self.remove(event),
            Kind::Updated if !self.owns(&event.conversation, &event.actor) => {
                Err("somebody changed a conversation that they do not own")
            }
            Kind::Renamed | Kind::Updated => self.rename(event),
            Kind::Sent => Ok(()),
            Kind::Delivered | Kind::Read => self.mark(event, small),
        }
    }

    fn takes_part(&self, conversation: &str, user: &str) -> bool {
        self.members.get(conversation).is_some_and(|members| members.contains(user))
    }

    fn join(&mut self, event: &'a Event) -> Result<(), &'static str> {
        let users = event.users.as_deref().unwrap_or_default();
        let conversation = event.conversation.as_str();
        if users.is_empty() {
            return Err("nobody joined");
        }
        if event.kind == Kind::Started && !users.contains(&event.actor) {
            return Err("whoever started it takes no part");
        }
        for user in users.iter().map(String::as_str) {
            if !self.members.entry(conversation).or_default().insert(user) {
                return Err("somebody joined who took part already");
            }
            let before = self.parts.entry((conversation, user)).or_default();
            // A new participant's marks begin at the joining. One who comes back keeps their marks.
            let begin = |through: fn(&Part) -> i64| before.iter().map(through).max();
            let part = Part {
                conversation: conversation.to_owned(),
                user: user.to_owned(),
                joined: event.position,
                left: None,
                delivered: begin(|part| part.delivered).unwrap_or(event.position),
                read: begin(|part| part.read).unwrap_or(event.position),
                // Whoever starts a conversation owns it.
                owner_since: (event.kind == Kind::Started && user == event.actor).then_some(event.position),
            };
            before.push(part);
        }
        Ok(())
    }

    fn leave(&mut self, event: &'a Event) -> Result<(), &'static str> {
        let (conversation, user) = (event.conversation.as_str(), event.actor.as_str());
        let was_owner = self.owns(conversation, user);
        self.let_go(event, user);
        // Whoever has taken part for longest owns it next. Of those who joined at once, the list begins with the
        // smallest id.
        let others = self.parts.values().flatten();
        let others = others.filter(|part| part.conversation == conversation && part.left.is_none());
        let eldest = others.map(|part| (part.joined, part.user.clone())).min();
        let next = eldest.filter(|_| was_owner).map(|(_, user)| user);
        if next.as_ref() != event.users.as_ref().and_then(|users| users.first()) {
            return Err("the wrong user owns the conversation next");
        }
        let mut parts = self.parts.values_mut().flatten();
        if let Some(part) = parts.find(|part| {
            part.conversation == conversation && part.left.is_none() && Some(&part.user) == next.as_ref()
        }) {
            part.owner_since = Some(event.position);
        }
        Ok(())
    }

    fn remove(&mut self, event: &'a Event) -> Result<(), &'static str> {
        let conversation = event.conversation.as_str();
        let users = event.users.as_deref().unwrap_or_default();
        if users.is_empty() || users.contains(&event.actor) {
            return Err("nobody was removed, or somebody by themselves");
        }
        if !self.owns(conversation, &event.actor) {
            return Err("somebody removed others from a conversation that they do not own");
        }
        for user in users {
            if !self.takes_part(conversation, user) {
                return Err("somebody was removed who takes no part");
            }
            self.let_go(event, user);
        }
        Ok(())
    }

    fn let_go(&mut self, event: &'a Event, user: &'a str) {
        let conversation = event.conversation.as_str();
        if let Some(members) = self.members.get_mut(conversation) {
            members.remove(user);
        }
        if let Some(part) = self.parts.get_mut(&(conversation, user)).and_then(|parts| parts.last_mut()) {
            part.left = Some(event.position);
        }
    }

    fn owns(&self, conversation: &str, user: &str) -> bool {
        self.parts(conversation, user).iter().any(|part| part.left.is_none() && part.owner_since.is_some())
    }

    fn rename(&mut self, event: &'a Event) -> Result<(), &'static str> {
        let Some(renaming) = &event.renaming else { return Err("it is renamed to nothing") };
        let renamings = self.renamings.entry(event.conversation.as_str()).or_default();
        let before = renamings.last().map(|before| &before.title);
        renamings.push(renaming);
        if renaming.title == renaming.former {
            return Err("it is given the title that it has");
        }
        if before.is_some_and(|before| *before != renaming.former) {
            return Err("its former title is not the one before");
        }
        Ok(())
    }

    fn redact(&mut self, event: &'a Event) -> Result<(), &'static str> {
        let (conversation, user) = (event.conversation.as_str(), event.actor.as_str());
        let message = event.through.and_then(|through| self.at.get(&through).copied());
        let Some(message) = message.filter(|message| message.conversation == conversation) else {
            return Err("no message of the conversation was redacted");
        };
        if message.sender != user && !self.owns(conversation, user) {
            return Err("somebody redacted the message of somebody else, and does not own the conversation");
        }
        if message.redacted_at != Some(event.at) || !message.body.is_empty() {
            return Err("a message was redacted, and is stored otherwise");
        }
        Ok(())
    }

    fn mark(&mut self, event: &'a Event, small: usize) -> Result<(), &'static str> {
        let (conversation, user) = (event.conversation.as_str(), event.actor.as_str());
        let (Some(from), Some(through)) = (event.from, event.through) else {
            return Err("a mark has no range");
        };
        let is_read = event.kind == Kind::Read;
        let reached = |part: &Part| if is_read { part.read } else { part.delivered };
        let before = self.parts(conversation, user).iter().map(reached).max().unwrap_or(0);
        if from >= through || through >= event.position {
            return Err("a mark does not move forward");
        }
        let is_part = !event.is_private && from > before && self.is_part_of_private(event);
        if from != before && !is_part {
            return Err("a mark does not begin where the one before ended");
        }
        let Some(message) = self.at.get(&through).filter(|message| message.conversation == conversation)
        else {
            return Err("a mark names no message of its conversation");
        };
        if message.sender == user {
            return Err("somebody marked their own message");
        }
        if !self.parts(conversation, user).iter().any(|part| part.holds(through)) {
            return Err("somebody marked a message that they may not see");
        }
        let audience = if event.is_private { None } else { self.audience(event, from, through, small) };
        if audience != told(event) {
            return Err("the wrong people are told of a mark");
        }
        if is_part {
            self.marks.entry((conversation, user, is_read)).or_default().push((through, event.position));
            return Ok(());
        }
        for part in self.parts.entry((conversation, user)).or_default() {
            // The row of an earlier stay is updated only when the mark covers something in that stay.
            let is_reached = part.joined < through && part.left.is_none_or(|left| reached(part) < left);
            if part.left.is_some() && !is_reached {
                continue;
            }
            part.delivered = part.delivered.max(through);
            if is_read {
                part.read = part.read.max(through);
            }
        }
        self.marks.entry((conversation, user, is_read)).or_default().push((through, event.position));
        Ok(())
    }

    /// Whether the mark itself comes right after this one, and is told to the actor alone. What is told of a mark may begin
    /// later than the mark.
    fn is_part_of_private(&self, event: &Event) -> bool {
        let later = (1..=2).filter_map(|later| self.event(event.position + later));
        let mut marks = later.filter(|mark| {
            (&mark.conversation, &mark.actor, mark.through)
                == (&event.conversation, &event.actor, event.through)
        });
        marks.any(|mark| mark.is_private)
    }

    fn report(&self, event: &Event) -> Result<(), &'static str> {
        let user = event.actor.as_str();
        let (Some(through), Some(_)) = (event.through, &event.reason) else {
            return Err("a report names no message, or no reason");
        };
        let message = self.at.get(&through).filter(|message| message.conversation == event.conversation);
        let Some(message) = message.filter(|_| through < event.position) else {
            return Err("a report names no message of its conversation");
        };
        let parts = self.parts(&event.conversation, user);
        if message.sender == user || !parts.iter().any(|part| part.holds(through)) {
            return Err("a report is about somebody who is no recipient");
        }
        let mut earlier = self.log.events.iter().take_while(|earlier| earlier.position < event.position);
        let is_told = earlier.any(|mark| {
            let is_shared = matches!(mark.kind, Kind::Delivered | Kind::Read) && !mark.is_private;
            is_shared
                && (&mark.conversation, &mark.actor) == (&event.conversation, &event.actor)
                && mark.from.is_some_and(|from| from < through)
                && mark.through >= Some(through)
        });
        if is_told {
            return Err("a report is about a message that was delivered before");
        }
        if told(event) != Some([message.sender.as_str()].into()) {
            return Err("others than the sender are told of a report");
        }
        Ok(())
    }

    /// Who must be told of a mark: everyone (`None`) where few take part; otherwise the senders of what it
    /// covers, and whoever marked.
    fn audience(&self, mark: &'a Event, from: i64, through: i64, small: usize) -> Option<BTreeSet<&'a str>> {
        let members = self.members.get(mark.conversation.as_str()).map_or(0, HashSet::len);
        if members <= small {
            return None;
        }
        let covered = self.between(&mark.conversation, from, through);
        let parts = self.parts(&mark.conversation, &mark.actor);
        let senders = covered
            .iter()
            .copied()
            .filter(|message| parts.iter().any(|part| part.holds(message.position)))
            .map(|message| message.sender.as_str());
        Some(senders.chain([mark.actor.as_str()]).collect())
    }

    /// The messages of a conversation in `after < position <= through`.
    fn between(&self, conversation: &str, after: i64, through: i64) -> &[&'a Message] {
        let sent = self.sent.get(conversation).map_or(&[][..], Vec::as_slice);
        let from = sent.partition_point(|message| message.position <= after);
        let to = sent.partition_point(|message| message.position <= through);
        &sent[from..to.max(from)]
    }

    /// Every part that somebody took in a conversation.
    pub(crate) fn parts<'s>(&'s self, conversation: &'s str, user: &'s str) -> &'s [Part] {
        self.parts.get(&(conversation, user)).map_or(&[], Vec::as_slice)
    }

    /// Every part that anybody took.
    pub(crate) fn all_parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.values().flatten()
    }

    /// The title with which a conversation was started.
    pub(crate) fn first_title(&self, conversation: &str) -> Option<&'a str> {
        match self.renamings.get(conversation).and_then(|renamings| renamings.first()) {
            Some(first) => first.former.as_deref(),
            None => self.log.titles.get(conversation)?.as_deref(),
        }
    }

    /// The conversations that were renamed, each with what it was called, in order.
    pub(crate) fn renamings(&self) -> impl Iterator<Item = (&'a str, &[&'a Renaming])> {
        self.renamings.iter().map(|(conversation, renamings)| (*conversation, renamings.as_slice()))
    }

    /// The message with this id.
    pub(crate) fn message(&self, id: &str) -> Option<&'a Message> {
        self.by_id.get(id).copied()
    }

    /// The event at a position.
    pub(crate) fn event(&self, position: i64) -> Option<&'a Event> {
        let index = usize::try_from(position).ok()?.checked_sub(1)?;
        self.log.events.get(index)
    }

    /// The position of what a subscriber was told; `None` when nothing in the log says so.
    pub(crate) fn position(&self, told: &Told) -> Option<i64> {
        let said = || self.said.get(&said(&told.conversation, told.at, &told.what)).copied();
        let What::Marked { recipient, is_read, message, .. } = &told.what else { return said() };
        // A viewer who cannot see the marked message is shown an earlier one.
        let named = self.message(message)?.position;
        let marks = self.marks.get(&(told.conversation.as_str(), recipient.as_str(), *is_read))?;
        let mut reaching = marks[marks.partition_point(|(through, _)| *through < named)..].iter();
        // A mark and what is told of it reach equally far.
        let first = reaching.clone().next()?;
        let is_it = |mark: &&(i64, i64)| {
            mark.0 == first.0 && self.event(mark.1).is_some_and(|event| event.at == told.at)
        };
        let mark = reaching.find(is_it).unwrap_or(first);
        Some(mark.1)
    }

    /// What somebody is to be told of an event; `None` when it is nothing to them.
    pub(crate) fn what(&self, event: &Event, viewer: &str) -> Option<What> {
        let parts = self.parts(&event.conversation, viewer);
        let holding = |position| parts.iter().find(|part| part.holds(position));
        holding(event.position)?;
        let is_told = event.users.as_ref().is_none_or(|users| users.iter().any(|user| user == viewer));
        let is_told = is_told && (!event.is_private || event.actor == viewer);
        if event.kind == Kind::Undeliverable {
            return is_told.then(|| self.fact(event)).flatten();
        }
        if event.kind == Kind::Redacted {
            holding(event.through?)?;
        }
        if !event.kind.is_mark() {
            return self.fact(event);
        }
        if !is_told {
            return None;
        }
        let received = self.parts(&event.conversation, &event.actor);
        let covered = self.between(&event.conversation, event.from?, event.through?).iter().rev();
        let messages = covered
            .filter(|message| message.sender != event.actor)
            .filter(|message| received.iter().any(|part| part.holds(message.position)))
            .filter(|message| holding(message.position).is_some())
            .map(|message| message.id.clone());
        let messages: Vec<_> = messages.take(COVERED).collect();
        let What::Marked { recipient, is_read, .. } = self.fact(event)? else { return None };
        // A viewer who may see none of the marked messages does not receive the event.
        let message = messages.first()?.clone();
        Some(What::Marked { recipient, is_read, message, messages })
    }

    /// What an event says to everyone alike.
    fn fact(&self, event: &Event) -> Option<What> {
        let actor = event.actor.clone();
        Some(match event.kind {
            Kind::Started => What::Started { by: actor },
            Kind::Joined => What::Joined { by: actor, users: event.users.clone()? },
            Kind::Left => What::Left { user: actor, new_owner: event.users.iter().flatten().next().cloned() },
            Kind::Removed => What::Removed { by: actor, users: event.users.clone()? },
            Kind::Updated => What::Updated { by: actor },
            Kind::Redacted => What::Redacted { by: actor, message: self.at.get(&event.through?)?.id.clone() },
            Kind::Renamed => What::Renamed { by: actor, title: event.renaming.as_ref()?.title.clone() },
            Kind::Sent => {
                let message = self.at.get(&event.position)?;
                What::Sent {
                    message: message.id.clone(),
                    sender: actor,
                    body: message.body.clone(),
                    sent_at: message.sent_at,
                }
            }
            Kind::Undeliverable => What::Undeliverable {
                recipient: actor,
                message: self.at.get(&event.through?)?.id.clone(),
                reason: event.reason.clone()?,
            },
            Kind::Delivered | Kind::Read => What::Marked {
                recipient: actor,
                is_read: event.kind == Kind::Read,
                message: self.at.get(&event.through?)?.id.clone(),
                messages: Vec::new(),
            },
        })
    }

    fn said_by(&self, event: &Event) -> Option<String> {
        Some(said(&event.conversation, event.at, &self.fact(event)?))
    }
}

/// Those whom the log says are told.
fn told(event: &Event) -> Option<BTreeSet<&str>> {
    event.users.as_ref().map(|users| users.iter().map(String::as_str).collect())
}

/// What tells one event from every other.
fn said(conversation: &str, at: i64, what: &What) -> String {
    match what {
        What::Started { .. } => format!("started {conversation}"),
        What::Joined { by, users } => format!("joined {conversation} {at} {by} {}", users.join(" ")),
        What::Left { user, new_owner } => format!("left {conversation} {at} {user} {new_owner:?}"),
        What::Removed { by, users } => format!("removed {conversation} {at} {by} {}", users.join(" ")),
        What::Renamed { by, title } => format!("renamed {conversation} {at} {by} {title:?}"),
        What::Undeliverable { recipient, message, reason } => {
            format!("undeliverable {at} {recipient} {message} {reason}")
        }
        What::Updated { by } => format!("updated {conversation} {at} {by}"),
        What::Sent { message, .. } => format!("sent {message}"),
        What::Redacted { message, .. } => format!("redacted {message}"),
        What::Marked { recipient, is_read, message, .. } => format!("marked {recipient} {is_read} {message}"),
    }
}
