//! The facts that decide a batch of commands. The writer loads them once for the whole batch. [`Facts::apply`] then
//! carries every decision over to the commands after it, and notes what has to be written back.

mod changes;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::{
    ConversationId, IdempotencyKey, Mark, Message, MessageId, Metadata, Participation, People, Place,
    Position, Reason, Request, Role, Sharing, Timestamp, Title, UpTo, UserId,
};

/// A conversation as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The conversation's id.
    pub id: ConversationId,
    /// The title; `None` where it has none.
    pub title: Option<Title>,
    /// What clients keep with it; `None` where that is nothing.
    pub metadata: Option<Metadata>,
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
    covered_senders: HashMap<(UserId, Mark, UpTo), Vec<CoveredSender>>,
    starts: HashMap<(UserId, IdempotencyKey), KeyedStart>,
    elders: HashMap<ConversationId, Vec<UserId>>,
    /// Of those who do not share everything.
    sharing: HashMap<UserId, Sharing>,
    of_just: HashMap<People, ConversationId>,
    /// By recipient and position of the message.
    reports: HashMap<(UserId, Position), Reason>,
    /// The recipients and positions of messages of which others were told that they were received, and that sharing does
    /// not tell.
    told: HashSet<(UserId, Position)>,
    new_starts: Vec<KeyedStart>,
    redacted_messages: Vec<Arc<Message>>,
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
            elders: HashMap::new(),
            sharing: HashMap::new(),
            of_just: HashMap::new(),
            reports: HashMap::new(),
            told: HashSet::new(),
            new_starts: Vec::new(),
            redacted_messages: Vec::new(),
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

    /// Learns who sent what the marker has yet to mark up to and with `up_to`.
    pub fn know_covered_senders(
        &mut self,
        marker: UserId,
        mark: Mark,
        up_to: UpTo,
        covered_senders: Vec<CoveredSender>,
    ) {
        self.covered_senders.insert((marker, mark, up_to), covered_senders);
    }

    /// Learns who has taken part in the conversation for longest, of those who take part. What they take part in has to
    /// be known beside this.
    pub fn know_elders(&mut self, conversation: ConversationId, elders: Vec<UserId>) {
        self.elders.insert(conversation, elders);
    }

    /// Learns what a user shares with others, unless they say otherwise for a conversation. A user of whom nothing is
    /// known shares everything.
    pub fn know_sharing(&mut self, user: UserId, sharing: Sharing) {
        self.sharing.insert(user, sharing);
    }

    /// Learns why the message at a position could not be brought to a recipient, as was said last.
    pub fn know_report(&mut self, recipient: UserId, message: Position, reason: Reason) {
        self.reports.insert((recipient, message), reason);
    }

    /// Learns that others were told that a recipient received the message at a position.
    pub fn know_told(&mut self, recipient: UserId, message: Position) {
        self.told.insert((recipient, message));
    }

    /// Whether others were told that the user received the message at a position of the conversation.
    pub fn is_delivery_told(&self, conversation: ConversationId, user: UserId, message: Position) -> bool {
        let is_shared =
            self.shared_after(conversation, user, Mark::Delivered).is_some_and(|after| message > after);
        let is_reached = is_shared && self.through(conversation, user, Mark::Delivered) >= message;
        is_reached || self.told.contains(&(user, message))
    }

    /// Why the message at a position could not be brought to a recipient, as was said last.
    pub fn report(&self, recipient: UserId, message: Position) -> Option<&Reason> {
        self.reports.get(&(recipient, message))
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

    /// Whether `user` owns the conversation.
    pub fn is_owner(&self, conversation: ConversationId, user: UserId) -> bool {
        self.open_participation(conversation, user).is_some_and(|part| part.role(None) == Role::Owner)
    }

    /// Who owns the conversation when its owner leaves: of the others, whoever has taken part for longest. Of those who
    /// joined at once it is the one with the smallest id, as in a list of participants.
    pub fn successor(&self, conversation: ConversationId, owner: UserId) -> Option<UserId> {
        let others =
            self.participations.iter().filter(|((id, user), _)| *id == conversation && *user != owner);
        let present = others.filter_map(|((_, user), parts)| {
            let joined = parts.iter().find(|part| part.is_open())?.interval.joined;
            Some((joined, *user))
        });
        present.min().map(|(_, user)| user)
    }

    /// Those of whom [`Facts::know_elders`] told.
    pub fn elders(&self, conversation: ConversationId) -> &[UserId] {
        self.elders.get(&conversation).map_or(&[], Vec::as_slice)
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

    /// The position after which others are told of the user's marks in the conversation; `None` while they are not. It is
    /// the same for every part that the user took.
    pub fn shared_after(&self, conversation: ConversationId, user: UserId, mark: Mark) -> Option<Position> {
        match self.participations(conversation, user).last() {
            Some(part) => part.shared_after(mark),
            None => {
                self.sharing.get(&user).copied().unwrap_or_default().tells(mark).then_some(Position::START)
            }
        }
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

    /// Those who sent what the marker has yet to mark after `from`, up to and with `up_to`.
    pub fn senders_up_to(&self, marker: UserId, mark: Mark, up_to: UpTo, from: Position) -> BTreeSet<UserId> {
        let loaded = self.covered_senders.get(&(marker, mark, up_to)).map_or(&[][..], Vec::as_slice);
        let senders = loaded.iter().filter(|sending| sending.newest > from).map(|sending| sending.sender);
        let mut senders: BTreeSet<_> = senders.collect();
        if let UpTo::Now(conversation) = up_to {
            // What was sent since these were loaded.
            let newer = self.received(conversation, marker).filter(|message| message.position > from);
            senders.extend(newer.map(|message| message.sender));
        }
        senders
    }

    /// The newest message of the conversation that the user received.
    pub fn newest_received(&self, conversation: ConversationId, user: UserId) -> Option<&Arc<Message>> {
        self.received(conversation, user).max_by_key(|message| message.position)
    }

    /// Of the messages that are known: those of the conversation that others sent while the user took part.
    fn received(&self, conversation: ConversationId, user: UserId) -> impl Iterator<Item = &Arc<Message>> {
        let stays = self.participations(conversation, user);
        self.messages.values().filter(move |message| {
            message.conversation == conversation
                && message.sender != user
                && stays.iter().any(|stay| stay.interval.holds(message.position))
        })
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

    /// The messages that the applied events redacted.
    pub fn redacted_messages(&self) -> &[Arc<Message>] {
        &self.redacted_messages
    }

    /// The participations that the applied events changed.
    pub fn changed_participations(&self) -> impl Iterator<Item = &Participation> {
        self.changed_participations.iter().filter_map(|&(conversation, user, joined)| {
            let mut parts = self.participations(conversation, user).iter();
            parts.find(|part| part.interval.joined == joined)
        })
    }
}
