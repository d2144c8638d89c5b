//! Subscribers against a model. People act at random, subscribers are disconnected, and the feed loses, repeats and
//! reorders notifications. In the end each subscriber has received exactly the events that it may see, in order, once,
//! without those that it caused itself. Whoever asks for checkpoints is told none that is ahead of its events, and in the
//! end one that says that this is all. A service receives everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use herald::feed::{Feed, LogNotification};
use herald::hub::{Checkpoint, EventStream, Follower, Hub, HubOptions, OpenError, Told, VisibleEvent};
use herald::log::{
    ConversationFilter, Database, DatabaseOptions, Received, Rules, SubscriptionFilter, UserRow, Viewer,
    Writer, check,
};
use herald::messaging::{
    Action, Add, Body, Chain, Change, Command, ConnectionId, ConversationId, DisplayName, Edit, Handle,
    Kinds, Leave, Mark, MarkThrough, MessageId, Origin, Place, Position, Reason, Redact, Remove, Rename,
    Report, Send, SessionId, Sharing, Start, Timestamp, Title, UpTo, Update, UserId, View,
};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

use crate::support::TestDatabase;

const USERS: usize = 4;
/// Stands for a service where a user follows.
const SERVICE: usize = USERS;
const SMALL: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(20);
/// So short that checkpoints come amid everything else.
const CHECKPOINTS: Duration = Duration::from_millis(3);

#[derive(Debug, Clone)]
enum Step {
    Start {
        by: usize,
        with: BTreeSet<usize>,
        connection: Option<u8>,
    },
    Add {
        by: usize,
        room: Index,
        whom: usize,
        connection: Option<u8>,
    },
    Leave {
        by: usize,
        room: Index,
        connection: Option<u8>,
    },
    Send {
        by: usize,
        room: Index,
        count: usize,
        connection: Option<u8>,
    },
    Mark {
        by: usize,
        message: Index,
        mark: Mark,
        connection: Option<u8>,
    },
    Rename {
        by: usize,
        room: Index,
        title: Option<u8>,
        connection: Option<u8>,
    },
    /// A service says that it could not bring the message to a user.
    Report {
        to: usize,
        message: Index,
        reason: u8,
    },
    Remove {
        by: usize,
        room: Index,
        whom: BTreeSet<usize>,
        connection: Option<u8>,
    },
    MarkAll {
        by: usize,
        room: Index,
        mark: Mark,
        connection: Option<u8>,
    },
    Redact {
        by: usize,
        message: Index,
        connection: Option<u8>,
    },
    Update {
        by: usize,
        room: Index,
        title: Option<u8>,
        connection: Option<u8>,
    },
    Subscribe {
        by: usize,
        connection: u8,
        room: Option<Index>,
        kinds: Kinds,
        after: Option<Index>,
        checkpoints: bool,
    },
    Read {
        subscriber: Index,
        count: usize,
    },
    CutOff {
        subscriber: Index,
    },
    Resume {
        subscriber: Index,
    },
}

/// One event, with those who may see it.
#[derive(Debug, Clone)]
struct Entry {
    room: usize,
    actor: usize,
    connection: Option<u8>,
    kind: Kinds,
    seen_by: BTreeSet<usize>,
    /// Those for whom it is the last event of the room.
    gone: BTreeSet<usize>,
    /// The messages that a mark covers, oldest first: their positions, and who may see each.
    covered: Vec<(usize, BTreeSet<usize>)>,
}

#[derive(Debug, Clone)]
struct Sent {
    room: usize,
    sender: usize,
    position: usize,
    is_redacted: bool,
    receipts: BTreeMap<usize, (bool, bool)>,
}

#[derive(Debug, Clone)]
struct Subscriber {
    user: usize,
    connection: u8,
    room: Option<usize>,
    kinds: Kinds,
    checkpoints: bool,
    start: usize,
}

#[derive(Debug, Clone, Default)]
struct Model {
    rooms: Vec<BTreeSet<usize>>,
    /// Who takes part in each room, in the order of joining. The owner is named beside it.
    orders: Vec<(Vec<usize>, Option<usize>)>,
    /// What the rooms are called that were given a title.
    titles: BTreeMap<usize, Option<u8>>,
    messages: Vec<Sent>,
    /// The last reason of each recipient and message.
    reports: BTreeMap<(usize, usize), u8>,
    /// The entry at index `i` has position `i + 1`.
    log: Vec<Entry>,
    subscribers: Vec<Subscriber>,
    /// Whether the last step changed something.
    changed: bool,
}

impl Model {
    /// The positions that a subscriber is to receive.
    fn expected(&self, subscriber: &Subscriber) -> Vec<usize> {
        let wants = |entry: &Entry| {
            (subscriber.user == SERVICE || entry.seen_by.contains(&subscriber.user))
                && subscriber.room.is_none_or(|room| room == entry.room)
                && (subscriber.kinds == Kinds::ALL || subscriber.kinds == entry.kind)
                && !(entry.actor == subscriber.user && entry.connection == Some(subscriber.connection))
        };
        let entries = self.log.iter().enumerate().skip(subscriber.start);
        entries.filter(|(_, entry)| wants(entry)).map(|(index, _)| index + 1).collect()
    }

