//! The rules of messaging against a model that is too simple to be wrong: for every message it keeps a row per
//! recipient, which is exactly what herald does not do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use herald::messaging::{
    Action, Add, Audience, Body, Chain, Change, Command, Conversation, ConversationId, Counts, Covered,
    CoveredSender, Decision, Edit, Epoch, Event, Facts, IdempotencyKey, Leave, Mark, MarkThrough, MessageId,
    Metadata, Participation, Place, Position, Range, Reason, Redact, Redacted, Refusal, Remove, Rename,
    Report, Send, Sent, Sharing, Start, Status, Timestamp, Title, UpTo, Update, UserId, decide, needs, view,
};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use uuid::Uuid;

const USERS: u128 = 6;
const SMALL: u32 = 2;
const MOST: u32 = 5;
const START: Place = Place { epoch: Epoch(7), position: Position::START, chain: Chain::START };

fn user(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

/// What someone does. Conversations and messages are picked among those there are.
#[derive(Debug, Clone)]
enum Step {
    Start {
        by: u128,
        with: Vec<u128>,
        title: Option<u8>,
        key: Option<u8>,
        is_distinct: bool,
    },
    Add {
        by: u128,
        to: Index,
        whom: Vec<u128>,
    },
    Leave {
        by: u128,
        from: Index,
    },
    Remove {
        by: u128,
        from: Index,
        whom: Vec<u128>,
    },
    Send {
        by: u128,
        to: Index,
        body: u8,
        key: Option<u8>,
    },
    Mark {
        by: u128,
        message: Index,
        mark: Mark,
    },
    MarkAll {
        by: u128,
        of: Index,
        mark: Mark,
    },
    Redact {
        by: u128,
        message: Index,
    },
    Rename {
        by: u128,
        what: Index,
        title: Option<u8>,
    },
    Update {
        by: u128,
        what: Index,
        title: Edit<u8>,
        metadata: Edit<u8>,
    },
    /// A service says that it could not bring the message to a user.
    Report {
        to: u128,
        message: Index,
        reason: u8,
    },
}

/// What must come of it.
#[derive(Debug, Clone, PartialEq)]
enum Expected {
    Refused(Refusal),
    Unchanged,
    /// Nothing new: the conversation there is, by its place among all.
    Found(usize),
    Event {
        told: Option<BTreeSet<UserId>>,
    },
}

/// What was asked for by a start.
type Asked = (BTreeSet<u128>, Option<u8>, bool);

#[derive(Debug, Clone)]
struct ModelMessage {
    room: usize,
    sender: u128,
    is_redacted: bool,
    /// How far it has come with each recipient: received, read.
    receipts: BTreeMap<u128, (bool, bool)>,
}

#[derive(Debug, Clone, Default)]
struct Model {
    rooms: Vec<BTreeSet<u128>>,
    /// Who takes part in each room, in the order of joining. Those who joined at once are in the order of their ids.
    orders: Vec<Vec<u128>>,
    owners: Vec<Option<u128>>,
    /// What each room is called.
    titles: Vec<Option<u8>>,
    /// What is kept with each room.
    metadata: Vec<Option<u8>>,
    /// Of each room, whether it was started as the one of just its people, and nobody has joined or left since.
    one_of_just: Vec<bool>,
    messages: Vec<ModelMessage>,
    starts: BTreeMap<(u128, u8), (Asked, usize)>,
    /// The room, what was said, and the message.
    keys: BTreeMap<(u128, u8), (usize, u8, usize)>,
    /// The last reason of each recipient and message.
    reports: BTreeMap<(u128, usize), u8>,
    expected: Option<Expected>,
    /// The messages that the last step marked, and that were not marked so before.
    covered: Vec<usize>,
}

impl Model {
    fn step(&mut self, step: &Step) -> Expected {
        match step {
            Step::Start { by, with, title, key, is_distinct } => {
                let room: BTreeSet<_> = with.iter().copied().chain([*by]).collect();
                return self.start(*by, (room, *title, *is_distinct), *key);
            }
            Step::Add { by, to, whom } => {
                let Some(room) = self.room(to).filter(|room| self.rooms[*room].contains(by)) else {
                    return Expected::Refused(Refusal::NoSuchConversation);
                };
                let all: BTreeSet<_> = self.rooms[room].iter().chain(whom).copied().collect();
                if all == self.rooms[room] {
                    return Expected::Unchanged;
                }
                if all.len() > MOST as usize {
                    return Expected::Refused(Refusal::TooManyParticipants { most: MOST });
                }
                let new: Vec<_> = all.difference(&self.rooms[room]).copied().collect();
                self.orders[room].extend(new);
                self.rooms[room] = all;
                self.one_of_just[room] = false;
            }
            Step::Leave { by, from } => {
                let Some(room) = self.room(from).filter(|room| self.rooms[*room].contains(by)) else {
                    return Expected::Refused(Refusal::NoSuchConversation);
                };
                self.let_go(room, *by);
            }
            Step::Remove { by, from, whom } => {
                let Some(room) = self.room(from).filter(|room| self.rooms[*room].contains(by)) else {
                    return Expected::Refused(Refusal::NoSuchConversation);
                };
                if self.owners[room] != Some(*by) {
                    return Expected::Refused(Refusal::NotAnOwner);
                }
                if whom.contains(by) {
                    return Expected::Refused(Refusal::Oneself);
                }
                if self.one_of_just[room] && self.rooms[room].len() == 2 {
                    return Expected::Refused(Refusal::OneOfTwo);
                }
                let gone: BTreeSet<_> =
                    whom.iter().copied().filter(|user| self.rooms[room].contains(user)).collect();
                if gone.is_empty() {
                    return Expected::Unchanged;
                }
                for user in gone {
                    self.let_go(room, user);
                }
            }
            Step::Send { by, to, body, key } => return self.send(*by, to, *body, *key),
            Step::Mark { by, message, mark } => return self.mark(*by, message, *mark),
            Step::Report { to, message, reason } => return self.report(*to, message, *reason),
            Step::MarkAll { by, of, mark } => {
                let Some(room) = self.room(of).filter(|room| self.rooms[*room].contains(by)) else {
                    return Expected::Refused(Refusal::NoSuchConversation);
                };
                let newest =
                    |message: &ModelMessage| message.room == room && message.receipts.contains_key(by);
                let Some(newest) = self.messages.iter().rposition(newest) else { return Expected::Unchanged };
                return self.mark_through(*by, newest, *mark);
            }
            Step::Redact { by, message } => return self.redact(*by, message),
            Step::Rename { by, what, title } => {
                let Some(room) = self.room(what).filter(|room| self.rooms[*room].contains(by)) else {
                    return Expected::Refused(Refusal::NoSuchConversation);
                };
                if self.titles[room] == *title {
                    return Expected::Unchanged;
                }
                self.titles[room] = *title;
            }
            Step::Update { by, what, title, metadata } => {
                let Some(room) = self.room(what).filter(|room| self.rooms[*room].contains(by)) else {
                    return Expected::Refused(Refusal::NoSuchConversation);
                };
                if self.owners[room] != Some(*by) {
                    return Expected::Refused(Refusal::NotAnOwner);
                }
                let former = (self.titles[room], self.metadata[room]);
                let edited = |edit: &Edit<u8>, former| match edit {
                    Edit::Keep => former,
                    Edit::Set(to) => *to,
                };
                let to = (edited(title, former.0), edited(metadata, former.1));
                if to == former {
                    return Expected::Unchanged;
                }
                (self.titles[room], self.metadata[room]) = to;
            }
        }
        Expected::Event { told: None }
    }

    fn redact(&mut self, by: u128, message: &Index) -> Expected {
        let index = (!self.messages.is_empty()).then(|| message.index(self.messages.len()));
        let Some(index) = index else { return Expected::Refused(Refusal::NoSuchMessage) };
        let ModelMessage { room, sender, receipts, .. } = &self.messages[index];
        if *sender != by && self.owners[*room] != Some(by) {
            let is_seen = self.rooms[*room].contains(&by) && receipts.contains_key(&by);
            return Expected::Refused(if is_seen {
                Refusal::NeitherSenderNorOwner
            } else {
                Refusal::NoSuchMessage
            });
        }
        if std::mem::replace(&mut self.messages[index].is_redacted, true) {
            return Expected::Unchanged;
        }
        Expected::Event { told: None }
    }

    fn let_go(&mut self, room: usize, user: u128) {
        self.rooms[room].remove(&user);
        self.orders[room].retain(|other| *other != user);
        self.one_of_just[room] = false;
        if self.owners[room] == Some(user) {
            self.owners[room] = self.orders[room].first().copied();
        }
    }

    fn start(&mut self, by: u128, asked: Asked, key: Option<u8>) -> Expected {
        if let Some((first, room)) = key.and_then(|key| self.starts.get(&(by, key))) {
            return if *first == asked {
                Expected::Found(*room)
            } else {
                Expected::Refused(Refusal::KeyReused)
            };
        }
        let (people, title, is_distinct) = &asked;
        if people.len() < 2 {
            return Expected::Refused(Refusal::NobodyElse);
        }
        if people.len() > MOST as usize {
            return Expected::Refused(Refusal::TooManyParticipants { most: MOST });
        }
        let mut rooms = self.rooms.iter().zip(&self.one_of_just);
        let found = rooms.position(|(room, one_of_just)| *is_distinct && *one_of_just && room == people);
        let room = found.unwrap_or(self.rooms.len());
        if found.is_none() {
            self.rooms.push(people.clone());
            self.orders.push(people.iter().copied().collect());
            self.owners.push(Some(by));
            self.one_of_just.push(*is_distinct);
            self.titles.push(*title);
            // What is asked for as a title is asked for as metadata, too.
            self.metadata.push(*title);
        }
        if let Some(key) = key {
            self.starts.insert((by, key), (asked, room));
        }
        found.map_or(Expected::Event { told: None }, Expected::Found)
    }

    fn send(&mut self, by: u128, to: &Index, body: u8, key: Option<u8>) -> Expected {
        let Some(room) = self.room(to) else {
            return Expected::Refused(Refusal::NoSuchConversation);
        };
        if let Some(first) = key.and_then(|key| self.keys.get(&(by, key))) {
            let (first_room, said, message) = *first;
            return if first_room == room && (said == body || self.messages[message].is_redacted) {
                Expected::Unchanged
            } else {
                Expected::Refused(Refusal::KeyReused)
            };
        }
        if !self.rooms[room].contains(&by) {
            return Expected::Refused(Refusal::NoSuchConversation);
        }
        if let Some(key) = key {
            self.keys.insert((by, key), (room, body, self.messages.len()));
        }
        let recipients = self.rooms[room].iter().filter(|user| **user != by);
        let receipts = recipients.map(|user| (*user, (false, false))).collect();
        self.messages.push(ModelMessage { room, sender: by, is_redacted: false, receipts });
        Expected::Event { told: None }
    }

    fn mark(&mut self, by: u128, message: &Index, mark: Mark) -> Expected {
        let Some(index) = (!self.messages.is_empty()).then(|| message.index(self.messages.len())) else {
            return Expected::Refused(Refusal::NoSuchMessage);
        };
        let ModelMessage { room, sender, receipts, .. } = self.messages[index].clone();
        let is_visible = sender == by || receipts.contains_key(&by);
        if !self.rooms[room].contains(&by) || !is_visible {
            return Expected::Refused(Refusal::NoSuchMessage);
        }
        if sender == by {
            return Expected::Refused(Refusal::SenderCannotMark);
        }
        self.mark_through(by, index, mark)
    }

    fn mark_through(&mut self, by: u128, index: usize, mark: Mark) -> Expected {
        let room = self.messages[index].room;
        let mut senders = BTreeSet::new();
        let messages = self.messages[..=index].iter_mut().enumerate();
        for (index, message) in messages.filter(|(_, message)| message.room == room) {
            let sender = message.sender;
            let Some((delivered, read)) = message.receipts.get_mut(&by) else { continue };
            let reached = match mark {
                Mark::Delivered => &mut *delivered,
                Mark::Read => read,
            };
            if !*reached {
                senders.insert(user(sender));
                self.covered.push(index);
            }
            *reached = true;
            // To have read is to have received.
            *delivered = true;
        }
        if senders.is_empty() {
            return Expected::Unchanged;
        }
        let is_large = self.rooms[room].len() > SMALL as usize;
        Expected::Event { told: is_large.then(|| senders.into_iter().chain([user(by)]).collect()) }
    }

    fn report(&mut self, to: u128, message: &Index, reason: u8) -> Expected {
        let index = (!self.messages.is_empty()).then(|| message.index(self.messages.len()));
        let receipt = index.and_then(|index| Some((index, *self.messages[index].receipts.get(&to)?)));
        let Some((index, (is_delivered, _))) = receipt else {
            return Expected::Refused(Refusal::NotARecipient);
        };
        if is_delivered || self.reports.insert((to, index), reason) == Some(reason) {
            return Expected::Unchanged;
        }
        self.covered.push(index);
        Expected::Event { told: Some([user(self.messages[index].sender)].into()) }
    }

    fn room(&self, index: &Index) -> Option<usize> {
        (!self.rooms.is_empty()).then(|| index.index(self.rooms.len()))
    }
}

fn start(with: impl Strategy<Value = Vec<u128>>) -> impl Strategy<Value = Step> {
    let key = prop::option::weighted(0.3, 0..2_u8);
    (0..USERS, with, prop::option::of(0..2_u8), key, any::<bool>())
        .prop_map(|(by, with, title, key, is_distinct)| Step::Start { by, with, title, key, is_distinct })
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..USERS;
    let text = || prop_oneof![Just(Edit::Keep), prop::option::of(0..2_u8).prop_map(Edit::Set)];
    let some = || prop::collection::vec(0..USERS, 0..6);
    let mark = || prop_oneof![Just(Mark::Delivered), Just(Mark::Read)];
    prop_oneof![
        1 => start(prop::collection::vec(0..USERS, 0..6)),
        // Of few people, so that the same ones meet again.
        1 => start(prop::collection::vec(0..3_u128, 1..3)),
        2 => (who(), any::<Index>(), some()).prop_map(|(by, to, whom)| Step::Add { by, to, whom }),
        2 => (who(), any::<Index>()).prop_map(|(by, from)| Step::Leave { by, from }),
        2 => (who(), any::<Index>(), some()).prop_map(|(by, from, whom)| Step::Remove { by, from, whom }),
        6 => (who(), any::<Index>(), 0..2_u8, prop::option::weighted(0.3, 0..3_u8))
            .prop_map(|(by, to, body, key)| Step::Send { by, to, body, key }),
        8 => (who(), any::<Index>(), mark())
            .prop_map(|(by, message, mark)| Step::Mark { by, message, mark }),
        3 => (who(), any::<Index>(), mark()).prop_map(|(by, of, mark)| Step::MarkAll { by, of, mark }),
        2 => (who(), any::<Index>()).prop_map(|(by, message)| Step::Redact { by, message }),
        1 => (who(), any::<Index>(), prop::option::of(0..2_u8))
            .prop_map(|(by, what, title)| Step::Rename { by, what, title }),
        3 => (who(), any::<Index>(), 0..2_u8)
            .prop_map(|(to, message, reason)| Step::Report { to, message, reason }),
        1 => (who(), any::<Index>(), text(), text())
            .prop_map(|(by, what, title, metadata)| Step::Update { by, what, title, metadata }),
    ]
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        step().boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        state.covered.clear();
        state.expected = Some(state.step(step));
        state
    }
}

