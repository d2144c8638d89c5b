//! The story, after which bob chooses to share nothing and reads ada's last message.

use super::*;

/// Where bob's mark is in the log.
const READ: usize = 9;

fn story() -> Evidence {
    let mut story = sound();
    story.log.head = 10;
    story.log.events.push(Event { is_private: true, ..mark(10, Kind::Read, "bob", 2, 9) });
    story.log.parts[1] = part("bob", 1, None, 9);
    let share = Act::Share { conversation: ROOM.into(), delivered: false, read: false };
    story.past.calls.push(call(9, "bob", share));
    story.past.calls.push(marking(10, "bob", "m3", true));
    story.past.devices[1].told.push(read());
    story.past.devices[1].times.push(1_000);
    story
}

/// What bob's own devices are told.
fn read() -> Told {
    let messages = texts(&["m3"]);
    let what = What::Marked { recipient: "bob".into(), is_read: true, message: "m3".into(), messages };
    Told { cursor: "cursor 10".into(), at: 100, what, ..told(9) }
}

fn assert_broken(rule: &str, named: &str, change: impl FnOnce(&mut Evidence)) {
    super::assert_broken(rule, named, |evidence| {
        *evidence = story();
        change(evidence);
    });
}

#[test]
fn a_story_with_a_private_mark_breaks_no_rule() {
    assert_eq!(check(&story()), None);
    assert_eq!(behind(&story()), Vec::<String>::new());
}

#[test]
fn marks_that_are_told_although_they_are_not_shared_and_the_other_way_round() {
    let rule = "private-is-private";
    assert_broken(rule, "others are told", |story| story.log.events[READ].is_private = false);
    assert_broken(rule, "nobody asked", |story| {
        story.past.calls.retain(|call| !matches!(call.act, Act::Share { .. }));
    });
    assert_broken("lossless", "not entitled", |story| {
        story.past.devices[0].told.push(read());
        story.past.devices[0].times.push(1_000);
    });
}

#[test]
fn what_is_told_of_a_mark_may_begin_later_than_the_mark() {
    let mut story = story();
    story.log.events.insert(READ, mark(10, Kind::Read, "bob", 5, 9));
    story.log.events[READ + 1].position = 11;
    story.log.events[READ + 1].at = 110;
    story.log.head = 11;
    let last = story.past.calls.len() - 2;
    story.past.calls[last].act = Act::Share { conversation: ROOM.into(), delivered: true, read: true };
    let hidden = Act::Share { conversation: ROOM.into(), delivered: false, read: false };
    story.past.calls.insert(last, call(6, "bob", hidden));
    let mine = Told { cursor: "cursor 11".into(), at: 110, ..read() };
    for (device, told) in [(0, vec![read()]), (1, vec![read(), mine])] {
        let past = &mut story.past.devices[device];
        past.told.truncate(if device == 0 { 8 } else { 9 });
        past.told.extend(told);
        past.times = (0..past.told.len() as u64).map(|n| n * 100).collect();
    }
    story.fresh[0].told.push(read());
    assert_eq!(check(&story), None);
}