    /// The messages that a subscriber is told of with an event, newest first.
    fn covered(&self, position: usize, user: usize) -> Vec<usize> {
        let covered = self.log[position - 1].covered.iter().rev();
        covered
            .filter(|(_, viewers)| user == SERVICE || viewers.contains(&user))
            .map(|(position, _)| *position)
            .collect()
    }

    fn is_redacted(&self, position: Position) -> bool {
        self.messages.iter().any(|sent| sent.is_redacted && sent.position as i64 == position.0)
    }

    /// Where the user left the room, after `start`.
    fn leaves(&self, user: usize, room: usize, start: usize) -> Vec<usize> {
        let entries = self.log.iter().enumerate().skip(start);
        entries
            .filter(|(_, entry)| entry.gone.contains(&user) && entry.room == room)
            .map(|(index, _)| index + 1)
            .collect()
    }

    fn room(&self, index: &Index) -> Option<usize> {
        (!self.rooms.is_empty()).then(|| index.index(self.rooms.len()))
    }

    fn append(
        &mut self,
        room: usize,
        actor: usize,
        connection: Option<u8>,
        kind: Kinds,
        seen: BTreeSet<usize>,
    ) {
        let covered = Vec::new();
        self.log.push(Entry { room, actor, connection, kind, seen_by: seen, gone: BTreeSet::new(), covered });
    }

    /// Whether the step is accepted and changes something.
    fn step(&mut self, step: &Step) -> bool {
        match step {
            Step::Start { by, with, connection } => {
                let members: BTreeSet<_> = with.iter().copied().chain([*by]).collect();
                if members.len() < 2 {
                    return false;
                }
                self.rooms.push(members.clone());
                self.orders.push((members.iter().copied().collect(), Some(*by)));
                self.append(self.rooms.len() - 1, *by, *connection, Kinds::ALL, members);
            }
            Step::Add { by, room, whom, connection } => {
                let Some(room) = self.room(room).filter(|room| self.rooms[*room].contains(by)) else {
                    return false;
                };
                if !self.rooms[room].insert(*whom) {
                    return false;
                }
                self.orders[room].0.push(*whom);
                self.append(room, *by, *connection, Kinds::ALL, self.rooms[room].clone());
            }
            Step::Leave { by, room, connection } => {
                let Some(room) = self.room(room).filter(|room| self.rooms[*room].contains(by)) else {
                    return false;
                };
                self.append(room, *by, *connection, Kinds::ALL, self.rooms[room].clone());
                self.let_go(room, BTreeSet::from([*by]));
            }
            Step::Remove { by, room, whom, connection } => {
                let room = self.room(room).filter(|room| self.orders[*room].1 == Some(*by));
                let Some(room) = room.filter(|_| !whom.contains(by)) else { return false };
                let gone: BTreeSet<_> = self.rooms[room].intersection(whom).copied().collect();
                if gone.is_empty() {
                    return false;
                }
                self.append(room, *by, *connection, Kinds::ALL, self.rooms[room].clone());
                self.let_go(room, gone);
            }
            Step::Send { by, room, count, connection } => {
                let Some(room) = self.room(room).filter(|room| self.rooms[*room].contains(by)) else {
                    return false;
                };
                let receipts = self.rooms[room].iter().filter(|user| *user != by);
                let receipts: BTreeMap<_, _> = receipts.map(|user| (*user, (false, false))).collect();
                for _ in 0..*count {
                    let position = self.log.len() + 1;
                    let receipts = receipts.clone();
                    self.messages.push(Sent { room, sender: *by, position, is_redacted: false, receipts });
                    self.append(room, *by, *connection, Kinds::Sent, self.rooms[room].clone());
                }
            }
            Step::Mark { by, message, mark, connection } => {
                return self.mark(*by, message, *mark, *connection);
            }
            Step::MarkAll { by, room, mark, connection } => {
                let Some(room) = self.room(room).filter(|room| self.rooms[*room].contains(by)) else {
                    return false;
                };
                let newest = |sent: &Sent| sent.room == room && sent.receipts.contains_key(by);
                let Some(newest) = self.messages.iter().rposition(newest) else { return false };
                return self.mark_through(*by, newest, *mark, *connection);
            }
            Step::Redact { by, message, connection } => return self.redact(*by, message, *connection),
            Step::Rename { by, room, title, connection } => {
                let Some(room) = self.room(room).filter(|room| self.rooms[*room].contains(by)) else {
                    return false;
                };
                if self.titles.insert(room, *title).unwrap_or_default() == *title {
                    return false;
                }
                self.append(room, *by, *connection, Kinds::ALL, self.rooms[room].clone());
            }
            Step::Report { to, message, reason } => return self.report(*to, message, *reason),
            Step::Update { by, room, title, connection } => {
                let room = self.room(room).filter(|room| self.orders[*room].1 == Some(*by));
                let Some(room) = room else { return false };
                if self.titles.insert(room, *title).unwrap_or_default() == *title {
                    return false;
                }
                self.append(room, *by, *connection, Kinds::ALL, self.rooms[room].clone());
            }
            Step::Subscribe { by, connection, room, kinds, after, checkpoints } => {
                let start = after.map_or(self.log.len(), |after| after.index(self.log.len() + 1));
                let room = room.as_ref().and_then(|room| self.room(room));
                let (user, connection, kinds, checkpoints) = (*by, *connection, *kinds, *checkpoints);
                let subscriber = Subscriber { user, connection, room, kinds, checkpoints, start };
                // A user who has left may still receive the events up to their leaving.
                if let Some(room) = room
                    && *by != SERVICE
                    && !self.rooms[room].contains(by)
                    && self.expected(&subscriber).is_empty()
                {
                    return false;
                }
                self.subscribers.push(subscriber);
            }
            Step::Read { .. } | Step::CutOff { .. } | Step::Resume { .. } => {}
        }
        true
    }

