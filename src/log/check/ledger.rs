//! The state that follows from the events: who takes part when, how far each mark has come, how each conversation
//! stands. It does not use `messaging::Facts`, because those made the rows that are checked.
//!
//! Here the events are applied one by one, and each is checked against those before it. [`compare`] compares stored
//! rows with the result.

// A new kind of event must not fall into a wildcard arm.
#![warn(clippy::wildcard_enum_match_arm)]

mod compare;

use std::collections::{BTreeSet, HashMap};

use crate::messaging::{
    Audience, Chain, Change, ConversationId, Event, Interval, Joined, Left, Mark, Marked, Message, Position,
    Range, Redacted, Removed, Renamed, Sent, Started, Timestamp, Undeliverable, Updated, UserId,
};

/// The message at the position up to which a mark moves.
#[derive(Debug, Clone, Copy)]
pub(super) struct MarkedMessage {
    pub(super) conversation: ConversationId,
    pub(super) sender: UserId,
}

/// The state that follows from the events so far.
pub(super) struct Ledger {
    pub(super) position: Position,
    pub(super) chain: Chain,
    pub(super) at: Timestamp,
    /// Before this position events are missing that were trimmed: that a message was sent, or redacted.
    pub(super) trimmed: Position,
    /// The time of the event at `trimmed`.
    trimmed_at: Timestamp,
    /// Whether an event with a chain has come. The events of earlier versions have none, and all come before it.
    has_chains: bool,
    conversations: HashMap<ConversationId, ConversationState>,
    /// The conversation, the user and the end of a mark of which the event before told only a part. The mark itself comes
    /// next.
    partly_told: Option<(ConversationId, UserId, Position)>,
    /// The messages whose rows say that they were redacted, and when, as long as no event did so.
    redacted_rows: HashMap<Position, Timestamp>,
}

struct ConversationState {
    created_at: Timestamp,
    latest: Position,
    /// How many people take part now.
    present: u32,
    /// Whether anybody has joined or left since the start.
    has_changed: bool,
    people: HashMap<UserId, Person>,
    /// The last change of the title; `None` when no event changed it. The first title is only in the row.
    renamed: Option<Renamed>,
    /// The last change of the title or the metadata by an owner. The first metadata is only in the row.
    updated: Option<Updated>,
    /// Whether a row of `conversations` was compared with it.
    is_stored: bool,
    /// The owners of whom the rows of `participants` do not say so.
    unnoted: BTreeSet<(Position, UserId)>,
    /// Whether a row of `participants` says who owns it now.
    is_owned: bool,
}

/// Somebody who takes or took part in a conversation.
struct Person {
    delivered_through: Position,
    read_through: Position,
    /// The ranges of which others were told that the person received them, in order. Ranges that meet are one.
    told: Vec<Range>,
    /// In the order in which the person joined.
    stays: Vec<Stay>,
}

struct Stay {
    interval: Interval,
    joined_at: Timestamp,
    owner_since: Option<Position>,
    /// Whether the event named the owner. The events of earlier versions name nobody.
    is_named: bool,
    /// Whether a row of `participants` was compared with it.
    is_stored: bool,
}

impl ConversationState {
    /// Of those who take part, the first in the list of participants.
    fn eldest(&self) -> Option<UserId> {
        let present = self.people.iter().filter(|(_, person)| person.is_present());
        let joined = present.filter_map(|(user, person)| Some((person.stays.last()?.interval.joined, *user)));
        joined.min().map(|(_, user)| user)
    }
}

impl Person {
    fn is_owner(&self) -> bool {
        self.stays.last().is_some_and(|stay| stay.owner_since.is_some())
    }

    fn is_present(&self) -> bool {
        self.stays.last().is_some_and(|stay| stay.interval.left.is_none())
    }

    fn was_present(&self, position: Position) -> bool {
        // Stays do not overlap.
        let begun = self.stays.partition_point(|stay| stay.interval.joined <= position);
        self.stays[..begun].last().is_some_and(|stay| stay.interval.holds(position))
    }

    /// Others are told that the person received or read a range.
    fn tell(&mut self, mut range: Range) {
        while let Some(last) = self.told.pop_if(|last| last.through >= range.from) {
            range = Range { from: range.from.min(last.from), through: range.through.max(last.through) };
        }
        self.told.push(range);
    }

    fn is_told(&self, position: Position) -> bool {
        self.told.iter().any(|range| range.from < position && position <= range.through)
    }

