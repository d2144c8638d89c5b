//! The checker itself: a sound story breaks no rule, and each rule breaks on the story that it is for.
//!
//! The story: ada starts a conversation with bob and sends; bob receives; ada adds cem; bob sends; bob and
//! ada read; cem leaves; ada sends again.

mod private;
mod redacting;
mod removing;
mod renaming;

use super::*;
use crate::act::{Act, Answer, Outcome};
use crate::history::{Call, DevicePast, Scope, Start, Turn};
use crate::record::{Event, Kind, Message, Part};
use crate::told::What;

const ROOM: &str = "cnv_1";

fn event(position: i64, kind: Kind, actor: &str) -> Event {
    Event {
        position,
        kind,
        conversation: ROOM.into(),
        actor: actor.into(),
        connection: None,
        users: None,
        from: None,
        through: None,
        is_private: false,
        renaming: None,
        reason: None,
        at: position * 10,
    }
}

fn joining(position: i64, kind: Kind, actor: &str, users: &[&str]) -> Event {
    Event { users: Some(texts(users)), ..event(position, kind, actor) }
}

fn mark(position: i64, kind: Kind, actor: &str, from: i64, through: i64) -> Event {
    Event { from: Some(from), through: Some(through), ..event(position, kind, actor) }
}

fn message(position: i64, id: &str, sender: &str, key: Option<&str>) -> Message {
    Message {
        position,
        id: id.into(),
        conversation: ROOM.into(),
        sender: sender.into(),
        body: format!("says {id}"),
        key: key.map(str::to_owned),
        sent_at: position * 10,
        redacted_at: None,
    }
}

fn part(user: &str, joined: i64, left: Option<i64>, through: i64) -> Part {
    let (conversation, user) = (ROOM.to_owned(), user.to_owned());
    Part { conversation, user, joined, left, delivered: through, read: through, owner_since: None }
}