    /// Lets these users go with the last entry.
    fn let_go(&mut self, room: usize, gone: BTreeSet<usize>) {
        self.rooms[room].retain(|user| !gone.contains(user));
        let (order, owner) = &mut self.orders[room];
        order.retain(|user| !gone.contains(user));
        *owner = owner.filter(|owner| !gone.contains(owner)).or(order.first().copied());
        self.log.last_mut().unwrap().gone = gone;
    }

    fn mark(&mut self, by: usize, message: &Index, mark: Mark, connection: Option<u8>) -> bool {
        if self.messages.is_empty() {
            return false;
        }
        let index = message.index(self.messages.len());
        let Sent { room, receipts, .. } = self.messages[index].clone();
        if !self.rooms[room].contains(&by) || !receipts.contains_key(&by) {
            return false;
        }
        self.mark_through(by, index, mark, connection)
    }

    fn redact(&mut self, by: usize, message: &Index, connection: Option<u8>) -> bool {
        if self.messages.is_empty() {
            return false;
        }
        let index = message.index(self.messages.len());
        let message = &mut self.messages[index];
        let (room, mut seen) = (message.room, self.rooms[message.room].clone());
        seen.retain(|user| message.sender == *user || message.receipts.contains_key(user));
        // The sender may, also after leaving, and the owner, also of what was sent before they came.
        let may = message.sender == by || self.orders[room].1 == Some(by);
        if !may || std::mem::replace(&mut message.is_redacted, true) {
            return false;
        }
        self.append(room, by, connection, Kinds::ALL, seen);
        true
    }

    fn mark_through(&mut self, by: usize, index: usize, mark: Mark, connection: Option<u8>) -> bool {
        let room = self.messages[index].room;
        let mut senders = BTreeSet::new();
        let mut covered = Vec::new();
        for message in self.messages[..=index].iter_mut().filter(|message| message.room == room) {
            let viewers: BTreeSet<_> = message.receipts.keys().copied().chain([message.sender]).collect();
            let Some((delivered, read)) = message.receipts.get_mut(&by) else { continue };
            let reached = if mark == Mark::Read { &mut *read } else { &mut *delivered };
            if !std::mem::replace(reached, true) {
                senders.insert(message.sender);
                covered.push((message.position, viewers));
            }
            *delivered = true;
        }
        if senders.is_empty() {
            return false;
        }
        // Every participant who may see one of the messages; in a large conversation only the audience.
        let mut seen = self.rooms[room].clone();
        seen.retain(|user| covered.iter().any(|(_, viewers)| viewers.contains(user)));
        if self.rooms[room].len() > SMALL as usize {
            seen.retain(|user| *user == by || senders.contains(user));
        }
        self.append(room, by, connection, Kinds::Marked, seen);
        self.log.last_mut().unwrap().covered = covered;
        true
    }

