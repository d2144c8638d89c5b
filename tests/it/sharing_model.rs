//! Privacy against a model that is too simple to be wrong: for every message it keeps what each recipient did, and what
//! others were told of it. Everybody looks: those who take part, those who left, the recipients' own devices, a service.

use std::collections::{BTreeMap, BTreeSet};

use herald::accounts::Scope;
use herald::messaging::Edit;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::sharing;
use crate::support::{Socket, TestApp, User};

const PEOPLE: usize = 4;

/// Those who take part from the start. The others are added.
const FIRST: usize = 3;

const SEEN: &str = "query($id: ID!) { conversation(id: $id) {
    unreadCount
    participants(first: 9) { nodes { user { id } deliveredThrough { id } readThrough { id } } }
    messages(last: 200) { nodes { ...Standing } }
} } fragment Standing on Message {
    id status recipientCount sharingCount deliveredCount readCount
    receipts(first: 9) { nodes { recipient { id } isShared status deliveredAt readAt } }
    undelivered: receipts(first: 9, notYet: DELIVERED) { nodes { recipient { id } } }
    unread: receipts(first: 9, notYet: READ) { nodes { recipient { id } } }
}";
const EVENTS: &str = "{ __typename
    ... on StatusChanged { recipient { id } status messages(first: 200) { id } }
    ... on ParticipantLeft { user { id } conversation { messages(last: 100) { nodes { ...Standing } } } }
    ... on MessageSent { message { body } }
} } fragment Standing on Message {
    id status recipientCount sharingCount deliveredCount readCount
    receipts(first: 9) { nodes { recipient { id } isShared status deliveredAt readAt } }
    undelivered: receipts(first: 9, notYet: DELIVERED) { nodes { recipient { id } } }
    unread: receipts(first: 9, notYet: READ) { nodes { recipient { id } } }
}";

#[derive(Debug, Clone)]
enum Step {
    Send(usize),
    Mark { by: usize, message: Index, is_read: bool },
    Profile { by: usize, delivered: Option<bool>, read: Option<bool> },
    Own { by: usize, delivered: Edit<bool>, read: Edit<bool> },
    Leave(usize),
    Add { by: usize, whom: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..PEOPLE;
    let choice = || prop::option::of(any::<bool>());
    let set = || prop::option::weighted(0.7, any::<bool>()).prop_map(Edit::Set);
    let own = || prop_oneof![Just(Edit::Keep), set()];
    prop_oneof![
        6 => who().prop_map(Step::Send),
        9 => (who(), any::<Index>(), any::<bool>())
            .prop_map(|(by, message, is_read)| Step::Mark { by, message, is_read }),
        3 => (who(), choice(), choice())
            .prop_map(|(by, delivered, read)| Step::Profile { by, delivered, read }),
        3 => (who(), own(), own()).prop_map(|(by, delivered, read)| Step::Own { by, delivered, read }),
        1 => who().prop_map(Step::Leave),
        3 => (who(), who()).prop_map(|(by, whom)| Step::Add { by, whom }),
    ]
}

/// Receiving, and reading.
type Both = [bool; 2];

/// What came of one message with one recipient.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    done: Both,
    told: Both,
    /// Whether it is told once it is done. What was sent while this was not shared is never told.
    tells: Both,
}

#[derive(Debug, Default)]
struct Sent {
    id: String,
    sender: usize,
    rows: BTreeMap<usize, Row>,
}

#[derive(Debug, Clone, Copy)]
struct Person {
    is_present: bool,
    profile: Both,
    own: [Option<bool>; 2],
    /// The newest messages up to which others were told.
    told_through: [Option<usize>; 2],
}

impl Person {
    /// What the person shares now. Reading tells of receiving.
    fn shares(&self) -> Both {
        let [delivered, read] = [0, 1].map(|kind| self.own[kind].unwrap_or(self.profile[kind]));
        [delivered, delivered && read]
    }
}

/// A mark that somebody is told of: by whom, of which message, and whether it was read.
type Mark = (usize, usize, bool);

/// Messages, each with what others are told of it.
type Seen = Vec<(usize, BTreeMap<usize, Row>)>;

struct Model {
    people: [Person; PEOPLE],
    messages: Vec<Sent>,
    /// What each person is told, and at last a service.
    told: [BTreeSet<Mark>; PEOPLE + 1],
    /// The messages that each person saw, and what others were told of them, when they left last.
    left: [Option<Seen>; PEOPLE],
    /// How often each person left.
    leaves: [usize; PEOPLE],
}

impl Model {
    fn new() -> Self {
        let person =
            |n| Person { is_present: n < FIRST, profile: [true; 2], own: [None; 2], told_through: [None; 2] };
        Self {
            people: std::array::from_fn(person),
            messages: Vec::new(),
            told: Default::default(),
            left: Default::default(),
            leaves: [0; PEOPLE],
        }
    }