/// What users share where it is not the same for all.
fn sharing_of(user: UserId) -> Sharing {
    Sharing { delivered: !user.0.as_u128().is_multiple_of(3), read: user.0.as_u128().is_multiple_of(2) }
}

/// The real rules, with facts that are never forgotten, so that each batch is the whole history.
struct Rules {
    facts: Facts,
    rooms: Vec<ConversationId>,
    messages: Vec<(MessageId, ConversationId, UserId, Position)>,
    drawn: u128,
}

impl Rules {
    fn new() -> Self {
        Self {
            facts: Facts::new(START, Timestamp(0), SMALL, MOST),
            rooms: Vec::new(),
            messages: Vec::new(),
            drawn: 1_000,
        }
    }

    fn draw(&mut self) -> Uuid {
        self.drawn += 1;
        Uuid::from_u128(self.drawn)
    }

    fn command(&mut self, step: &Step) -> Command {
        let room = |rooms: &[ConversationId], index: &Index| {
            if rooms.is_empty() { ConversationId(Uuid::nil()) } else { rooms[index.index(rooms.len())] }
        };
        let users = |ns: &[u128]| ns.iter().copied().map(user).collect();
        let (by, action) = match step {
            Step::Start { by, with, title, key, is_distinct } => {
                let start = Start {
                    conversation: ConversationId(self.draw()),
                    title: title.map(|title| Title::trusted(title.to_string())),
                    metadata: title.map(|title| Metadata::trusted(title.to_string())),
                    with: users(with),
                    key: key.map(|key| IdempotencyKey::trusted(key.to_string())),
                    is_distinct: *is_distinct,
                    blockers: Vec::new(),
                };
                (by, Action::Start(start))
            }
            Step::Add { by, to, whom } => (
                by,
                Action::Add(Add {
                    conversation: room(&self.rooms, to),
                    users: users(whom),
                    blockers: Vec::new(),
                }),
            ),
            Step::Leave { by, from } => (by, Action::Leave(Leave { conversation: room(&self.rooms, from) })),
            Step::Remove { by, from, whom } => {
                (by, Action::Remove(Remove { conversation: room(&self.rooms, from), users: users(whom) }))
            }
            Step::Send { by, to, body, key } => {
                let conversation = room(&self.rooms, to);
                let message = MessageId(self.draw());
                // What is said and what is kept with it vary together.
                let metadata = (*body > 0).then(|| Metadata::trusted(body.to_string()));
                let body = Body::trusted(body.to_string());
                let key = key.map(|key| IdempotencyKey::trusted(key.to_string()));
                (by, Action::Send(Send { conversation, message, body, metadata, key }))
            }
            Step::Mark { by, message, mark } => {
                let up_to = UpTo::Message(self.message(message));
                (by, Action::Mark(MarkThrough { up_to, mark: *mark }))
            }
            Step::Redact { by, message } => (by, Action::Redact(Redact { message: self.message(message) })),
            Step::MarkAll { by, of, mark } => {
                let up_to = UpTo::Now(room(&self.rooms, of));
                (by, Action::Mark(MarkThrough { up_to, mark: *mark }))
            }
            Step::Report { to, message, reason } => {
                let reason = Reason::trusted(reason.to_string());
                (to, Action::Report(Report { message: self.message(message), reason }))
            }
            Step::Rename { by, what, title } => {
                let title = title.map(|title| Title::trusted(title.to_string()));
                (by, Action::Rename(Rename { conversation: room(&self.rooms, what), title }))
            }
            Step::Update { by, what, title, metadata } => {
                let title = match title {
                    Edit::Keep => Edit::Keep,
                    Edit::Set(to) => Edit::Set(to.map(|title| Title::trusted(title.to_string()))),
                };
                let metadata = match metadata {
                    Edit::Keep => Edit::Keep,
                    Edit::Set(to) => Edit::Set(to.map(|data| Metadata::trusted(data.to_string()))),
                };
                let conversation = room(&self.rooms, what);
                (by, Action::Update(Update { conversation, title, metadata }))
            }
        };
        Command { actor: user(*by), origin: None, via: None, action }
    }