    fn report(&mut self, to: usize, message: &Index, reason: u8) -> bool {
        if self.messages.is_empty() {
            return false;
        }
        let index = message.index(self.messages.len());
        let Sent { room, sender, position, receipts, .. } = self.messages[index].clone();
        if receipts.get(&to).is_none_or(|(delivered, _)| *delivered)
            || self.reports.insert((to, index), reason) == Some(reason)
        {
            return false;
        }
        let told: BTreeSet<_> = self.rooms[room].intersection(&[sender].into()).copied().collect();
        self.append(room, to, None, Kinds::ALL, told);
        self.log.last_mut().unwrap().covered = vec![(position, [sender].into())];
        true
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        let who = || 0..USERS;
        let connection = || prop::option::of(0..2_u8);
        let kinds = prop_oneof![2 => Just(Kinds::ALL), 1 => Just(Kinds::Sent), 1 => Just(Kinds::Marked)];
        let index = any::<Index>;
        let mark = || prop_oneof![Just(Mark::Delivered), Just(Mark::Read)];
        prop_oneof![
            1 => (who(), prop::collection::btree_set(who(), 0..4), connection())
                .prop_map(|(by, with, connection)| Step::Start { by, with, connection }),
            4 => (who(), index(), who(), connection())
                .prop_map(|(by, room, whom, connection)| Step::Add { by, room, whom, connection }),
            3 => (who(), index(), connection())
                .prop_map(|(by, room, connection)| Step::Leave { by, room, connection }),
            3 => (who(), index(), prop::collection::btree_set(who(), 1..3), connection())
                .prop_map(|(by, room, whom, connection)| Step::Remove { by, room, whom, connection }),
            8 => (who(), index(), 1..40_usize, connection())
                .prop_map(|(by, room, count, connection)| Step::Send { by, room, count, connection }),
            6 => (who(), index(), mark(), connection())
                .prop_map(|(by, message, mark, connection)| Step::Mark { by, message, mark, connection }),
            2 => (who(), index(), mark(), connection())
                .prop_map(|(by, room, mark, connection)| Step::MarkAll { by, room, mark, connection }),
            3 => (who(), index(), connection())
                .prop_map(|(by, message, connection)| Step::Redact { by, message, connection }),
            1 => (who(), index(), prop::option::of(0..2_u8), connection())
                .prop_map(|(by, room, title, connection)| Step::Rename { by, room, title, connection }),
            2 => (who(), index(), 0..2_u8)
                .prop_map(|(to, message, reason)| Step::Report { to, message, reason }),
            1 => (who(), index(), prop::option::of(0..2_u8), connection())
                .prop_map(|(by, room, title, connection)| Step::Update { by, room, title, connection }),
            4 => (0..=SERVICE, 0..2_u8, prop::option::of(index()), kinds, prop::option::of(index()), any::<bool>())
                .prop_map(|(by, connection, room, kinds, after, checkpoints)| {
                    Step::Subscribe { by, connection, room, kinds, after, checkpoints }
                }),
            4 => (index(), 1..5_usize).prop_map(|(subscriber, count)| Step::Read { subscriber, count }),
            2 => index().prop_map(|subscriber| Step::CutOff { subscriber }),
            2 => index().prop_map(|subscriber| Step::Resume { subscriber }),
        ]
        .boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        state.changed = state.step(step);
        state
    }
}

/// A feed that does everything a feed may do: it carries notifications, drops them, carries them twice, late, in the
/// wrong order, and without the events.
#[derive(Debug, Default)]
struct Unreliable {
    state: Mutex<(u64, Vec<mpsc::Sender<LogNotification>>, Option<LogNotification>)>,
}

impl Feed for Unreliable {
    fn publish(&self, notification: LogNotification) {
        let (turn, listeners, held) = &mut *self.state.lock().unwrap();
        // A fixed pseudo-random sequence. proptest varies the steps around it.
        *turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let carried = match *turn >> 61 {
            0 => vec![],
            1 => vec![notification.clone(), notification],
            2 => vec![LogNotification { events: Vec::new(), ..notification }],
            3 => held.replace(notification).into_iter().collect(),
            4 => std::iter::once(notification).chain(held.take()).collect(),
            _ => vec![notification],
        };
        for notification in carried {
            listeners.retain(|listener| listener.try_send(notification.clone()).is_ok());
        }
    }

    fn listen(&self) -> mpsc::Receiver<LogNotification> {
        let (listener, notifications) = mpsc::channel(1_000);
        self.state.lock().unwrap().1.push(listener);
        notifications
    }
}

/// A subscriber that reads as many events as it was told to, and is otherwise stuck.
struct Following {
    reading: Option<Reading>,
    /// How many events it was told to read, in all.
    granted: usize,
    received: Vec<usize>,
    /// Up to where it was told that it has everything.
    checkpoint: usize,
    ended: bool,
}

/// What a subscriber was told.
enum Heard {
    /// The position of an event, and those of the messages that it is a mark on.
    Event(usize, Vec<usize>),
    /// Up to which position everything was told, and whether that is all.
    Checkpoint(usize, bool),
    Ended,
}

/// A subscription being read, at most as far as the permits go. While there are some, it waits live.
struct Reading {
    permits: Arc<Semaphore>,
    events: mpsc::UnboundedReceiver<Heard>,
    task: JoinHandle<()>,
}

impl Reading {
    fn start(runtime: &Runtime, database: Database, mut follower: Follower, granted: usize) -> Self {
        let permits = Arc::new(Semaphore::new(granted));
        let allowed = Arc::clone(&permits);
        let (sender, events) = mpsc::unbounded_channel();
        let task = runtime.spawn(async move {
            while let Ok(permit) = allowed.acquire().await {
                let heard = match follower.next().await.expect("the log goes on") {
                    Some(Told::Event(seen)) => {
                        permit.forget();
                        told(&database, &seen).await
                    }
                    Some(Told::Checkpoint(Checkpoint { place, is_caught_up, .. })) => {
                        Heard::Checkpoint(number(place.position), is_caught_up)
                    }
                    None => Heard::Ended,
                };
                let has_ended = matches!(heard, Heard::Ended);
                if sender.send(heard).is_err() || has_ended {
                    return;
                }
            }
        });
        Self { permits, events, task }
    }
}