    fn choose(&mut self, who: usize, change: impl FnOnce(&mut Person)) {
        change(&mut self.people[who]);
        let shares = self.people[who].shares();
        for row in self.messages.iter_mut().filter_map(|message| message.rows.get_mut(&who)) {
            for kind in [0, 1] {
                row.tells[kind] &= shares[kind];
            }
        }
    }

    fn sees(&self, who: usize, message: usize) -> bool {
        self.messages[message].sender == who || self.messages[message].rows.contains_key(&who)
    }

    fn mark(&mut self, by: usize, through: usize, is_read: bool) {
        let kinds = if is_read { &[0, 1][..] } else { &[0][..] };
        for index in 0..=through {
            let Some(row) = self.messages[index].rows.get_mut(&by) else { continue };
            let before = *row;
            for kind in kinds.iter().copied().filter(|kind| !before.done[*kind]) {
                row.done[kind] = true;
                row.told[kind] |= row.tells[kind];
            }
            row.told[0] |= row.told[1];
            let after = *row;
            for kind in kinds.iter().copied() {
                if after.told[kind] && !before.told[kind] {
                    self.people[by].told_through[kind] = Some(through);
                    self.tell((by, index, kind == 1), false);
                }
                if after.done[kind] && !before.done[kind] {
                    self.tell((by, index, kind == 1), true);
                }
            }
        }
    }

    /// Tells a mark to whoever may see it, or to the own devices alone.
    fn tell(&mut self, mark: Mark, is_own: bool) {
        for who in 0..PEOPLE {
            let is_told = self.people[who].is_present && self.sees(who, mark.1);
            if is_told && (who == mark.0) == is_own {
                self.told[who].extend([mark, (mark.0, mark.1, false)]);
            }
        }
        if !is_own {
            self.told[PEOPLE].extend([mark, (mark.0, mark.1, false)]);
        }
    }

    /// The messages that somebody sees, each with what others are told of it.
    fn seen_by(&self, who: usize) -> Seen {
        let seen = (0..self.messages.len()).filter(|index| self.sees(who, *index));
        seen.map(|index| (index, self.messages[index].rows.clone())).collect()
    }

    /// How far others are told that somebody's marks have come, as far as `viewer` sees it; their own are as they are.
    fn through(&self, viewer: usize, whose: usize, kind: usize) -> Option<&str> {
        let done = |index: &usize| self.messages[*index].rows.get(&whose).is_some_and(|row| row.done[kind]);
        let end = match viewer == whose {
            true => (0..self.messages.len()).rfind(done),
            false if kind == 0 => self.people[whose].told_through.into_iter().max().flatten(),
            false => self.people[whose].told_through[kind],
        };
        let is_seen =
            |index: &usize| self.messages[*index].rows.contains_key(&whose) && self.sees(viewer, *index);
        (0..=end?).rfind(is_seen).map(|index| self.messages[index].id.as_str())
    }
}

/// Somebody, and what they were told live.
struct Herald {
    app: TestApp,
    users: Vec<User>,
    service: User,
    room: String,
    start: String,
    live: Vec<Socket>,
    model: Model,
}

fn follow(name: &str, field: &str) -> String {
    format!("subscription {name}($after: Cursor) {{ {field}(after: $after) {EVENTS}")
}

impl Herald {
    async fn start() -> Self {
        let app = TestApp::start().await;
        let mut users = Vec::new();
        for name in ["ada", "bob", "carol", "dave"] {
            users.push(app.user(name).await);
        }
        let service = app.service("archive", &[Scope::Read]).await;
        let start = users[0].cursor().await;
        let room = users[0].start(&[&users[1], &users[2]]).await;
        let mut live = Vec::new();
        for (who, field) in users.iter().map(|user| (user, "events")).chain([(&service, "log")]) {
            let mut socket = who.socket("live").await;
            socket.follow_after("e", &follow("Live", field), &start).await;
            live.push(socket);
        }
        Self { app, users, service, room, start, live, model: Model::new() }
    }

    async fn send(&mut self, by: usize, body: &str) {
        let id = self.users[by].send(&self.room, body).await;
        let others = (0..PEOPLE).filter(|other| *other != by && self.model.people[*other].is_present);
        let row = |other: usize| Row { tells: self.model.people[other].shares(), ..Row::default() };
        let rows = others.map(|other| (other, row(other))).collect();
        self.model.messages.push(Sent { id, sender: by, rows });
    }