    fn message(&self, index: &Index) -> MessageId {
        let known = (!self.messages.is_empty()).then(|| self.messages[index.index(self.messages.len())].0);
        known.unwrap_or(MessageId(Uuid::nil()))
    }

    /// What the log's loader finds out for a mark in a large conversation.
    fn covered_senders(&self, marker: UserId, mark: Mark, up_to: UpTo) -> Option<Vec<CoveredSender>> {
        let (room, through) = match up_to {
            UpTo::Message(message) => {
                let (_, room, _, through) = self.messages.iter().find(|(id, ..)| *id == message).copied()?;
                (room, through)
            }
            UpTo::Now(room) => (room, self.facts.head.position),
        };
        let from = self.facts.through(room, marker, mark);
        let parts = self.facts.participations(room, marker);
        let received = |at: Position| parts.iter().any(|part| part.interval.holds(at));
        let mut newest: BTreeMap<UserId, Position> = BTreeMap::new();
        for (_, conversation, sender, at) in &self.messages {
            if *conversation == room && *sender != marker && *at > from && *at <= through && received(*at) {
                newest.insert(*sender, *at);
            }
        }
        Some(newest.into_iter().map(|(sender, newest)| CoveredSender { sender, newest }).collect())
    }

    fn know_covered_senders(&mut self, command: &Command) {
        let Action::Mark(MarkThrough { up_to, mark }) = command.action else { return };
        if let Some(covered_senders) = self.covered_senders(command.actor, mark, up_to) {
            self.facts.know_covered_senders(command.actor, mark, up_to, covered_senders);
        }
    }