    fn through(&mut self, mark: Mark) -> &mut Position {
        match mark {
            Mark::Delivered => &mut self.delivered_through,
            Mark::Read => &mut self.read_through,
        }
    }
}

impl Ledger {
    /// The state of before the first event, of a log that was trimmed before this position.
    pub(super) fn new(trimmed: Position) -> Self {
        Self {
            position: Position::START,
            chain: Chain::START,
            at: Timestamp(i64::MIN),
            trimmed,
            trimmed_at: Timestamp(i64::MIN),
            has_chains: false,
            conversations: HashMap::new(),
            partly_told: None,
            redacted_rows: HashMap::new(),
        }
    }

    /// Adds the next event. `marked` is the message that it marks, if it is a mark and there is such a message.
    ///
    /// # Errors
    /// Why it cannot follow the events before it.
    pub(super) fn add(&mut self, event: &Event, marked: Option<MarkedMessage>) -> Result<(), String> {
        self.advance(event)?;
        if let Some(expected) = self.partly_told.take() {
            let through = event.change.covers().map_or(Position::START, |range| range.through);
            if (event.conversation, event.actor, through) != expected {
                return Err("the one before it tells a part of a mark, and it is not the mark".into());
            }
        }
        match &event.change {
            Change::Started(Started { users }) => self.start(event, users),
            Change::Joined(Joined { users }) => self.join(event, users),
            Change::Left(Left { successor }) => self.leave(event, *successor),
            Change::Sent(Sent { message }) => {
                let of_message = (message.conversation, message.sender, message.sent_at);
                if of_message != (event.conversation, event.actor, event.at) {
                    return Err("its message has another conversation, sender or time".into());
                }
                self.redacted_rows.extend(message.redacted_at.map(|at| (event.position, at)));
                self.actor(event).map(|_| ())
            }
            Change::Marked(marked_as) => {
                self.mark(event, marked_as, marked)?;
                self.check_audience(event, &marked_as.audience)
            }
            Change::Renamed(renamed) => self.rename(event, renamed),
            Change::Undeliverable(undeliverable) => self.report(event, undeliverable, marked),
            Change::Removed(Removed { users }) => self.remove(event, users),
            Change::Updated(updated) => self.update(event, updated),
            Change::Redacted(Redacted { position }) => self.redact(event, *position, marked),
        }?;
        if event.change.is_activity() {
            self.conversation(event)?.latest = event.position;
        }
        Ok(())
    }

    /// Adds a message that was sent where the log was trimmed, and that comes after the last event.
    ///
    /// # Errors
    /// Why it cannot follow the events before it.
    pub(super) fn add_trimmed(&mut self, message: &Message) -> Result<(), String> {
        if message.position <= self.position {
            return Err("another event has its position".into());
        }
        let conversation = self.conversations.get_mut(&message.conversation);
        let conversation = conversation.ok_or("its conversation was never started")?;
        if !conversation.people.get(&message.sender).is_some_and(Person::is_present) {
            return Err(format!("{}, who sent it, takes no part in its conversation", message.sender.0));
        }
        conversation.latest = message.position;
        self.redacted_rows.extend(message.redacted_at.map(|at| (message.position, at)));
        Ok(())
    }

    /// Checks position, time and chain of the next event, and keeps them.
    fn advance(&mut self, event: &Event) -> Result<(), String> {
        let is_trimmed = event.position <= self.trimmed;
        if event.position != self.position.next() && !is_trimmed {
            return Err(format!("the one before it is {}: positions have a gap", self.position.0));
        }
        if event.at <= self.at {
            return Err("it is not later than the one before it".into());
        }
        if event.position == self.trimmed {
            self.trimmed_at = event.at;
        }
        if self.has_chains || event.chain != Chain::START {
            // Where the log was trimmed, there is not all that a chain covers.
            if !is_trimmed && event.chain != self.chain.after(event) {
                return Err("its chain does not follow from the one before it".into());
            }
            self.has_chains = true;
        }
        (self.position, self.chain, self.at) = (event.position, event.chain, event.at);
        Ok(())
    }