fn number(position: Position) -> usize {
    usize::try_from(position.0).unwrap()
}

async fn told(database: &Database, seen: &VisibleEvent) -> Heard {
    let event = &seen.shared.event;
    let messages = match event.change.covers() {
        Some(range) if event.change.kind() != Kinds::Redacted => {
            let received = Received::by(event, range, seen.view);
            database.messages_received(received, usize::MAX).await.unwrap()
        }
        Some(_) | None => Vec::new(),
    };
    Heard::Event(number(event.position), messages.iter().map(|message| number(message.position)).collect())
}

/// How many events a subscriber reads without being told to: every other one reads all there is while the others
/// are stuck, so that the one kind meets events under way and the other kind overflows.
fn eagerness(index: usize) -> usize {
    if index.is_multiple_of(2) { 1_000_000 } else { 0 }
}

impl Following {
    /// Takes in what was read: it must be what is expected next.
    fn take(&mut self, next: Heard, model: &Model, expected: &[usize], subscriber: &Subscriber) {
        match next {
            Heard::Event(position, covered) => {
                assert!(self.checkpoint <= position, "{subscriber:?} was told that there was nothing more");
                assert_eq!(Some(&position), expected.get(self.received.len()), "{subscriber:?}");
                assert_eq!(covered, model.covered(position, subscriber.user), "{subscriber:?} at {position}");
                self.received.push(position);
            }
            Heard::Checkpoint(position, _) => {
                let due = expected.iter().filter(|expected| **expected <= position).count();
                assert_eq!(self.received.len(), due, "{subscriber:?} was told too early of {position}");
                assert!(self.checkpoint <= position, "{subscriber:?} was taken back");
                self.checkpoint = position;
            }
            Heard::Ended => {
                self.ended = true;
                self.reading = None;
            }
        }
    }
}

struct Herald {
    runtime: Runtime,
    database: Database,
    feed: Arc<Unreliable>,
    writer: Writer,
    /// One that remembers everything, and one that remembers so little that most replays come from the log.
    hubs: Vec<Hub>,
    /// How often a subscription was opened. They take turns with the hubs.
    opened: usize,
    rooms: Vec<ConversationId>,
    messages: Vec<MessageId>,
    following: Vec<Following>,
    /// Dropped last: it removes the file.
    files: TestDatabase,
}

fn user(n: usize) -> UserId {
    UserId(Uuid::from_u128(n as u128 + 1))
}

fn origin(by: usize, connection: u8) -> Origin {
    Origin {
        session: SessionId(user(by).0),
        connection: ConnectionId::parse(&format!("connection-{connection}")).unwrap(),
    }
}

async fn hub(database: &Database, feed: &Arc<Unreliable>, recent_bytes: usize) -> Hub {
    let options = HubOptions { queue: 2, poll: Duration::from_millis(5), recent_bytes };
    Hub::start(database.clone(), Arc::clone(feed) as Arc<dyn Feed>, Arc::default(), options).await.unwrap()
}

