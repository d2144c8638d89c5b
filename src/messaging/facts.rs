//! The facts that decide a batch of commands, and how each event changes them.
//!
//! The writer loads the facts once for the whole batch; [`Facts::apply`] then carries every decision over to
//! the commands after it, and remembers what has to be written back.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{
    ConversationId, Decision, Event, IdempotencyKey, Mark, Message, MessageId, Participation, People, Place,
    Position, Request, Timestamp, Title, UserId,
};

/// A conversation as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The conversation's id.
    pub id: ConversationId,
    /// The title; `None` where it has none.
    pub title: Option<Title>,
    /// The time of the event that started it.
    pub created_at: Timestamp,
    /// The position of its newest event that is not a mark. A mark does not move a conversation up a list.
    pub latest: Position,
    /// The number of users who take part now.
    pub participants: u32,
    /// Those who take part, where it is the one conversation of just these people: it was started so, and nobody has
    /// joined or left since.
    pub people: Option<People>,
}

/// A start that a user made under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedStart {
    /// The user who started it.
    pub actor: UserId,
    /// The idempotency key, which is unique to this user.
    pub key: IdempotencyKey,
    /// The digest of what the user asked for.
    pub request: Request,
    /// The conversation that the answer named.
    pub conversation: ConversationId,
}

/// A user who sent messages that a mark covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoveredSender {
    /// The user.
    pub sender: UserId,
    /// The position of their newest message that the mark covers.
    pub newest: Position,
}

/// The facts behind a batch of commands. A participant that is missing from them is treated as not taking part, and a
/// message that is missing as not existing: [`super::needs()`] names what has to be there.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The end of the log.
    pub head: Place,
    /// The earliest time that the next event can have: the time of this batch, or right after the event before it.
    pub now: Timestamp,
    /// Most participants that still see every mark of each other.
    pub small_conversation: u32,
    /// Most participants that a conversation may have.
    pub most_participants: u32,
    conversations: HashMap<ConversationId, Conversation>,
    participations: HashMap<(ConversationId, UserId), Vec<Participation>>,
    messages: HashMap<MessageId, Arc<Message>>,
    keys: HashMap<(UserId, IdempotencyKey), Arc<Message>>,
    covered_senders: HashMap<(UserId, Mark, MessageId), Vec<CoveredSender>>,
    starts: HashMap<(UserId, IdempotencyKey), KeyedStart>,
    of_just: HashMap<People, ConversationId>,
    new_starts: Vec<KeyedStart>,
    changed_conversations: BTreeSet<ConversationId>,
    /// By conversation, user and where they joined.
    changed_participations: BTreeSet<(ConversationId, UserId, Position)>,
}

impl Facts {
    /// Facts before anything is loaded. `now` must be later than every event of the log.
    pub fn new(head: Place, now: Timestamp, small_conversation: u32, most_participants: u32) -> Self {
        Self {
            head,
            now,
            small_conversation,
            most_participants,
            conversations: HashMap::new(),
            participations: HashMap::new(),
            messages: HashMap::new(),
            keys: HashMap::new(),
            covered_senders: HashMap::new(),
            starts: HashMap::new(),
            of_just: HashMap::new(),
            new_starts: Vec::new(),
            changed_conversations: BTreeSet::new(),
            changed_participations: BTreeSet::new(),
        }
    }

    /// Learns of a conversation.
    pub fn know_conversation(&mut self, conversation: Conversation) {
        if let Some(people) = conversation.people {
            self.of_just.insert(people, conversation.id);
        }
        self.conversations.insert(conversation.id, conversation);
    }

    /// Learns of every part that `user` takes or took in the conversation.
    pub fn know_participations(
        &mut self,
        conversation: ConversationId,
        user: UserId,
        participations: Vec<Participation>,
    ) {
        self.participations.insert((conversation, user), participations);
    }

    /// Learns of a message.
    pub fn know_message(&mut self, message: Arc<Message>) {
        self.messages.insert(message.id, message);
    }

    /// Learns which message a sender's key stands for.
    pub fn know_key(&mut self, key: IdempotencyKey, message: Arc<Message>) {
        self.keys.insert((message.sender, key), message);
    }

    /// Learns what somebody started under a key.
    pub fn know_start(&mut self, start: KeyedStart) {
        self.starts.insert((start.actor, start.key.clone()), start);
    }

    /// Learns who sent what the marker has yet to mark up to and with `message`.
    pub fn know_covered_senders(
        &mut self,
        marker: UserId,
        mark: Mark,
        message: MessageId,
        covered_senders: Vec<CoveredSender>,
    ) {
        self.covered_senders.insert((marker, mark, message), covered_senders);
    }

    /// The conversation, if it exists.
    pub fn conversation(&self, id: ConversationId) -> Option<&Conversation> {
        self.conversations.get(&id)
    }

    /// Every part that `user` took in the conversation.
    pub fn participations(&self, conversation: ConversationId, user: UserId) -> &[Participation] {
        self.participations.get(&(conversation, user)).map_or(&[], Vec::as_slice)
    }