    /// No more than the facts that these commands need, found as the log's loader finds them.
    fn needed(&self, commands: &[Command]) -> Facts {
        let mut found = Facts::new(self.facts.head, self.facts.now, SMALL, MOST);
        let wanted = needs(commands, &found);
        for (viewer, id) in wanted.messages {
            let message = self.facts.message(id).filter(|message| {
                let mut stays = self.facts.participations(message.conversation, viewer).iter();
                stays.any(|stay| stay.interval.holds(message.position))
                    || self.facts.is_owner(message.conversation, viewer)
            });
            if let Some(message) = message {
                found.know_message(Arc::clone(message));
            }
        }
        for (sender, key) in wanted.message_keys {
            let message = self.facts.by_key(sender, &key);
            if let Some(message) = message {
                found.know_key(key.clone(), Arc::clone(message));
            }
        }
        for (actor, key) in wanted.start_keys {
            self.facts
                .start_by_key(actor, &key)
                .into_iter()
                .for_each(|start| found.know_start(start.clone()));
        }
        for user in wanted.sharing {
            found.know_sharing(user, sharing_of(user));
        }
        for people in wanted.people {
            let conversation = self.facts.of_just(people).and_then(|id| self.facts.conversation(id));
            if let Some(conversation) = conversation {
                found.know_conversation(conversation.clone());
            }
        }
        self.find_participations(commands, &mut found);
        for (conversation, count) in needs(commands, &found).elders {
            found.know_elders(conversation, self.elders(conversation, count));
        }
        self.find_participations(commands, &mut found);
        for (conversation, user, _) in needs(commands, &found).newest_received {
            if let Some(newest) = self.facts.newest_received(conversation, user) {
                found.know_message(Arc::clone(newest));
            }
        }
        for (marker, mark, up_to) in needs(commands, &found).covered_senders {
            if let Some(covered_senders) = self.covered_senders(marker, mark, up_to) {
                found.know_covered_senders(marker, mark, up_to, covered_senders);
            }
        }
        for (recipient, message) in needs(commands, &found).reports {
            let position =
                found.message(message).map(|message| message.position).expect("it is named when known");
            if let Some(reason) = self.facts.report(recipient, position) {
                found.know_report(recipient, position, reason.clone());
            }
        }
        found
    }

