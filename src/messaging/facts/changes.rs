//! How each event changes the facts. What never lives here: which facts an event of a kind changes, which is in
//! `messaging::event`.

use std::sync::Arc;

use super::Facts;
use crate::messaging::{
    ConversationId, Decision, Description, Event, Mark, Participation, Position, Timestamp, Title, UserId,
};

impl Facts {
    /// Carries a decision over to the commands that are decided after it.
    pub fn apply(&mut self, decision: &Decision) {
        if let Some(conversation) = &decision.begins {
            self.know_conversation(conversation.clone());
        }
        for event in &decision.events {
            self.apply_event(event);
        }
        if let (Some(key), Some(message)) = (&decision.message_key, &decision.message) {
            self.know_key(key.clone(), Arc::clone(message));
        }
        if let Some(start) = &decision.keyed_start {
            self.new_starts.push(start.clone());
            self.know_start(start.clone());
        }
    }

    fn apply_event(&mut self, event: &Event) {
        self.head = self.head.at(event);
        self.now = self.now.max(event.at.next());
        event.change.apply(event, self);
        if event.change.is_activity()
            && let Some(conversation) = self.conversations.get_mut(&event.conversation)
        {
            conversation.latest = event.position;
            self.changed_conversations.insert(event.conversation);
        }
    }

    /// Lets these users take part from this event on.
    pub(in crate::messaging) fn bring_in(&mut self, event: &Event, users: &[UserId]) {
        for &user in users {
            let mut part = Participation::new(event.conversation, user, event.position, event.at);
            let shared_after = |mark| self.shared_after(event.conversation, user, mark);
            part.delivered_shared_after = shared_after(Mark::Delivered);
            part.read_shared_after = shared_after(Mark::Read);
            if !self.participations(event.conversation, user).is_empty() {
                // A user who comes back has not received more than when they left.
                part.delivered_through = self.through(event.conversation, user, Mark::Delivered);
                part.read_through = self.through(event.conversation, user, Mark::Read);
            }
            self.participations.entry((event.conversation, user)).or_default().push(part);
            self.changed_participations.insert((event.conversation, user, event.position));
        }
        if let Some(conversation) = self.conversations.get_mut(&event.conversation) {
            conversation.participants += u32::try_from(users.len()).unwrap_or(u32::MAX);
        }
    }

    /// Notes that somebody joins or leaves. The conversation is then no longer the one conversation of just its people.
    pub(in crate::messaging) fn change_people(&mut self, id: ConversationId) {
        if let Some(people) = self.conversations.get_mut(&id).and_then(|known| known.people.take()) {
            self.of_just.remove(&people);
        }
    }

    /// Ends the participation of these users with this event.
    pub(in crate::messaging) fn let_go(&mut self, event: &Event, users: &[UserId]) {
        for &user in users {
            let key = (event.conversation, user);
            for part in self.participations.entry(key).or_default().iter_mut().filter(|p| p.is_open()) {
                part.interval.left = Some(event.position);
                self.changed_participations.insert((key.0, key.1, part.interval.joined));
            }
        }
        if let Some(conversation) = self.conversations.get_mut(&event.conversation) {
            let leaving = u32::try_from(users.len()).unwrap_or(u32::MAX);
            conversation.participants = conversation.participants.saturating_sub(leaving);
        }
    }

    /// Makes a participant the owner from this event on.
    pub(in crate::messaging) fn make_owner(&mut self, event: &Event, user: UserId) {
        let key = (event.conversation, user);
        for part in self.participations.entry(key).or_default().iter_mut().filter(|part| part.is_open()) {
            part.owner_since = Some(event.position);
            self.changed_participations.insert((key.0, key.1, part.interval.joined));
        }
    }

    /// Takes the text of the message at a position away.
    pub(in crate::messaging) fn redact(&mut self, position: Position, at: Timestamp) {
        let known = self.messages.values().find(|message| message.position == position);
        let Some(redacted) = known.map(|message| Arc::new(message.redacted(at))) else { return };
        for message in self.messages.values_mut().chain(self.keys.values_mut()) {
            if message.position == position {
                *message = Arc::clone(&redacted);
            }
        }
        self.redacted_messages.push(redacted);
    }

    /// Gives the conversation another title.
    pub(in crate::messaging) fn rename(&mut self, id: ConversationId, title: Option<Title>) {
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.title = title;
        }
    }

    /// Changes what is kept of the conversation.
    pub(in crate::messaging) fn describe(&mut self, id: ConversationId, to: Description) {
        if let Some(conversation) = self.conversations.get_mut(&id) {
            Description { title: conversation.title, metadata: conversation.metadata } = to;
        }
    }

    /// Moves the actor's mark forward to `through`.
    pub(in crate::messaging) fn mark(&mut self, event: &Event, mark: Mark, through: Position) {
        let key = (event.conversation, event.actor);
        // An earlier participation changes only if the mark covers something in it. So a participation whose messages
        // are all marked is not written again, however often somebody came and went.
        let parts = self.participations.entry(key).or_default().iter_mut();
        for part in parts.filter(|part| part.is_open() || part.is_reached(mark, through)) {
            part.advance(mark, through);
            self.changed_participations.insert((key.0, key.1, part.interval.joined));
        }
    }
}