    async fn step(&mut self, step: &Step) {
        let is_present = |who: usize| self.model.people[who].is_present;
        match *step {
            Step::Send(by) if is_present(by) => self.send(by, "hello").await,
            Step::Mark { by, ref message, is_read } if is_present(by) && !self.model.messages.is_empty() => {
                let message = message.index(self.model.messages.len());
                if !self.model.messages[message].rows.contains_key(&by) {
                    return;
                }
                let id = self.model.messages[message].id.clone();
                if is_read {
                    self.users[by].mark_read(&id).await;
                } else {
                    self.users[by].mark_delivered(&id).await;
                }
                self.model.mark(by, message, is_read);
            }
            Step::Profile { by, delivered, read } => {
                let input = json!({ "shareDelivered": delivered, "shareRead": read });
                let update =
                    "mutation($input: ProfileInput!) { updateProfile(input: $input) { __typename } }";
                self.users[by].data(update, json!({ "input": input })).await;
                self.model.choose(by, |person| {
                    let choices = [delivered, read];
                    person.profile = [0, 1].map(|kind| choices[kind].unwrap_or(person.profile[kind]));
                });
            }
            Step::Own { by, delivered, read } if is_present(by) => {
                let mut input = json!({ "conversationId": self.room });
                for (name, choice) in [("shareDelivered", delivered), ("shareRead", read)] {
                    if let Edit::Set(choice) = choice {
                        input[name] = json!(choice);
                    }
                }
                let update = "mutation($input: OwnParticipationInput!) {
                    updateOwnParticipation(input: $input) { __typename } }";
                self.users[by].data(update, json!({ "input": input })).await;
                self.model.choose(by, |person| {
                    for (own, choice) in person.own.iter_mut().zip([delivered, read]) {
                        if let Edit::Set(choice) = choice {
                            *own = choice;
                        }
                    }
                });
            }
            Step::Leave(by) if is_present(by) => {
                self.users[by].leave(&self.room).await;
                self.model.people[by].is_present = false;
                self.model.left[by] = Some(self.model.seen_by(by));
                self.model.leaves[by] += 1;
            }
            Step::Add { by, whom } if is_present(by) && !is_present(whom) => {
                self.users[by].add(&self.room, &[&self.users[whom]]).await;
                self.model.people[whom].is_present = true;
                self.model.left[whom] = None;
            }
            _ => {}
        }
    }

    /// What a message and its receipts must show, for whoever looks when this was told.
    fn standing(&self, message: usize, rows: &BTreeMap<usize, Row>) -> Value {
        let is_shared =
            |who: &usize, row: &Row| row.told[0] || self.model.messages[message].rows[who].tells[0];
        let count =
            |counts: &dyn Fn(&usize, &Row) -> bool| rows.iter().filter(|(who, row)| counts(who, row)).count();
        let (sharing, delivered, read) =
            (count(&is_shared), count(&|_, row| row.told[0]), count(&|_, row| row.told[1]));
        let status = match sharing {
            0 => "SENT",
            n if n == read => "READ",
            n if n == delivered => "DELIVERED",
            _ => "SENT",
        };
        let receipt = |(who, row): (&usize, &Row)| {
            let status = ["SENT", "DELIVERED", "READ"][usize::from(row.told[0]) + usize::from(row.told[1])];
            (self.users[*who].id.clone(), json!([is_shared(who, row), status, row.told[0], row.told[1]]))
        };
        let receipts: BTreeMap<_, _> = rows.iter().map(receipt).collect();
        let not_yet = [0, 1].map(|kind| {
            let lacking = rows.iter().filter(|(who, row)| is_shared(who, row) && !row.told[kind]);
            lacking.map(|(who, _)| self.users[*who].id.as_str()).collect::<BTreeSet<_>>()
        });
        json!([status, rows.len(), sharing, delivered, read, receipts, not_yet])
    }

    fn compare_messages(&self, shown: &Value, expected: &Seen, who: &str) {
        let shown: Vec<Value> = shown["nodes"].as_array().unwrap().iter().map(in_short).collect();
        let due: Vec<Value> = expected.iter().map(|(index, rows)| self.standing(*index, rows)).collect();
        assert_eq!(shown, due, "{who}");
    }

    /// Compares what everybody who takes part sees.
    async fn compare(&self) {
        for who in (0..PEOPLE).filter(|who| self.model.people[*who].is_present) {
            let data = self.users[who].data(SEEN, json!({ "id": self.room })).await;
            let conversation = &data["conversation"];
            let name = &self.users[who].handle;
            self.compare_messages(&conversation["messages"], &self.model.seen_by(who), name);
            let is_unread = |message: &&Sent| message.rows.get(&who).is_some_and(|row| !row.done[1]);
            let unread = self.model.messages.iter().filter(is_unread).count();
            assert_eq!(conversation["unreadCount"], unread, "{name}");
            for part in conversation["participants"]["nodes"].as_array().unwrap() {
                let whose = self.users.iter().position(|user| part["user"]["id"] == user.id).unwrap();
                for (kind, field) in ["deliveredThrough", "readThrough"].into_iter().enumerate() {
                    let through = self.model.through(who, whose, kind);
                    assert_eq!(part[field]["id"].as_str(), through, "{field} of {whose} for {who}");
                }
            }
        }
    }

    /// Compares what everybody was told, live and on replay. Whoever left sees what was told until then.
    async fn compare_told(&mut self) {
        for who in 0..=PEOPLE {
            let (user, field) = match self.users.get(who) {
                Some(user) => (user.clone(), "events"),
                None => (self.service.clone(), "log"),
            };
            let mut replayed = user.socket("replay").await;
            // A name of its own, so that nothing is told that was rendered before.
            replayed.follow_after("e", &follow("Replayed", field), &self.start).await;
            for (how, is_live) in [("live", true), ("replayed", false)] {
                let socket = if is_live { &mut self.live[who] } else { &mut replayed };
                let mut leaves = self.model.leaves.get(who).copied();
                if leaves == Some(0) && !self.model.people[who].is_present {
                    assert_eq!(self.model.told[who], BTreeSet::new(), "{who} never took part");
                    continue;
                }
                let (mut told, mut left) = (BTreeSet::new(), Value::Null);
                // Those who take part are told of the end, and the others of nothing after they left.
                loop {
                    let mut event = socket.next("e").await[field].take();
                    match event["__typename"].as_str().unwrap() {
                        "MessageSent" if event["message"]["body"] == "end" => break,
                        "StatusChanged" => told.extend(marks(&self.users, &self.model, &event)),
                        "ParticipantLeft" if event["user"]["id"] == user.id => {
                            left = event["conversation"]["messages"].take();
                            leaves = leaves.map(|leaves| leaves - 1);
                            if leaves == Some(0) && !self.model.people[who].is_present {
                                break;
                            }
                        }
                        _ => {}
                    }
                }
                assert_eq!(told, self.model.told[who], "{how} to {who}");
                if let (false, Some(Some(seen))) = (is_live, self.model.left.get(who)) {
                    self.compare_messages(&left, seen, "whoever left");
                }
            }
        }
    }
}

