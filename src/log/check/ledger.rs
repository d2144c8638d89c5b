//! What the events come to, told anew from the first one: who takes part when, how far each mark has come, how each
//! conversation stands. It is written without `Facts`, which made the rows that are to be checked.

// A new kind of event has to be thought of everywhere.
#![warn(clippy::wildcard_enum_match_arm)]

use std::collections::{BTreeSet, HashMap};

use crate::messaging::{
    Audience, Chain, Change, Conversation, ConversationId, Event, Interval, Joined, Left, Mark, Marked,
    Participation, People, Position, Range, Renamed, Sent, Started, Timestamp, UserId,
};

/// The message that a mark names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    pub(super) conversation: ConversationId,
    pub(super) sender: UserId,
}

/// All that the events so far come to.
pub(super) struct Ledger {
    pub(super) position: Position,
    pub(super) chain: Chain,
    pub(super) at: Timestamp,
    /// The events of before there were chains come first; none is among the later ones.
    has_chains: bool,
    conversations: HashMap<ConversationId, ConversationState>,
}

struct ConversationState {
    created_at: Timestamp,
    latest: Position,
    present: u32,
    /// Whether anybody joined or left since it was started.
    has_changed: bool,
    people: HashMap<UserId, Person>,
    /// The last change of its title; `None` where no event changed it. The first title is in its row alone.
    renamed: Option<Renamed>,
    is_stored: bool,
}

/// Somebody who takes or took part in a conversation.
struct Person {
    delivered: Position,
    read: Position,
    /// In the order in which they joined.
    stays: Vec<Stay>,
}

struct Stay {
    interval: Interval,
    joined_at: Timestamp,
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
            Mark::Delivered => &mut self.delivered,
            Mark::Read => &mut self.read,
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

    /// Adds the next event.
    ///
    /// # Errors
    /// How it cannot follow from those before it.
    pub(super) fn add(&mut self, event: &Event, named: Option<Named>) -> Result<(), String> {
        self.order(event)?;
        match &event.change {
            Change::Started(Started { users }) => self.start(event, users),
            Change::Joined(Joined { users }) => self.join(event, users),
            Change::Left(Left) => self.leave(event),
            Change::Sent(Sent { message }) => {
                let same = (message.conversation, message.sender, message.sent_at);
                if same != (event.conversation, event.actor, event.at) {
                    return Err("its message has another conversation, sender or time".into());
                }
                self.taking_part(event).map(|_| ())
            }
            Change::Marked(Marked { mark, range, audience }) => {
                self.mark(event, *mark, *range, named)?;
                self.tell(event, audience)
            }
            Change::Renamed(renamed) => self.rename(event, renamed),
        }?;
        if event.change.is_activity()
            && let Some(conversation) = self.conversations.get_mut(&event.conversation)
        {
            conversation.latest = event.position;
        }
        Ok(())
    }

    fn order(&mut self, event: &Event) -> Result<(), String> {
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
            return Err("who started the conversation is not in it".into());
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
        self.taking_part(event)?;
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
                delivered: event.position,
                read: event.position,
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
        let person = self.taking_part(event)?;
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
        named: Option<Named>,
    ) -> Result<(), String> {
        let person = self.taking_part(event)?;
        let before = *person.through(mark);
        if from != before {
            return Err(format!("its mark begins at {}, and had come to {}", from.0, before.0));
        }
        if through <= from || through >= event.position {
            return Err(format!("its mark goes from {} to {}", from.0, through.0));
        }
        let Some(named) = named.filter(|named| named.conversation == event.conversation) else {
            return Err(format!("its mark names {}, where its conversation has no message", through.0));
        };
        if named.sender == event.actor {
            return Err(format!("its mark names {}, a message of whoever marked", through.0));
        }
        if !person.was_present(through) {
            return Err(format!("its mark names {}, when whoever marked took no part", through.0));
        }
        *person.through(mark) = through;
        // To have read is to have received.
        person.delivered = person.delivered.max(through);
        Ok(())
    }

    fn rename(&mut self, event: &Event, renamed: &Renamed) -> Result<(), String> {
        self.taking_part(event)?;
        let conversation = self.conversation(event)?;
        if renamed.title == renamed.former {
            return Err("it changes no title".into());
        }
        if conversation.renamed.as_ref().is_some_and(|last| last.title != renamed.former) {
            return Err("its former title is not the one before it".into());
        }
        conversation.renamed = Some(renamed.clone());
        Ok(())
    }

    /// Whoever is told of a mark takes or took part.
    fn tell(&mut self, event: &Event, audience: &Audience) -> Result<(), String> {
        let Audience::Only(users) = audience else { return Ok(()) };
        let conversation = self.conversation(event)?;
        match users.iter().find(|user| !conversation.people.contains_key(user)) {
            Some(stranger) => Err(format!("it tells {}, who never took part", stranger.0)),
            None => Ok(()),
        }
    }