impl Herald {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (files, database, feed, writer, hubs) = runtime.block_on(async {
            let files = TestDatabase::create().await;
            let patience = Duration::from_secs(5);
            let options = DatabaseOptions { url: files.url.clone(), readers: 2, patience, observer: None };
            let database = Database::open(&options).await.unwrap();
            for n in 0..USERS {
                let row = UserRow {
                    id: user(n),
                    handle: Handle::parse(&format!("user-{n}")).unwrap(),
                    display_name: DisplayName::parse("Somebody").unwrap(),
                    password_hash: None,
                    created_at: Timestamp(0),
                    registration: None,
                    external_id: None,
                    disabled_at: None,
                    sharing: Sharing::default(),
                };
                assert!(database.insert_user(&row).await.unwrap());
            }
            let feed = Arc::new(Unreliable::default());
            let mut hubs = Vec::new();
            for recent_bytes in [100_000_000, 3_000] {
                hubs.push(hub(&database, &feed, recent_bytes).await);
            }
            let rules = Rules { small_conversation: SMALL, most_participants: 100, batch: 4, queue: 64 };
            let (writer, _) = Writer::start(database.clone(), feed.clone(), Arc::default(), rules);
            (files, database, feed, writer, hubs)
        });
        Self {
            runtime,
            database,
            feed,
            writer,
            hubs,
            opened: 0,
            rooms: Vec::new(),
            messages: Vec::new(),
            following: Vec::new(),
            files,
        }
    }

    fn room(&self, index: &Index) -> ConversationId {
        if self.rooms.is_empty() { ConversationId(Uuid::nil()) } else { *index.get(&self.rooms) }
    }

    /// Submits an action about one of the messages, if there is one.
    fn submit_about(
        &mut self,
        model: &Model,
        by: usize,
        connection: Option<u8>,
        message: &Index,
        action: impl FnOnce(MessageId) -> Action,
    ) {
        if !self.messages.is_empty() {
            let message = *message.get(&self.messages);
            self.submit(model, by, connection, action(message));
        }
    }

    fn submit(&mut self, model: &Model, by: usize, connection: Option<u8>, action: Action) {
        let origin = connection.map(|connection| origin(by, connection));
        let command = Command { actor: user(by), origin, via: None, action };
        let outcome = self.runtime.block_on(self.writer.submit(command));
        match outcome {
            Ok(committed) if model.changed => {
                assert_eq!(committed.place.position, Position(model.log.len() as i64));
            }
            Ok(committed) => assert!(committed.place.position <= Position(model.log.len() as i64)),
            Err(refusal) => assert!(!model.changed, "refused: {refusal:?}"),
        }
    }

    /// Sends all at once, so that several batches are committed while subscribers come and go.
    fn send(
        &mut self,
        model: &Model,
        by: usize,
        conversation: ConversationId,
        count: usize,
        connection: Option<u8>,
    ) {
        let body = Body::parse("hello", 10).unwrap();
        let sends = (0..count).map(|_| {
            let message = MessageId(herald::random::id());
            let action =
                Action::Send(Send { conversation, message, body: body.clone(), metadata: None, key: None });
            let origin = connection.map(|connection| origin(by, connection));
            self.writer.submit(Command { actor: user(by), origin, via: None, action })
        });
        let outcomes = self.runtime.block_on(futures_util::future::join_all(sends));
        let sent = outcomes.into_iter().filter_map(Result::ok).filter_map(|committed| committed.message);
        let mut sent: Vec<_> = sent.collect();
        assert_eq!(sent.len(), if model.changed { count } else { 0 });
        sent.sort_by_key(|message| message.position);
        self.messages.extend(sent.into_iter().map(|message| message.id));
    }

    fn open(&mut self, subscriber: &Subscriber, after: Option<usize>) -> Result<EventStream, OpenError> {
        self.opened += 1;
        self.open_at(self.opened % 2, subscriber, after)
    }

    fn open_at(
        &self,
        hub: usize,
        subscriber: &Subscriber,
        after: Option<usize>,
    ) -> Result<EventStream, OpenError> {
        let scope = subscriber
            .room
            .map_or(ConversationFilter::All, |room| ConversationFilter::Conversation(self.rooms[room]));
        let filter = SubscriptionFilter {
            viewer: match subscriber.user {
                SERVICE => Viewer::Service,
                participant => Viewer::User(user(participant)),
            },
            conversations: scope,
            kinds: subscriber.kinds,
            is_reciprocal: false,
        };
        let origin = origin(subscriber.user, subscriber.connection);
        self.runtime.block_on(async {
            let after = match after {
                Some(after) => Some(self.place(after).await),
                None => None,
            };
            EventStream::open(self.hubs[hub].clone(), self.database.clone(), filter, Some(origin), after)
                .await
                .map(|(follow, _)| follow)
        })
    }

    /// Has a subscriber receive everything once more: the position of each event, and what is seen of it.
    fn replay(&self, hub: usize, model: &Model, subscriber: &Subscriber) -> Vec<(Position, View)> {
        let expected = model.expected(subscriber).len();
        let mut stream = match self.open_at(hub, subscriber, Some(subscriber.start)) {
            Ok(stream) => stream,
            Err(OpenError::NoSuchConversation) if expected == 0 => return Vec::new(),
            Err(error) => panic!("{subscriber:?} was refused: {error:?}"),
        };
        let replay = async {
            let mut seen = Vec::new();
            while seen.len() < expected
                && let Some(next) = stream.next().await.expect("the log goes on")
            {
                let position = next.shared.event.position;
                if let Change::Sent(sent) = next.shared.change() {
                    let is_redacted = model.is_redacted(position);
                    assert_eq!(sent.message.redacted_at.is_some(), is_redacted, "{position:?}");
                    assert_eq!(sent.message.bytes() == 0, is_redacted, "{position:?}");
                }
                seen.push((position, next.view));
            }
            seen
        };
        self.runtime.block_on(async { timeout(PATIENCE, replay).await }).expect("a replay waits for nothing")
    }

    async fn place(&self, index: usize) -> Place {
        let start =
            Place { position: Position::START, chain: Chain::START, ..self.database.head().await.unwrap() };
        let position = Position(index as i64);
        let events = self.database.events(Position(position.0 - 1), position, 1).await.unwrap();
        events.first().map_or(start, |event| start.at(event))
    }

    /// Reads what the subscriber is to receive, up to `count` events, and checks each.
    fn read(&mut self, model: &Model, index: usize, count: usize) {
        let subscriber = &model.subscribers[index];
        let expected = model.expected(subscriber);
        let following = &mut self.following[index];
        let Some(mut reading) = following.reading.as_mut() else { return };
        reading.permits.add_permits(count);
        following.granted += count;
        while following.received.len() < following.granted.min(expected.len()) {
            let next = self.runtime.block_on(async { timeout(PATIENCE, reading.events.recv()).await });
            let next = next.unwrap_or_else(|_| {
                panic!("{subscriber:?} waits in vain: {:?} of {expected:?}", following.received)
            });
            following.take(next.expect("the reader lives"), model, &expected, subscriber);
            let Some(still) = &mut following.reading else { break };
            reading = still;
        }
        self.check_ending(model, index);
    }

    /// A subscription ends only when its one conversation was left, and only with everything up to there.
    fn check_ending(&self, model: &Model, index: usize) {
        let (subscriber, following) = (&model.subscribers[index], &self.following[index]);
        if !following.ended {
            return;
        }
        let room = subscriber.room.expect("a subscription to everything never ends");
        let leaves = model.leaves(subscriber.user, room, subscriber.start);
        let expected = model.expected(subscriber);
        let complete = |leave: &usize| {
            let due = expected.iter().filter(|position| *position <= leave).count();
            following.received.len() >= due
        };
        assert!(leaves.iter().any(complete), "{subscriber:?} ended early: {:?}", following.received);
    }
}