/// What a message shows, in short: its status and counts, and the receipts by recipient.
fn in_short(message: &Value) -> Value {
    let receipts = message["receipts"]["nodes"].as_array().unwrap().iter();
    let receipts = receipts.map(|receipt| {
        let [delivered, read] = ["deliveredAt", "readAt"].map(|at| !receipt[at].is_null());
        let short = json!([receipt["isShared"], receipt["status"], delivered, read]);
        (receipt["recipient"]["id"].as_str().unwrap(), short)
    });
    let receipts: BTreeMap<_, _> = receipts.collect();
    let counts =
        ["recipientCount", "sharingCount", "deliveredCount", "readCount"].map(|count| &message[count]);
    let [recipients, sharing, delivered, read] = counts;
    let not_yet = ["undelivered", "unread"].map(|field| {
        let nodes = message[field]["nodes"].as_array().unwrap().iter();
        nodes.map(|receipt| receipt["recipient"]["id"].as_str().unwrap()).collect::<BTreeSet<_>>()
    });
    json!([message["status"], recipients, sharing, delivered, read, receipts, not_yet])
}

/// The marks that an event tells of. Whoever has read a message has received it.
fn marks(users: &[User], model: &Model, event: &Value) -> Vec<Mark> {
    let by = users.iter().position(|user| event["recipient"]["id"] == user.id).unwrap();
    let mut marks = Vec::new();
    for message in event["messages"].as_array().unwrap() {
        let index = model.messages.iter().position(|sent| message["id"] == sent.id).unwrap();
        marks.push((by, index, false));
        marks.extend((event["status"] == "READ").then_some((by, index, true)));
    }
    assert!(!marks.is_empty(), "a mark of nothing: {event}");
    marks
}

async fn compare_all(steps: Vec<Step>) {
    let mut herald = Herald::start().await;
    for (n, step) in steps.iter().enumerate() {
        herald.step(step).await;
        if n % 5 == 0 {
            herald.compare().await;
        }
    }
    // Somebody is there to say that it is over, and everybody has marked something.
    let Some(last) = (0..PEOPLE).find(|who| herald.model.people[*who].is_present) else { return };
    herald.send(last, "end").await;
    herald.compare().await;
    herald.compare_told().await;
    sharing::is_sound(&herald.app).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn everybody_sees_of_marks_what_was_told_and_nothing_else(steps in prop::collection::vec(step(), 10..90)) {
        Runtime::new().unwrap().block_on(compare_all(steps));
    }
}