    fn conversation(&mut self, event: &Event) -> Result<&mut ConversationState, String> {
        self.conversations
            .get_mut(&event.conversation)
            .ok_or_else(|| "its conversation was never started".into())
    }

    fn taking_part(&mut self, event: &Event) -> Result<&mut Person, String> {
        let person = self.conversation(event)?.people.get_mut(&event.actor);
        person
            .filter(|person| person.is_present())
            .ok_or_else(|| format!("{}, who caused it, takes no part in its conversation", event.actor.0))
    }

    /// Compares a stored conversation with what the events say of it.
    ///
    /// # Errors
    /// How the two differ.
    pub(super) fn compare_conversation(&mut self, row: &Conversation) -> Result<(), String> {
        let conversation = self.conversations.get_mut(&row.id).ok_or("no event started it")?;
        conversation.is_stored = true;
        same("created_at", &row.created_at.0, &conversation.created_at.0)?;
        same("latest_position", &row.latest.0, &conversation.latest.0)?;
        same("participant_count", &row.participants, &conversation.present)?;
        if conversation.renamed.as_ref().is_some_and(|last| last.title != row.title) {
            return Err("title is not the one that it was last given".into());
        }
        match row.people {
            Some(_) if conversation.has_changed => {
                Err("people is set, although somebody joined or left".into())
            }
            Some(people) if people != People::of(conversation.people.keys().copied()) => {
                Err("people does not stand for those in it".into())
            }
            _ => Ok(()),
        }
    }

    /// Whether this user takes or took part.
    pub(super) fn took_part(&self, user: UserId, conversation: ConversationId) -> bool {
        self.conversations
            .get(&conversation)
            .is_some_and(|conversation| conversation.people.contains_key(&user))
    }

    /// Compares a stored participation with what the events say of it.
    ///
    /// # Errors
    /// How the two differ.
    pub(super) fn compare_participation(&mut self, row: &Participation) -> Result<(), String> {
        let conversation =
            self.conversations.get_mut(&row.conversation).ok_or("no event started its conversation")?;
        let person = conversation.people.get_mut(&row.user).ok_or("no event brought this user in")?;
        let newest = person.stays.last().map(|stay| stay.interval.joined);
        let found = person.stays.binary_search_by_key(&row.interval.joined, |stay| stay.interval.joined);
        let stay = &mut person.stays[found.map_err(|_| "no event brought this user in there")?];
        stay.is_stored = true;
        same("joined_at", &row.joined_at.0, &stay.joined_at.0)?;
        let left = |interval: Interval| interval.left.map_or("NULL".to_owned(), |left| left.0.to_string());
        same("left_position", &left(row.interval), &left(stay.interval))?;
        let is_newest = newest == Some(row.interval.joined);
        let marks = [
            ("delivered_through", row.delivered_through, person.delivered),
            ("read_through", row.read_through, person.read),
        ];
        for (column, stored, come) in marks {
            // In an earlier stay a mark need not go further than to the end of it.
            let (first, last) = (stay.interval.joined, stay.interval.left.unwrap_or(Position(i64::MAX)));
            let is_as_far = stored == come
                || (!is_newest && stored < come && stored.clamp(first, last) == come.clamp(first, last));
            if !is_as_far {
                return same(column, &stored.0, &come.0);
            }
        }
        Ok(())
    }

    /// What the events say, and no row was found for.
    ///
    /// # Errors
    /// The first of it.
    pub(super) fn all_was_stored(&self) -> Result<(), String> {
        let conversations: BTreeSet<_> = self
            .conversations
            .iter()
            .filter(|(_, conversation)| !conversation.is_stored)
            .map(|(id, conversation)| (conversation.created_at, id))
            .collect();
        if let Some((_, id)) = conversations.first() {
            return Err(format!("conversation {} was started, and is not stored", id.0));
        }
        let mut missing = BTreeSet::new();
        for (id, conversation) in &self.conversations {
            for (user, person) in &conversation.people {
                let stays = person.stays.iter().filter(|stay| !stay.is_stored);
                missing.extend(stays.map(|stay| (stay.interval.joined, id, user)));
            }
        }
        match missing.first() {
            Some((joined, id, user)) => Err(format!(
                "user {} joined conversation {} at {}, and no row of participants says so",
                user.0, id.0, joined.0
            )),
            None => Ok(()),
        }
    }
}

fn same<T: PartialEq + std::fmt::Display>(column: &str, stored: &T, told: &T) -> Result<(), String> {
    if stored == told {
        return Ok(());
    }
    Err(format!("{column} is {stored}, and {told} by the events"))
}
