//! The story with renames, after which ada leaves it to bob. He adds cem again, and removes her.

use super::*;

/// Where the removal is in the log, and its call among the calls.
const REMOVED: usize = 14;

fn story() -> Evidence {
    let mut story = renaming::story();
    let (add, remove) = (texts(&["cem"]), texts(&["cem"]));
    story.log.head = 15;
    story.log.events.extend([
        joining(13, Kind::Left, "ada", &["bob"]),
        joining(14, Kind::Joined, "bob", &["cem"]),
        joining(15, Kind::Removed, "bob", &["cem"]),
    ]);
    story.log.parts = vec![
        owner("ada", 1, Some(13), 5),
        Part { owner_since: Some(13), ..part("bob", 1, None, 2) },
        part("cem", 4, Some(8), 4),
        part("cem", 14, Some(15), 4),
    ];
    let conversation = || ROOM.to_owned();
    story.past.calls.extend([
        call(13, "ada", Act::Leave { conversation: conversation() }),
        call(14, "bob", Act::Add { conversation: conversation(), handles: add }),
        call(15, "bob", Act::Remove { conversation: conversation(), handles: remove }),
    ]);
    story.past.devices[0].told.push(told(13));
    story.past.devices[0].times.push(1_300);
    story.past.devices[1].told.extend([13, 14, 15].map(told));
    story.past.devices[1].times.extend([1_300, 1_400, 1_500]);
    story.past.devices[2].told.extend([14, 15].map(told));
    story.past.devices[2].times.extend([1_400, 1_500]);
    story.fresh[0].told.push(told(13));
    story
}

fn assert_broken(rule: &str, named: &str, change: impl FnOnce(&mut Evidence)) {
    super::assert_broken(rule, named, |evidence| {
        *evidence = story();
        change(evidence);
    });
}

#[test]
fn a_story_with_a_removal_breaks_no_rule() {
    assert_eq!(check(&story()), None);
    assert_eq!(behind(&story()), Vec::<String>::new());
}

#[test]
fn removals_by_those_who_may_not() {
    let rule = "gapless";
    assert_broken(rule, "takes no part", |story| story.log.events[REMOVED].actor = "ada".into());
    assert_broken(rule, "do not own", |story| {
        story.log.events[REMOVED].actor = "cem".into();
        story.log.events[REMOVED].users = Some(texts(&["bob"]));
    });
    assert_broken(rule, "by themselves", |story| story.log.events[REMOVED].users = Some(texts(&["bob"])));
    assert_broken(rule, "nobody was removed", |story| story.log.events[REMOVED].users = None);
    assert_broken(rule, "who takes no part", |story| {
        story.log.events[REMOVED].users = Some(texts(&["ada"]));
    });
}

#[test]
fn owners_that_are_not_the_next() {
    assert_broken("gapless", "the wrong user owns", |story| story.log.events[12].users = None);
    assert_broken("marks-advance", "the table of participants", |story| {
        story.log.parts[1].owner_since = None;
    });
}

#[test]
fn answered_removals_that_did_not_happen_and_removals_that_nobody_asked_for() {
    assert_broken("answered-is-durable", "who was removed takes part", |story| {
        story.log.events.pop();
        story.log.head = 14;
        story.log.parts[3].left = None;
        story.past.calls[REMOVED].ended = call(14, "bob", story.past.calls[REMOVED].act.clone()).ended;
        for device in &mut story.past.devices[1..] {
            device.told.pop();
        }
    });
    assert_broken("unknown-is-at-most-once", "nobody asked to remove", |story| {
        story.past.calls.remove(REMOVED);
    });
}

#[test]
fn refusals_of_an_owner() {
    let refuse = |story: &mut Evidence, user: &str| {
        let act = Act::Remove { conversation: ROOM.into(), handles: texts(&["bob"]) };
        let ended = Some((95, Outcome::Refused("FORBIDDEN".into())));
        story.past.calls.push(Call { began: 90, ended, ..call(1, user, act) });
    };
    assert_broken("only-known-errors", "no reason", |story| refuse(story, "ada"));
    let mut refused = story();
    refuse(&mut refused, "bob");
    assert_eq!(check(&refused), None);
}