    fn start(&mut self, event: &Event, users: &[UserId]) -> Result<(), String> {
        if !users.contains(&event.actor) {
            return Err("the user who started the conversation is not in it".into());
        }
        let conversation = ConversationState {
            created_at: event.at,
            latest: event.position,
            present: 0,
            has_changed: false,
            people: HashMap::new(),
            renamed: None,
            updated: None,
            is_stored: false,
            unnoted: BTreeSet::new(),
            is_owned: false,
        };
        if self.conversations.insert(event.conversation, conversation).is_some() {
            return Err("its conversation was started before".into());
        }
        self.bring_in(event, users)?;
        self.make_owner(event, event.actor, false)
    }

    fn join(&mut self, event: &Event, users: &[UserId]) -> Result<(), String> {
        self.actor(event)?;
        self.conversation(event)?.has_changed = true;
        self.bring_in(event, users)
    }

    fn bring_in(&mut self, event: &Event, users: &[UserId]) -> Result<(), String> {
        if users.is_empty() {
            return Err("it brings in nobody".into());
        }
        let conversation = self.conversation(event)?;
        for user in users {
            let person = conversation.people.entry(*user).or_insert_with(|| Person {
                delivered_through: event.position,
                read_through: event.position,
                told: Vec::new(),
                stays: Vec::new(),
            });
            if person.is_present() {
                return Err(format!("it brings in {}, who takes part already", user.0));
            }
            let interval = Interval { joined: event.position, left: None };
            person.stays.push(Stay {
                interval,
                joined_at: event.at,
                owner_since: None,
                is_named: false,
                is_stored: false,
            });
            conversation.present += 1;
        }
        Ok(())
    }

    fn leave(&mut self, event: &Event, successor: Option<UserId>) -> Result<(), String> {
        let was_owner = self.actor(event)?.is_owner();
        self.let_go(event, event.actor)?;
        let heir = if was_owner { self.conversation(event)?.eldest() } else { None };
        // The events of earlier versions name nobody.
        if successor.is_some() && successor != heir {
            return Err("it names a successor who is not the next in the list of participants".into());
        }
        heir.map_or(Ok(()), |heir| self.make_owner(event, heir, successor.is_some()))
    }

    fn remove(&mut self, event: &Event, users: &[UserId]) -> Result<(), String> {
        if !self.actor(event)?.is_owner() {
            return Err(format!("{}, who removes people, does not own its conversation", event.actor.0));
        }
        if users.is_empty() || users.contains(&event.actor) {
            return Err("it removes nobody, or the user who caused it".into());
        }
        users.iter().try_for_each(|user| self.let_go(event, *user))
    }

    fn let_go(&mut self, event: &Event, user: UserId) -> Result<(), String> {
        let conversation = self.conversation(event)?;
        let person = conversation.people.get_mut(&user).filter(|person| person.is_present());
        let stay = person.and_then(|person| person.stays.last_mut());
        let stay = stay.ok_or_else(|| format!("it lets go of {}, who takes no part", user.0))?;
        stay.interval.left = Some(event.position);
        conversation.present -= 1;
        conversation.has_changed = true;
        Ok(())
    }

    fn make_owner(&mut self, event: &Event, user: UserId, is_named: bool) -> Result<(), String> {
        let person = self.conversation(event)?.people.get_mut(&user);
        if let Some(stay) = person.and_then(|person| person.stays.last_mut()) {
            (stay.owner_since, stay.is_named) = (Some(event.position), is_named);
        }
        Ok(())
    }

    fn mark(
        &mut self,
        event: &Event,
        marked_as: &Marked,
        marked: Option<MarkedMessage>,
    ) -> Result<(), String> {
        let Marked { mark, range: Range { from, through }, .. } = *marked_as;
        let person = self.actor(event)?;
        let before = *person.through(mark);
        // What is told may begin later than the mark.
        let is_part = marked_as.is_shared() && from > before;
        if from != before && !is_part {
            return Err(format!("its mark begins at {}, but had come to {}", from.0, before.0));
        }
        if through <= from || through >= event.position {
            return Err(format!("its mark goes from {} to {}", from.0, through.0));
        }
        let Some(marked) = marked.filter(|marked| marked.conversation == event.conversation) else {
            return Err(format!("its mark names {}, but its conversation has no message there", through.0));
        };
        if marked.sender == event.actor {
            return Err(format!("its mark names {}, a message of the user who marked", through.0));
        }
        if !person.was_present(through) {
            return Err(format!("its mark names {}, but the user who marked took no part then", through.0));
        }
        if marked_as.is_shared() {
            self.actor(event)?.tell(marked_as.range);
        }
        if is_part {
            self.partly_told = Some((event.conversation, event.actor, through));
            return Ok(());
        }
        let person = self.actor(event)?;
        *person.through(mark) = through;
        // Whoever has read a message has also received it.
        person.delivered_through = person.delivered_through.max(through);
        Ok(())
    }