    fn find_participations(&self, commands: &[Command], found: &mut Facts) {
        for (conversation, user) in needs(commands, found).participations {
            let stays = self.facts.participations(conversation, user).to_vec();
            found.know_participations(conversation, user, stays);
            if let Some(conversation) = self.facts.conversation(conversation) {
                found.know_conversation(conversation.clone());
            }
        }
    }

    /// The first of those who take part, in the order of joining.
    fn elders(&self, conversation: ConversationId, count: usize) -> Vec<UserId> {
        let open = |n| self.facts.open_participation(conversation, user(n));
        let mut elders: Vec<_> =
            (0..USERS).filter_map(|n| Some((open(n)?.interval.joined, user(n)))).collect();
        elders.sort_unstable();
        elders.into_iter().map(|(_, user)| user).take(count).collect()
    }

    fn remember(&mut self, decision: &Decision) {
        self.facts.apply(decision);
        if let Some(Conversation { id, .. }) = decision.begins {
            self.rooms.push(id);
        }
        if let Some(Change::Sent(Sent { message })) = decision.events.first().map(|event| &event.change) {
            self.messages.push((message.id, message.conversation, message.sender, message.position));
        }
    }

    /// Whoever takes part sees of a mark just what it covers of the messages that they may see, and nobody is told of a
    /// mark that covers nothing of these.
    fn check_views(&self, model: &Model, event: &Event) {
        if let Change::Redacted(Redacted { position }) = event.change {
            return self.check_views_of_redaction(model, event, position);
        }
        let Some(Range { from, through }) = event.change.covers() else { return };
        let audience = event.change.audience();
        let room = self.rooms.iter().position(|room| *room == event.conversation).unwrap();
        for n in 0..USERS {
            let viewer = user(n);
            let stays = |who| self.facts.participations(event.conversation, who).iter().map(|p| p.interval);
            let intervals: Vec<_> = stays(viewer).collect();
            let view = view(event, viewer, &intervals);
            let is_told = match audience {
                Audience::Everyone => true,
                Audience::Only(users) => users.contains(&viewer),
                Audience::Oneself => viewer == event.actor,
            };
            let is_there = model.rooms[room].contains(&n) && is_told;
            let may_see = |index: &&usize| {
                let message = &model.messages[**index];
                is_there && (message.sender == n || message.receipts.contains_key(&n))
            };
            let expected: Vec<_> = model.covered.iter().filter(may_see).copied().collect();
            let received = |(index, message): (usize, &(MessageId, ConversationId, UserId, Position))| {
                let (_, conversation, sender, at) = *message;
                let covered = match view?.covered {
                    Covered::After(after) => after < at && at <= through,
                    Covered::StaysOf(whose) => {
                        from < at && at <= through && stays(whose).any(|stay| stay.holds(at))
                    }
                };
                let received = sender != event.actor && stays(event.actor).any(|stay| stay.holds(at));
                (conversation == event.conversation && covered && received).then_some(index)
            };
            let seen: Vec<_> = self.messages.iter().enumerate().filter_map(received).collect();
            assert_eq!(seen, expected, "{viewer:?} of {event:?}");
            assert!(view.is_none_or(|view| view.as_of.is_none()), "whoever takes part sees what is now");
        }
    }

