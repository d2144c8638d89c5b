//! The state that follows from the events: who takes part when, how far each mark has come, how each conversation
//! stands. It does not use `messaging::Facts`, because those made the rows that are checked.
//!
//! Here the events are applied one by one, and each is checked against those before it. [`compare`] compares stored
//! rows with the result.

// A new kind of event must not fall into a wildcard arm.
#![warn(clippy::wildcard_enum_match_arm)]

mod compare;

use std::collections::HashMap;

use crate::messaging::{
    Audience, Chain, Change, ConversationId, Event, Interval, Joined, Left, Mark, Marked, Position, Range,
    Renamed, Sent, Started, Timestamp, Undeliverable, UserId,
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
    /// Whether an event with a chain has come. The events of earlier versions have none, and all come before it.
    has_chains: bool,
    conversations: HashMap<ConversationId, ConversationState>,
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
    /// Whether a row of `conversations` was compared with it.
    is_stored: bool,
}

/// Somebody who takes or took part in a conversation.
struct Person {
    delivered_through: Position,
    read_through: Position,
    /// In the order in which the person joined.
    stays: Vec<Stay>,
}

struct Stay {
    interval: Interval,
    joined_at: Timestamp,
    /// Whether a row of `participants` was compared with it.
    is_stored: bool,
}

impl Person {
    fn is_present(&self) -> bool {
        self.stays.last().is_some_and(|stay| stay.interval.left.is_none())
    }

    fn was_present(&self, position: Position) -> bool {
        // Stays do not overlap.
        let begun = self.stays.partition_point(|stay| stay.interval.joined <= position);
        self.stays[..begun].last().is_some_and(|stay| stay.interval.holds(position))
    }

    fn through(&mut self, mark: Mark) -> &mut Position {
        match mark {
            Mark::Delivered => &mut self.delivered_through,
            Mark::Read => &mut self.read_through,
        }
    }
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            position: Position::START,
            chain: Chain::START,
            at: Timestamp(i64::MIN),
            has_chains: false,
            conversations: HashMap::new(),
        }
    }

    /// Adds the next event. `marked` is the message that it marks, if it is a mark and there is such a message.
    ///
    /// # Errors
    /// Why it cannot follow the events before it.
    pub(super) fn add(&mut self, event: &Event, marked: Option<MarkedMessage>) -> Result<(), String> {
        self.advance(event)?;
        match &event.change {
            Change::Started(Started { users }) => self.start(event, users),
            Change::Joined(Joined { users }) => self.join(event, users),
            Change::Left(Left) => self.leave(event),
            Change::Sent(Sent { message }) => {
                let of_message = (message.conversation, message.sender, message.sent_at);
                if of_message != (event.conversation, event.actor, event.at) {
                    return Err("its message has another conversation, sender or time".into());
                }
                self.actor(event).map(|_| ())
            }
            Change::Marked(Marked { mark, range, audience }) => {
                self.mark(event, *mark, *range, marked)?;
                self.check_audience(event, audience)
            }
            Change::Renamed(renamed) => self.rename(event, renamed),
            Change::Undeliverable(undeliverable) => self.report(event, undeliverable, marked),
        }?;
        if event.change.is_activity()
            && let Some(conversation) = self.conversations.get_mut(&event.conversation)
        {
            conversation.latest = event.position;
        }
        Ok(())
    }

    /// Checks position, time and chain of the next event, and keeps them.
    fn advance(&mut self, event: &Event) -> Result<(), String> {
        if event.position != self.position.next() {
            return Err(format!("the one before it is {}: positions have a gap", self.position.0));
        }
        if event.at <= self.at {
            return Err("it is not later than the one before it".into());
        }
        if self.has_chains || event.chain != Chain::START {
            if event.chain != self.chain.after(event) {
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
            is_stored: false,
        };
        if self.conversations.insert(event.conversation, conversation).is_some() {
            return Err("its conversation was started before".into());
        }
        self.bring_in(event, users)
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
                stays: Vec::new(),
            });
            if person.is_present() {
                return Err(format!("it brings in {}, who takes part already", user.0));
            }
            let interval = Interval { joined: event.position, left: None };
            person.stays.push(Stay { interval, joined_at: event.at, is_stored: false });
            conversation.present += 1;
        }
        Ok(())
    }

    fn leave(&mut self, event: &Event) -> Result<(), String> {
        let person = self.actor(event)?;
        if let Some(stay) = person.stays.last_mut() {
            stay.interval.left = Some(event.position);
        }
        let conversation = self.conversation(event)?;
        conversation.present -= 1;
        conversation.has_changed = true;
        Ok(())
    }

    fn mark(
        &mut self,
        event: &Event,
        mark: Mark,
        Range { from, through }: Range,
        marked: Option<MarkedMessage>,
    ) -> Result<(), String> {
        let person = self.actor(event)?;
        let before = *person.through(mark);
        if from != before {
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
            Some(person) if person.delivered_through >= through => {
                Err("its message was delivered before".into())
            }
            Some(_) => Ok(()),
        }
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