fn owner(user: &str, joined: i64, left: Option<i64>, through: i64) -> Part {
    Part { owner_since: Some(joined), ..part(user, joined, left, through) }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// What everybody who may see it is told of a position.
fn told(position: i64) -> Told {
    let sent = |id: &str, sender: &str| What::Sent {
        message: id.into(),
        sender: sender.into(),
        body: format!("says {id}"),
        sent_at: position * 10,
    };
    let marked = |recipient: &str, is_read, message: &str| What::Marked {
        recipient: recipient.into(),
        is_read,
        message: message.into(),
        messages: texts(&[message]),
    };
    let renamed = |by: &str, title: &str| What::Renamed { by: by.into(), title: Some(title.into()) };
    let what = match position {
        1 => What::Started { by: "ada".into() },
        2 => sent("m1", "ada"),
        3 => marked("bob", false, "m1"),
        4 => What::Joined { by: "ada".into(), users: texts(&["cem"]) },
        5 => sent("m2", "bob"),
        6 => marked("bob", true, "m1"),
        7 => marked("ada", true, "m2"),
        8 => What::Left { user: "cem".into(), new_owner: None },
        9 => sent("m3", "ada"),
        11 => renamed("bob", "tea"),
        12 => renamed("ada", "coffee"),
        13 => What::Left { user: "ada".into(), new_owner: Some("bob".into()) },
        16 => What::Redacted { by: "ada".into(), message: "m1".into() },
        14 => What::Joined { by: "bob".into(), users: texts(&["cem"]) },
        15 => What::Removed { by: "bob".into(), users: texts(&["cem"]) },
        _ => sent("m4", "ada"),
    };
    Told { cursor: format!("cursor {position}"), conversation: ROOM.into(), at: position * 10, what }
}

fn device(connection: &str, user: &str, positions: &[i64]) -> DevicePast {
    let mut device = DevicePast::new(connection.into(), user.into(), Scope::Everything, Start::Beginning);
    device.told = positions.iter().copied().map(told).collect();
    device.times = positions.iter().map(|position| u64::try_from(*position).unwrap() * 100).collect();
    device
}

fn call(position: i64, user: &str, act: Act) -> Call {
    let message = match &act {
        Act::Mark { message, .. } | Act::Redact { message } => Some(message.clone()),
        Act::Send { body, .. } => body.strip_prefix("says ").map(str::to_owned),
        _ => None,
    };
    let names_it =
        matches!(act, Act::Start { .. } | Act::Add { .. } | Act::Remove { .. } | Act::Rename { .. });
    let conversation = names_it.then(|| ROOM.to_owned());
    let answer = Answer { cursor: format!("cursor {position}"), conversation, message };
    let began = u64::try_from(position).unwrap() * 100 - 50;
    let ended = Some((began + 10, Outcome::Answered(answer)));
    Call { user: user.into(), node: 0, connection: None, act, began, ended }
}

fn send(position: i64, user: &str, id: &str, key: Option<&str>) -> Call {
    let (body, key) = (format!("says {id}"), key.map(str::to_owned));
    call(position, user, Act::Send { conversation: ROOM.into(), body, key })
}

fn marking(position: i64, user: &str, message: &str, is_read: bool) -> Call {
    call(position, user, Act::Mark { message: message.into(), is_read })
}

fn log() -> Log {
    let mut first = event(2, Kind::Sent, "ada");
    first.connection = Some("a".into());
    Log {
        head: 9,
        events: vec![
            joining(1, Kind::Started, "ada", &["ada", "bob"]),
            first,
            mark(3, Kind::Delivered, "bob", 1, 2),
            joining(4, Kind::Joined, "ada", &["cem"]),
            event(5, Kind::Sent, "bob"),
            mark(6, Kind::Read, "bob", 1, 2),
            mark(7, Kind::Read, "ada", 1, 5),
            event(8, Kind::Left, "cem"),
            event(9, Kind::Sent, "ada"),
        ],
        messages: vec![
            message(2, "m1", "ada", Some("key")),
            message(5, "m2", "bob", None),
            message(9, "m3", "ada", None),
        ],
        parts: vec![owner("ada", 1, None, 5), part("bob", 1, None, 2), part("cem", 4, Some(8), 4)],
        titles: HashMap::from([(ROOM.to_owned(), Some("title".to_owned()))]),
    }
}

fn sound() -> Evidence {
    let start = Act::Start { handles: texts(&["bob"]), title: "title".into() };
    let mut first = send(2, "ada", "m1", Some("key"));
    first.connection = Some("a".into());
    let calls = vec![
        call(1, "ada", start),
        first,
        marking(3, "bob", "m1", false),
        call(4, "ada", Act::Add { conversation: ROOM.into(), handles: texts(&["cem"]) }),
        send(5, "bob", "m2", None),
        marking(6, "bob", "m1", true),
        marking(7, "ada", "m2", true),
        call(8, "cem", Act::Leave { conversation: ROOM.into() }),
        send(9, "ada", "m3", None),
    ];
    let devices = vec![
        device("a", "ada", &[1, 3, 4, 5, 6, 7, 8, 9]),
        device("b", "bob", &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
        device("c", "cem", &[4, 5, 7, 8]),
    ];
    let fresh = Fresh { node: 1, user: "ada".into(), after: 0, told: (1..=9).map(told).collect() };
    let probe = Probe {
        handle: "dan".into(),
        ended_at: 0,
        node: 1,
        refused_after: Some(900),
        closed: Some((Some(4403), 1_000)),
    };
    Evidence {
        past: Past { calls, devices, ..Past::default() },
        log: log(),
        users: ["ada", "bob", "cem"].map(|name| (name.to_owned(), name.to_owned())).into(),
        fresh: vec![fresh],
        receipts: vec![
            Receipt { node: 0, message: "m1".into(), sent_at: 20, delivered_at: Some(30), read_at: Some(60) },
            Receipt { node: 0, message: "m3".into(), sent_at: 90, delivered_at: None, read_at: None },
        ],
        sessions: vec![probe],
        small_conversation: 6,
    }
}

/// The rule that is broken when the story is changed like this, and what is said about it.
fn broken(change: impl FnOnce(&mut Evidence)) -> (&'static str, String) {
    let mut evidence = sound();
    change(&mut evidence);
    let broken = check(&evidence).expect("a broken rule");
    (broken.rule, broken.details)
}

/// Asserts that a change breaks a rule, and that the details name what it is.
fn assert_broken(rule: &str, named: &str, change: impl FnOnce(&mut Evidence)) {
    let (name, details) = broken(change);
    assert_eq!(name, rule, "{details}");
    assert!(details.contains(named), "{named:?} is not in {details:?}");
}

/// Ada sends a fourth message, of which everyone is told.
fn add_fourth(evidence: &mut Evidence, key: Option<&str>) {
    evidence.log.head = 10;
    evidence.log.events.push(event(10, Kind::Sent, "ada"));
    evidence.log.messages.push(message(10, "m4", "ada", key));
    evidence.past.calls.push(send(10, "ada", "m4", key));
    for device in &mut evidence.past.devices[..2] {
        device.told.push(told(10));
        device.times.push(1_000);
    }
    evidence.fresh[0].told.push(told(10));
}

#[test]
fn a_sound_story_breaks_no_rule() {
    assert_eq!(check(&sound()), None);
    let mut longer = sound();
    add_fourth(&mut longer, Some("another key"));
    assert_eq!(check(&longer), None);
    assert_eq!(behind(&longer), Vec::<String>::new());
}

#[test]
fn gaps_and_events_that_cannot_be() {
    let rule = "gapless";
    assert_broken(rule, "position 5 is missing", |story| {
        story.log.events.remove(4);
    });
    assert_broken(rule, "log_head says 10", |story| story.log.head = 10);
    assert_broken(rule, "is not there", |story| {
        story.log.messages.pop();
    });
    assert_broken(rule, "no event sends", |story| story.log.messages[0].position = 3);
    assert_broken(rule, "takes no part", |story| story.log.events[7].actor = "dan".into());
    assert_broken(rule, "took part already", |story| story.log.events[3].users = Some(texts(&["bob"])));
}

#[test]
fn times_that_are_not_the_order() {
    let rule = "times-are-the-order";
    assert_broken(rule, "not later", |story| story.log.events[3].at = 30);
    assert_broken(rule, "another time", |story| story.log.messages[1].sent_at = 51);
    assert_broken(rule, "this was told", |story| story.receipts[0].sent_at = 21);
    assert_broken(rule, "not in the order", |story| story.receipts[0].delivered_at = Some(20));
    assert_broken(rule, "not in the order", |story| story.receipts[0].read_at = Some(29));
    assert_broken(rule, "not in the order", |story| story.receipts[0].delivered_at = None);
}

#[test]
fn answered_and_gone() {
    let rule = "answered-is-durable";
    assert_broken(rule, "is not in the log", |story| {
        story.past.calls.push(send(9, "ada", "m5", None));
    });
    assert_broken(rule, "another than the one", |story| story.log.messages[2].body = "says m9".into());
    assert_broken(rule, "another origin", |story| story.log.events[8].connection = Some("b".into()));
    assert_broken(rule, "a mark that was answered", |story| {
        story.past.calls.push(marking(9, "bob", "m3", false));
    });
    assert_broken(rule, "takes no part", |story| {
        let act = Act::Add { conversation: ROOM.into(), handles: texts(&["cem"]) };
        story.past.calls.push(call(9, "bob", act));
    });
    assert_broken(rule, "2 times that they left", |story| {
        story.past.calls.push(call(9, "cem", Act::Leave { conversation: ROOM.into() }));
    });
    assert_broken(rule, "other people", |story| {
        story.past.calls[0].act = Act::Start { handles: texts(&["cem"]), title: "title".into() };
    });
}

#[test]
fn said_twice_or_by_nobody() {
    let rule = "unknown-is-at-most-once";
    let unknown = |story: &mut Evidence, outcome: Outcome| story.past.calls[8].ended = Some((960, outcome));
    assert_broken(rule, "is in the log 2 times", |story| {
        add_fourth(story, None);
        unknown(story, Outcome::Unknown("silence".into()));
        story.past.calls.pop();
        story.log.messages[3].body = "says m3".into();
    });
    assert_broken(rule, "was refused", |story| unknown(story, Outcome::Refused("NOT_FOUND".into())));
    assert_broken(rule, "nobody asked", |story| {
        story.past.calls.pop();
    });
    assert_broken(rule, "asked to 0 times", |story| {
        story.past.calls.remove(7);
    });
    // A request without an answer may have had its effect once.
    let mut story = sound();
    unknown(&mut story, Outcome::Unknown("silence".into()));
    assert_eq!(check(&story), None);
}

#[test]
fn one_key_for_two_messages() {
    assert_broken("one-key-one-message", "stands for m1 and for m4", |story| {
        add_fourth(story, Some("key"));
    });
}

#[test]
fn marks_that_do_not_follow_on_each_other() {
    let rule = "marks-advance";
    assert_broken(rule, "does not begin where", |story| story.log.events[6].from = Some(2));
    assert_broken(rule, "does not move forward", |story| story.log.events[6].from = Some(5));
    assert_broken(rule, "their own message", |story| {
        story.log.events[5].actor = "ada".into();
        story.past.calls.remove(5);
    });
    assert_broken(rule, "table of participants", |story| story.log.parts[1].delivered = 5);
    assert_broken(rule, "wrong people", |story| story.small_conversation = 2);
}

/// The same story where three are many: only those whom a mark concerns are told of it.
fn large(story: &mut Evidence) {
    story.small_conversation = 2;
    for index in [5, 6] {
        story.log.events[index].users = Some(texts(&["bob", "ada"]));
    }
    story.past.devices[2] = device("c", "cem", &[4, 5, 8]);
    // Of the messages up to m2 that ada has read, one was from bob.
    assert_eq!(story.log.events[6].from, Some(1));
}

#[test]
fn marks_in_a_large_conversation_are_told_to_those_they_concern() {
    let mut story = sound();
    large(&mut story);
    assert_eq!(check(&story), None);
    assert_broken("lossless", "not entitled", |story| {
        large(story);
        story.past.devices[2] = device("c", "cem", &[4, 5, 7, 8]);
    });
}

#[test]
fn each_way_of_being_told_wrongly_is_named() {
    let rule = "lossless";
    let tell = |story: &mut Evidence, index: usize, positions: &[i64]| {
        let DevicePast { connection, user, .. } = &story.past.devices[index];
        story.past.devices[index] = device(connection, user, positions);
    };
    assert_broken(rule, "missing: 1 events were never told: [5]", |story| {
        tell(story, 0, &[1, 3, 4, 6, 7, 8, 9]);
    });
    assert_broken(rule, "repeated: position 3", |story| tell(story, 0, &[1, 3, 3, 4, 5, 6, 7, 8, 9]));
    assert_broken(rule, "out of order: position 4", |story| tell(story, 0, &[1, 4, 3, 5, 6, 7, 8, 9]));
    assert_broken(rule, "own echo: position 2", |story| tell(story, 0, &[1, 2, 3, 4, 5, 6, 7, 8, 9]));
    assert_broken(rule, "not entitled: position 6", |story| tell(story, 2, &[4, 5, 6, 7, 8]));
    assert_broken(rule, "not entitled: position 9", |story| tell(story, 2, &[4, 5, 7, 8, 9]));
    assert_broken(rule, "not asked for", |story| {
        story.past.devices[1].scope = Scope::MessagesIn("cnv_2".into());
    });
    assert_broken(rule, "altered", |story| {
        if let What::Sent { body, .. } = &mut story.past.devices[1].told[1].what {
            body.push('!');
        }
    });
    assert_broken(rule, "altered", |story| story.past.devices[1].told[4].at = 7);
    assert_broken(rule, "was shown as", |story| story.past.devices[1].told[4].cursor = "other".into());
}

#[test]
fn a_device_is_held_to_what_comes_after_its_first_cursor() {
    let follow = |story: &mut Evidence, positions: &[i64]| {
        let mut late = device("late", "bob", positions);
        late.start = Start::After("cursor 5".into());
        story.past.devices.push(late);
    };
    let mut story = sound();
    follow(&mut story, &[6, 7, 8, 9]);
    assert_eq!(check(&story), None);
    assert_broken("lossless", "missing", |story| follow(story, &[7, 8, 9]));
    assert_broken("lossless", "not asked for", |story| follow(story, &[5, 6, 7, 8, 9]));
}

#[test]
fn one_conversation_is_followed_alone() {
    let follow = |story: &mut Evidence, positions: &[i64]| {
        let mut scoped = device("scoped", "bob", positions);
        scoped.scope = Scope::MessagesIn(ROOM.into());
        story.past.devices.push(scoped);
    };
    let mut story = sound();
    follow(&mut story, &[2, 5, 9]);
    assert_eq!(check(&story), None);
    assert_broken("lossless", "missing", |story| follow(story, &[2, 9]));
    assert_broken("lossless", "not asked for", |story| follow(story, &[2, 3, 5, 9]));
}

#[test]
fn a_device_that_stays_behind() {
    assert_broken("converged", "1 devices have not caught up", |story| {
        story.past.devices[1].told.pop();
    });
}

#[test]
fn a_node_that_tells_something_else() {
    let rule = "same-on-every-node";
    assert_broken(rule, "1 events were not told", |story| {
        story.fresh[0].told.pop();
    });
    assert_broken(rule, "missing", |story| {
        story.fresh[0].told.remove(4);
    });
}

#[test]
fn answers_that_should_not_be() {
    let rule = "only-known-errors";
    assert_broken(rule, "INTERNAL", |story| story.past.strange.push((1, "INTERNAL".into())));
    let refuse = |story: &mut Evidence, mut call: Call, code: &str| {
        call.began = 950;
        call.ended = Some((960, Outcome::Refused(code.into())));
        story.past.calls.push(call);
    };
    assert_broken(rule, "no reason", |story| {
        refuse(story, send(9, "bob", "m9", None), "NOT_FOUND");
    });
    assert_broken(rule, "no reason", |story| {
        refuse(story, marking(9, "bob", "m3", true), "SENDER_CANNOT_MARK");
    });
    // These refusals are right: of a person who left, and of a sender who marks.
    let mut story = sound();
    refuse(&mut story, send(9, "cem", "m9", None), "NOT_FOUND");
    refuse(&mut story, marking(9, "bob", "m2", true), "SENDER_CANNOT_MARK");
    assert_eq!(check(&story), None);
}

#[test]
fn a_session_that_lives_on() {
    let rule = "ended-sessions";
    assert_broken(rule, "not refused", |story| story.sessions[0].refused_after = None);
    assert_broken(rule, "not refused", |story| story.sessions[0].refused_after = Some(4_000));
    assert_broken(rule, "not closed", |story| story.sessions[0].closed = Some((Some(1001), 900)));
    assert_broken(rule, "not closed", |story| story.sessions[0].closed = None);
}

/// The same story where m3 is lost in a log that goes back to position 8, and ada sends m4 there. Bob's device is told
/// that it went back.
fn turned() -> Evidence {
    let mut story = sound();
    let turn = Turn { kept: 805, since: 905, until: 940, lost: Some(story.log.clone()) };
    story.past.turn = Some(turn);
    story.log.messages[2] = message(9, "m4", "ada", None);
    story.past.calls.push(send(10, "ada", "m4", None));
    let anew = Told { cursor: "cursor 9 anew".into(), at: 90, ..told(10) };
    let What::Sent { message, sender, body, .. } = anew.what else { unreachable!() };
    let anew = Told { what: What::Sent { message, sender, body, sent_at: 90 }, ..anew };
    story.past.devices[0].told.pop();
    for (index, told) in [(0, vec![]), (1, vec![anew.clone()]), (2, vec![])] {
        story.past.devices[index].has_expired = true;
        let DevicePast { connection, user, .. } = story.past.devices[index].clone();
        let start = Start::After("cursor 8".into());
        let mut device = DevicePast::new(connection, user, Scope::Everything, start);
        (device.began, device.times) = (930, told.iter().map(|_| 1_010).collect());
        device.told = told;
        story.past.devices.push(device);
    }
    // Ada's own device sent it.
    story.log.events[8].connection = Some("a".into());
    story.past.calls.last_mut().unwrap().connection = Some("a".into());
    story.fresh[0] = Fresh { node: 1, user: "bob".into(), after: 7, told: vec![told(8), anew] };
    story.receipts.pop();
    story
}

#[test]
fn a_log_that_went_back_is_held_to_what_each_of_both_was_told_and_answered() {
    assert_eq!(check(&turned()), None);
    assert_eq!(behind(&turned()), Vec::<String>::new());
    let assert_broken = |rule, named, change: fn(&mut Evidence)| {
        assert_broken(rule, named, |story| {
            *story = turned();
            change(story);
        });
    };
    let lost = |story: &mut Evidence| story.past.turn.as_mut().unwrap().lost.take().unwrap();
    assert_eq!(lost(&mut turned()).beyond(&turned().log), 1);
    // Recent answers are in the lost log alone. Older answers are in both logs.
    assert_broken("answered-is-durable", "is not in the log", |story| {
        story.past.calls[8].act = Act::Send { conversation: ROOM.into(), body: "says m3".into(), key: None };
        let Some((_, Outcome::Answered(answer))) = &mut story.past.calls[8].ended else { return };
        answer.message = Some("m5".into());
    });
    assert_broken("answered-is-durable", "is not in the log", |story| {
        story.past.turn.as_mut().unwrap().kept = 1_000;
    });
    // A device that received events of both logs without an error in between breaks the rule.
    assert_broken("lossless", "altered", |story| {
        let anew = story.past.devices[4].told[0].clone();
        story.past.devices[1].told.push(anew);
        story.past.devices[1].times.push(905);
    });
    assert_broken("lossless", "altered", |story| {
        story.past.devices[1].has_expired = false;
    });
    // Before a node has noticed, it may deliver events of both logs. A device forgets them when it gets the error.
    let mut mixed = turned();
    let anew = mixed.past.devices[4].told[0].clone();
    mixed.past.devices[1].told.push(anew);
    mixed.past.devices[1].times.push(1_010);
    assert_eq!(check(&mixed), None);
    assert_broken("converged", "not told that the log went back", |story| {
        story.past.devices[2].has_expired = false;
    });
    assert_broken("converged", "1 devices have not caught up", |story| {
        story.past.devices[4].told.clear();
    });
}