    /// Whoever takes part is told that a message was redacted if they may see it.
    fn check_views_of_redaction(&self, model: &Model, event: &Event, position: Position) {
        let index = self.messages.iter().position(|(.., at)| *at == position).unwrap();
        let ModelMessage { room, sender, receipts, .. } = &model.messages[index];
        for n in 0..USERS {
            let stays = self.facts.participations(event.conversation, user(n)).iter().map(|p| p.interval);
            let intervals: Vec<_> = stays.collect();
            let view = view(event, user(n), &intervals);
            let is_told = model.rooms[*room].contains(&n) && (*sender == n || receipts.contains_key(&n));
            assert_eq!(view.is_some(), is_told, "{n} of {event:?}");
            // The log need not be asked.
            assert!(view.is_none_or(|view| matches!(view.covered, Covered::After(_))));
        }
    }

    fn statuses(&self) -> Vec<Status> {
        (0..self.messages.len()).map(|index| self.counts(index).status()).collect()
    }

    fn counts(&self, index: usize) -> Counts {
        let (_, room, sender, at) = self.messages[index];
        let recipients: Vec<&Participation> = (0..USERS)
            .map(user)
            .filter(|user| *user != sender)
            .flat_map(|user| self.facts.participations(room, user))
            .filter(|part| part.interval.holds(at))
            .collect();
        let count = |reached: fn(&Participation) -> Position| {
            recipients.iter().filter(|part| reached(part) >= at).count() as u32
        };
        Counts {
            recipients: recipients.len() as u32,
            sharing: recipients.len() as u32,
            delivered: count(|part| part.delivered_through),
            read: count(|part| part.read_through),
        }
    }
}