    /// The part that `user` takes in the conversation now.
    pub fn open_participation(&self, conversation: ConversationId, user: UserId) -> Option<&Participation> {
        self.participations(conversation, user).iter().find(|p| p.is_open())
    }

    /// Where `user` left the conversation, if they take no part in it now.
    pub fn left(&self, conversation: ConversationId, user: UserId) -> Option<Position> {
        let parts = self.participations(conversation, user).iter();
        parts.max_by_key(|part| part.interval.joined).and_then(|part| part.interval.left)
    }

    /// How far the user's mark has come, over every part they took.
    pub fn through(&self, conversation: ConversationId, user: UserId, mark: Mark) -> Position {
        let parts = self.participations(conversation, user).iter();
        parts.map(|p| p.through(mark)).max().unwrap_or(Position::START)
    }

    /// The message, if it exists.
    pub fn message(&self, id: MessageId) -> Option<&Arc<Message>> {
        self.messages.get(&id)
    }

    /// The message that `sender` sent under `key`.
    pub fn by_key(&self, sender: UserId, key: &IdempotencyKey) -> Option<&Arc<Message>> {
        self.keys.get(&(sender, key.clone()))
    }

    /// What `actor` started under `key`.
    pub fn start_by_key(&self, actor: UserId, key: &IdempotencyKey) -> Option<&KeyedStart> {
        self.starts.get(&(actor, key.clone()))
    }

    /// The one conversation of just these people, if there is one.
    pub fn of_just(&self, people: People) -> Option<ConversationId> {
        self.of_just.get(&people).copied()
    }

    /// Those who sent what the marker has yet to mark up to and with `message`.
    pub fn senders_up_to(
        &self,
        marker: UserId,
        mark: Mark,
        message: &Message,
    ) -> impl Iterator<Item = UserId> {
        let from = self.through(message.conversation, marker, mark);
        let covered_senders =
            self.covered_senders.get(&(marker, mark, message.id)).map_or(&[][..], Vec::as_slice);
        covered_senders.iter().filter(move |sending| sending.newest > from).map(|sending| sending.sender)
    }

    /// Carries a decision over to the commands that are decided after it.
    pub fn apply(&mut self, decision: &Decision) {
        if let Some(conversation) = &decision.begins {
            self.know_conversation(conversation.clone());
        }
        if let Some(event) = &decision.event {
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
    pub(super) fn bring_in(&mut self, event: &Event, users: &[UserId]) {
        for &user in users {
            let mut part = Participation::new(event.conversation, user, event.position, event.at);
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
    pub(super) fn change_people(&mut self, id: ConversationId) {
        if let Some(people) = self.conversations.get_mut(&id).and_then(|known| known.people.take()) {
            self.of_just.remove(&people);
        }
    }

    /// Ends the participation of these users with this event.
    pub(super) fn let_go(&mut self, event: &Event, users: &[UserId]) {
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

    /// Gives the conversation another title.
    pub(super) fn rename(&mut self, id: ConversationId, title: Option<Title>) {
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.title = title;
        }
    }

    /// Moves the actor's mark forward to `through`.
    pub(super) fn mark(&mut self, event: &Event, mark: Mark, through: Position) {
        let key = (event.conversation, event.actor);
        // An earlier participation changes only if the mark covers something in it. So a participation whose messages
        // are all marked is not written again, however often somebody came and went.
        let parts = self.participations.entry(key).or_default().iter_mut();
        for part in parts.filter(|part| part.is_open() || part.is_reached(mark, through)) {
            part.advance(mark, through);
            self.changed_participations.insert((key.0, key.1, part.interval.joined));
        }
    }

    /// Every conversation that is known, as of the head.
    pub fn conversations(&self) -> impl Iterator<Item = &Conversation> {
        self.conversations.values()
    }

    /// Every message that is known.
    pub fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.messages.values()
    }

    /// Of everyone of whom it is known which parts they take or took in a conversation: these parts, as of the head.
    pub fn all_participations(&self) -> impl Iterator<Item = (ConversationId, UserId, &[Participation])> {
        self.participations.iter().map(|(&(conversation, user), stays)| (conversation, user, &stays[..]))
    }

    /// The conversations that the applied events changed.
    pub fn changed_conversations(&self) -> impl Iterator<Item = &Conversation> {
        self.changed_conversations.iter().filter_map(|id| self.conversations.get(id))
    }

    /// The keys that the applied decisions used for the first time, with what they stand for.
    pub fn new_starts(&self) -> &[KeyedStart] {
        &self.new_starts
    }

    /// The participations that the applied events changed.
    pub fn changed_participations(&self) -> impl Iterator<Item = &Participation> {
        self.changed_participations.iter().filter_map(|&(conversation, user, joined)| {
            let mut parts = self.participations(conversation, user).iter();
            parts.find(|part| part.interval.joined == joined)
        })
    }
}