impl StateMachineTest for Herald {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(_: &Model) -> Self {
        Self::start()
    }

    fn apply(mut herald: Self, model: &Model, step: Step) -> Self {
        let pick =
            |index: &Index| (!model.subscribers.is_empty()).then(|| index.index(model.subscribers.len()));
        match step {
            Step::Start { by, with, connection } => {
                let conversation = ConversationId(herald::random::id());
                let with = with.into_iter().map(user).collect();
                let start = Start {
                    conversation,
                    title: None,
                    metadata: None,
                    with,
                    key: None,
                    is_distinct: false,
                    blockers: Vec::new(),
                };
                herald.submit(model, by, connection, Action::Start(start));
                if model.changed {
                    herald.rooms.push(conversation);
                }
            }
            Step::Add { by, room, whom, connection } => {
                let action = Action::Add(Add {
                    conversation: herald.room(&room),
                    users: vec![user(whom)],
                    blockers: Vec::new(),
                });
                herald.submit(model, by, connection, action);
            }
            Step::Leave { by, room, connection } => {
                let action = Action::Leave(Leave { conversation: herald.room(&room) });
                herald.submit(model, by, connection, action);
            }
            Step::Remove { by, room, whom, connection } => {
                let users = whom.into_iter().map(user).collect();
                let action = Action::Remove(Remove { conversation: herald.room(&room), users });
                herald.submit(model, by, connection, action);
            }
            Step::Send { by, room, count, connection } => {
                herald.send(model, by, herald.room(&room), count, connection);
            }
            Step::Mark { by, message, mark, connection } => {
                herald.submit_about(model, by, connection, &message, |message| {
                    Action::Mark(MarkThrough { up_to: UpTo::Message(message), mark })
                });
            }
            Step::Redact { by, message, connection } => {
                herald.submit_about(model, by, connection, &message, |message| {
                    Action::Redact(Redact { message })
                });
            }
            Step::MarkAll { by, room, mark, connection } => {
                let up_to = UpTo::Now(herald.room(&room));
                herald.submit(model, by, connection, Action::Mark(MarkThrough { up_to, mark }));
            }
            Step::Rename { by, room, title, connection } => {
                let title = title.map(|title| Title::trusted(title.to_string()));
                let action = Action::Rename(Rename { conversation: herald.room(&room), title });
                herald.submit(model, by, connection, action);
            }
            Step::Report { to, message, reason } => {
                let reason = Reason::trusted(reason.to_string());
                herald.submit_about(model, to, None, &message, |message| {
                    Action::Report(Report { message, reason })
                });
            }
            Step::Update { by, room, title, connection } => {
                let title = Edit::Set(title.map(|title| Title::trusted(title.to_string())));
                let conversation = herald.room(&room);
                let action = Action::Update(Update { conversation, title, metadata: Edit::Keep });
                herald.submit(model, by, connection, action);
            }
            Step::Subscribe { by, connection, room, kinds, after, checkpoints } => {
                let room = room.as_ref().and_then(|room| model.room(room));
                let start = after.map(|after| after.index(model.log.len() + 1));
                let subscriber = Subscriber { user: by, connection, room, kinds, checkpoints, start: 0 };
                herald.subscribe(model, &subscriber, start);
            }
            Step::Read { subscriber, count } => {
                if let Some(index) = pick(&subscriber) {
                    herald.read(model, index, count);
                }
            }
            Step::CutOff { subscriber } => {
                if let Some(index) = pick(&subscriber) {
                    herald.cut_off(model, index);
                }
            }
            Step::Resume { subscriber } => {
                if let Some(index) = pick(&subscriber)
                    && !herald.following[index].ended
                {
                    herald.cut_off(model, index);
                    herald.resume(model, index);
                }
            }
        }
        herald
    }