    fn rename(&mut self, event: &Event, renamed: &Renamed) -> Result<(), String> {
        self.actor(event)?;
        let conversation = self.conversation(event)?;
        if renamed.title == renamed.former {
            return Err("it does not change the title".into());
        }
        if conversation.renamed.as_ref().is_some_and(|last| last.title != renamed.former) {
            return Err("its former title is not the one that the conversation had".into());
        }
        conversation.renamed = Some(renamed.clone());
        Ok(())
    }

    fn report(
        &mut self,
        event: &Event,
        undeliverable: &Undeliverable,
        reported: Option<MarkedMessage>,
    ) -> Result<(), String> {
        let through = undeliverable.message;
        let reported = reported.filter(|message| message.conversation == event.conversation);
        let Some(reported) = reported.filter(|_| through < event.position) else {
            return Err(format!("it is about {}, but its conversation has no message there", through.0));
        };
        if undeliverable.audience != Audience::Only([reported.sender].into()) {
            return Err("it is not told to just the sender of its message".into());
        }
        let person = self.conversation(event)?.people.get(&event.actor);
        let person = person.filter(|person| person.was_present(through) && event.actor != reported.sender);
        match person {
            None => Err(format!("{} is no recipient of its message", event.actor.0)),
            Some(person) if person.is_told(through) => Err("its message was delivered before".into()),
            Some(_) => Ok(()),
        }
    }

    fn update(&mut self, event: &Event, updated: &Updated) -> Result<(), String> {
        let Updated { to, former } = updated;
        if !self.actor(event)?.is_owner() {
            return Err(format!("{}, who changes its conversation, does not own it", event.actor.0));
        }
        let conversation = self.conversation(event)?;
        if to == former {
            return Err("it changes nothing".into());
        }
        if conversation.renamed.as_ref().is_some_and(|last| last.title != former.title) {
            return Err("its former title is not the one that the conversation had".into());
        }
        if conversation.updated.as_ref().is_some_and(|last| last.to.metadata != former.metadata) {
            return Err("its former metadata is not what the conversation had".into());
        }
        conversation.renamed = Some(Renamed { title: to.title.clone(), former: former.title.clone() });
        conversation.updated = Some(updated.clone());
        Ok(())
    }

    fn redact(
        &mut self,
        event: &Event,
        position: Position,
        message: Option<MarkedMessage>,
    ) -> Result<(), String> {
        let person = self.conversation(event)?.people.get(&event.actor);
        let is_owner = person.is_some_and(|person| person.is_present() && person.is_owner());
        let was_present = person.is_some_and(|person| person.was_present(position));
        let message = message.filter(|message| message.conversation == event.conversation);
        // The sender may have left since, and the owner may have joined later.
        if !message.is_some_and(|message| is_owner || (was_present && message.sender == event.actor)) {
            return Err(format!("{} may not redact a message at {}", event.actor.0, position.0));
        }
        if self.redacted_rows.remove(&position) != Some(event.at) {
            return Err(format!("it redacts the message at {}, whose row does not say so", position.0));
        }
        Ok(())
    }

    /// Checks that everybody in the audience of a mark takes or took part.
    fn check_audience(&mut self, event: &Event, audience: &Audience) -> Result<(), String> {
        let Audience::Only(users) = audience else { return Ok(()) };
        let conversation = self.conversation(event)?;
        match users.iter().find(|user| !conversation.people.contains_key(user)) {
            Some(stranger) => Err(format!("its audience has {}, who never took part", stranger.0)),
            None => Ok(()),
        }
    }

    fn conversation(&mut self, event: &Event) -> Result<&mut ConversationState, String> {
        self.conversations
            .get_mut(&event.conversation)
            .ok_or_else(|| "its conversation was never started".into())
    }

    /// The user who caused the event, and who must take part in its conversation.
    fn actor(&mut self, event: &Event) -> Result<&mut Person, String> {
        let person = self.conversation(event)?.people.get_mut(&event.actor);
        person
            .filter(|person| person.is_present())
            .ok_or_else(|| format!("{}, who caused it, takes no part in its conversation", event.actor.0))
    }
}