impl StateMachineTest for Rules {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(_: &Model) -> Self {
        Self::new()
    }

    fn apply(mut rules: Self, model: &Model, step: Step) -> Self {
        let command = rules.command(&step);
        rules.know_covered_senders(&command);
        let head = rules.facts.head;
        let decided = decide(&rules.facts, &command);
        let outcome = match &decided {
            Err(refusal) => Expected::Refused(refusal.clone()),
            Ok(Decision { events, conversation: Some(found), .. }) if events.is_empty() => {
                Expected::Found(rules.rooms.iter().position(|room| room == found).expect("one there is"))
            }
            Ok(Decision { events, .. }) if events.is_empty() => Expected::Unchanged,
            Ok(Decision { events, .. }) => {
                let [event] = &events[..] else { panic!("one event, where everybody shares everything") };
                assert!(
                    head.is_continued_by(event),
                    "positions have no gaps, and each event continues the one before"
                );
                assert!(event.at >= rules.facts.now, "times increase");
                let told = match event.change.audience() {
                    Audience::Only(users) => Some(users.iter().copied().collect()),
                    Audience::Everyone => None,
                    Audience::Oneself => panic!("told to nobody: {event:?}"),
                };
                Expected::Event { told }
            }
        };
        assert_eq!(Some(&outcome), model.expected.as_ref(), "{step:?}");
        let before = rules.statuses();
        if let Ok(decision) = decided {
            if let Some(event) = decision.events.first() {
                rules.check_views(model, event);
            }
            rules.remember(&decision);
            if let Some(event) = decision.events.first() {
                assert!(rules.facts.now > event.at, "times strictly increase");
                assert_eq!(rules.facts.head, head.at(event));
            }
        }
        for (before, after) in before.iter().zip(rules.statuses()) {
            assert!(*before <= after, "a status moved back at {step:?}");
        }
        rules
    }