    fn teardown(mut herald: Self, model: Model) {
        for index in 0..model.subscribers.len() {
            if herald.following[index].reading.is_none() && !herald.following[index].ended {
                herald.resume(&model, index);
            }
            herald.read(&model, index, model.log.len() + 1);
        }
        // Nothing more may come. A wait that is too short can miss a fault, but never report a false one.
        for (following, subscriber) in herald.following.iter_mut().zip(&model.subscribers) {
            let Some(reading) = &mut following.reading else { continue };
            if subscriber.checkpoints {
                let all_told = reading.all_told(model.log.len());
                let told = herald.runtime.block_on(async { timeout(PATIENCE, all_told).await });
                following.ended =
                    !told.unwrap_or_else(|_| panic!("{subscriber:?} is not told that this is all"));
                continue;
            }
            let moment = Duration::from_millis(10);
            let more = herald.runtime.block_on(async { timeout(moment, reading.events.recv()).await });
            if let Ok(Some(Heard::Event(position, _))) = more {
                panic!("{subscriber:?} was told too much: {position}, {:?}", model.log[position - 1]);
            }
        }
        for index in 0..model.subscribers.len() {
            herald.check_ending(&model, index);
        }
        // Whoever has seen nothing of it is shown the same from memory, from the log, and after a restart.
        let restarted = herald.runtime.block_on(hub(&herald.database, &herald.feed, 100_000_000));
        herald.hubs.push(restarted);
        for subscriber in &model.subscribers {
            let [memory, log, restarted] = [0, 1, 2].map(|hub| herald.replay(hub, &model, subscriber));
            assert_eq!(memory, log, "{subscriber:?}");
            assert_eq!(memory, restarted, "{subscriber:?}");
            let positions: Vec<_> =
                memory.iter().map(|(position, _)| usize::try_from(position.0).unwrap()).collect();
            assert_eq!(positions, model.expected(subscriber), "{subscriber:?}");
        }
        let patience = Duration::from_secs(5);
        let options = DatabaseOptions { url: herald.files.url.clone(), readers: 1, patience, observer: None };
        let census = herald.runtime.block_on(check(&options)).expect("the log is sound");
        assert_eq!(census.events, model.log.len() as i64);
    }
}

impl Reading {
    /// Waits for a checkpoint that says that there is nothing more up to the end of the log, or for the end of the
    /// subscription: then `false`. No event may come before.
    async fn all_told(&mut self, end: usize) -> bool {
        loop {
            match self.events.recv().await {
                Some(Heard::Checkpoint(position, true)) if position == end => return true,
                Some(Heard::Checkpoint(position, _)) => {
                    assert!(position <= end, "{position} is not in the log");
                }
                Some(Heard::Event(position, _)) => panic!("told too much: {position}"),
                Some(Heard::Ended) | None => return false,
            }
        }
    }
}

impl Herald {
    /// Has a subscriber follow from here on, or be refused, as the model says.
    fn subscribe(&mut self, model: &Model, subscriber: &Subscriber, start: Option<usize>) {
        let follow = match self.open(subscriber, start) {
            Ok(follow) => follow,
            Err(error) => return assert!(!model.changed, "{subscriber:?} was refused: {error:?}"),
        };
        assert!(model.changed, "{subscriber:?} should have been refused");
        let granted = eagerness(self.following.len());
        let reading = Some(self.start_reading(subscriber, follow, granted));
        self.following.push(Following {
            reading,
            granted,
            received: Vec::new(),
            checkpoint: 0,
            ended: false,
        });
    }

    fn start_reading(&self, subscriber: &Subscriber, events: EventStream, granted: usize) -> Reading {
        // A follower with checkpoints has a timer.
        let _inside = self.runtime.enter();
        let follower = Follower::new(events, subscriber.checkpoints.then_some(CHECKPOINTS));
        Reading::start(&self.runtime, self.database.clone(), follower, granted)
    }

    /// Cuts a subscriber off in the middle of whatever it does. What it has received by then it has received.
    fn cut_off(&mut self, model: &Model, index: usize) {
        let subscriber = &model.subscribers[index];
        let following = &mut self.following[index];
        let Some(mut reading) = following.reading.take() else { return };
        reading.task.abort();
        let _ = self.runtime.block_on(reading.task);
        let expected = model.expected(subscriber);
        while let Ok(next) = reading.events.try_recv() {
            following.take(next, model, &expected, subscriber);
        }
        self.check_ending(model, index);
    }

    /// Resumes from the last event or checkpoint received, as a client does with its cursor.
    fn resume(&mut self, model: &Model, index: usize) {
        let subscriber = &model.subscribers[index];
        let following = &self.following[index];
        let last = following.received.last().copied().unwrap_or(subscriber.start).max(following.checkpoint);
        match self.open(subscriber, Some(last)) {
            Ok(follow) => {
                let granted = eagerness(index);
                let reading = self.start_reading(subscriber, follow, granted);
                let following = &mut self.following[index];
                following.granted = following.received.len() + granted;
                following.reading = Some(reading);
            }
            Err(OpenError::NoSuchConversation) => {
                self.following[index].ended = true;
                self.check_ending(model, index);
            }
            Err(error) => panic!("{subscriber:?} cannot resume: {error:?}"),
        }
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_subscriber_ends_with_exactly_what_the_model_says(sequential 1..120 => Herald);
}