    fn check_invariants(rules: &Self, model: &Model) {
        for (index, message) in model.messages.iter().enumerate() {
            let expected = Counts {
                recipients: message.receipts.len() as u32,
                sharing: message.receipts.len() as u32,
                delivered: message.receipts.values().filter(|(delivered, _)| *delivered).count() as u32,
                read: message.receipts.values().filter(|(_, read)| *read).count() as u32,
            };
            assert_eq!(rules.counts(index), expected, "message {index}");
            let real = rules.facts.message(rules.messages[index].0).expect("a message there is");
            assert_eq!(real.redacted_at.is_some(), message.is_redacted, "message {index}");
            assert_eq!(real.bytes() == 0, message.is_redacted, "message {index}");
        }
        for (room, kept) in rules.rooms.iter().zip(&model.metadata) {
            let room = rules.facts.conversation(*room).expect("a room there is");
            assert_eq!(room.metadata.as_ref().map(ToString::to_string), kept.map(|kept| kept.to_string()));
        }
        for (room, owner) in rules.rooms.iter().zip(&model.owners) {
            let owners: Vec<_> = (0..USERS).filter(|n| rules.facts.is_owner(*room, user(*n))).collect();
            assert_eq!(owners, owner.iter().copied().collect::<Vec<_>>(), "owners");
        }
        for ((room, members), title) in rules.rooms.iter().zip(&model.rooms).zip(&model.titles) {
            let room = rules.facts.conversation(*room).expect("a room there is");
            assert_eq!(room.participants, members.len() as u32, "participants");
            assert_eq!(room.title.as_ref().map(ToString::to_string), title.map(|title| title.to_string()));
        }
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn every_decision_is_what_a_row_per_recipient_would_say(sequential 1..80 => Rules);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// The writer loads what `needs` names, and nothing else.
    #[test]
    fn a_batch_is_decided_alike_with_all_facts_and_with_those_that_it_needs(
        batches in prop::collection::vec(prop::collection::vec(step(), 1..6), 1..24),
    ) {
        let mut rules = Rules::new();
        for user in (0..USERS).map(user) {
            rules.facts.know_sharing(user, sharing_of(user));
        }
        for steps in batches {
            let commands: Vec<Command> = steps.iter().map(|step| rules.command(step)).collect();
            let mut needed = rules.needed(&commands);
            for command in &commands {
                rules.know_covered_senders(command);
                let decided = decide(&rules.facts, command);
                prop_assert_eq!(&decide(&needed, command), &decided, "{:?}", command);
                if let Ok(decision) = decided {
                    needed.apply(&decision);
                    rules.remember(&decision);
                }
            }
        }
    }
}
