//! The same story, in which ada sends a fourth message, bob renames the conversation, and ada renames it again from the
//! device that her first message came from.

use super::*;
use crate::record::Renaming;

/// Where bob's and ada's events are in the log, and their calls among the calls.
const BOBS: usize = 10;
const ADAS: usize = 11;

fn renaming(title: &str, former: &str) -> Renaming {
    Renaming { title: Some(title.into()), former: Some(former.into()) }
}

fn renamed(position: i64, actor: &str, title: &str, former: &str) -> Event {
    Event { renaming: Some(renaming(title, former)), ..event(position, Kind::Renamed, actor) }
}

fn rename(position: i64, user: &str, title: &str) -> Call {
    call(position, user, Act::Rename { conversation: ROOM.into(), title: title.into(), as_owner: false })
}

fn store(log: &mut Log, title: &str) {
    log.titles.insert(ROOM.into(), Some(title.into()));
}

pub(super) fn story() -> Evidence {
    let mut story = sound();
    add_fourth(&mut story, None);
    story.log.head = 12;
    story.log.events.extend([renamed(11, "bob", "tea", "title"), renamed(12, "ada", "coffee", "tea")]);
    story.past.calls.extend([rename(11, "bob", "tea"), rename(12, "ada", "coffee")]);
    story.log.events[ADAS].connection = Some("a".into());
    story.past.calls[ADAS].connection = Some("a".into());
    store(&mut story.log, "coffee");
    story.past.devices[0] = device("a", "ada", &[1, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    story.past.devices[1] = device("b", "bob", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    story.fresh[0].told.extend([told(11), told(12)]);
    story
}

/// Asserts that a change to the story breaks a rule, and that the details name what it is.
fn assert_broken(rule: &str, named: &str, change: impl FnOnce(&mut Evidence)) {
    super::assert_broken(rule, named, |evidence| {
        *evidence = story();
        change(evidence);
    });
}

#[test]
fn a_story_with_renames_breaks_no_rule() {
    assert_eq!(check(&story()), None);
    assert_eq!(behind(&story()), Vec::<String>::new());
}

#[test]
fn renames_that_do_not_follow_on_each_other() {
    let rule = "gapless";
    assert_broken(rule, "takes no part", |story| story.log.events[BOBS].actor = "cem".into());
    assert_broken(rule, "to nothing", |story| story.log.events[BOBS].renaming = None);
    assert_broken(rule, "the title that it has", |story| {
        story.log.events[ADAS].renaming = Some(renaming("coffee", "coffee"));
    });
    assert_broken(rule, "not the one before", |story| {
        story.log.events[ADAS].renaming = Some(renaming("coffee", "title"));
    });
}

#[test]
fn a_stored_title_that_is_not_the_last() {
    assert_broken("gapless", "was given the title", |story| store(&mut story.log, "tea"));
    assert_broken("gapless", "was given the title", |story| story.log.titles.clear());
    super::assert_broken("answered-is-durable", "not started with", |story| store(&mut story.log, "tea"));
}

#[test]
fn answered_renames_that_are_gone() {
    let rule = "answered-is-durable";
    assert_broken(rule, "is not in the log", |story| story.past.calls.push(rename(12, "bob", "milk")));
    assert_broken(rule, "by somebody else", |story| story.log.events[BOBS].actor = "ada".into());
    assert_broken(rule, "to another conversation", |story| {
        let other = Act::Rename { conversation: "cnv_2".into(), title: "tea".into(), as_owner: false };
        story.past.calls[BOBS].act = other;
    });
    assert_broken(rule, "another origin", |story| story.log.events[ADAS].connection = None);
    // What it was called before the first rename is what it was started with.
    assert_broken(rule, "not started with", |story| {
        story.log.events[BOBS].renaming = Some(renaming("tea", "milk"));
    });
}

#[test]
fn titles_that_were_given_twice_or_by_nobody() {
    let rule = "unknown-is-at-most-once";
    let again = |story: &mut Evidence| {
        story.log.head = 13;
        story.log.events.push(renamed(13, "bob", "tea", "coffee"));
        store(&mut story.log, "tea");
    };
    assert_broken(rule, "\"tea\" is in the log 2 times", again);
    let outcome =
        |story: &mut Evidence, outcome: Outcome| story.past.calls[BOBS].ended = Some((1_060, outcome));
    assert_broken(rule, "was refused", |story| outcome(story, Outcome::Refused("NOT_FOUND".into())));
    assert_broken(rule, "nobody asked for the title \"tea\"", |story| {
        story.past.calls.remove(BOBS);
    });
    // The title with which it was started is asked for, too.
    assert_broken(rule, "nobody asked for the title \"milk\"", |story| {
        story.past.calls[0].ended = None;
        story.log.events[BOBS].renaming = Some(renaming("tea", "milk"));
    });
    // What may have happened did happen once, or not at all.
    let mut story = story();
    outcome(&mut story, Outcome::Unknown("silence".into()));
    let mut other = rename(12, "bob", "milk");
    other.ended = None;
    story.past.calls.push(other);
    assert_eq!(check(&story), None);
}

#[test]
fn renames_that_are_refused() {
    let refuse = |story: &mut Evidence, user: &str, code: &str| {
        let ended = Some((1_270, Outcome::Refused(code.into())));
        story.past.calls.push(Call { began: 1_260, ended, ..rename(12, user, "milk") });
    };
    assert_broken("only-known-errors", "no reason", |story| refuse(story, "bob", "NOT_FOUND"));
    assert_broken("only-known-errors", "no reason", |story| refuse(story, "bob", "SENDER_CANNOT_MARK"));
    // Whoever left is refused with reason.
    let mut story = story();
    refuse(&mut story, "cem", "NOT_FOUND");
    assert_eq!(check(&story), None);
}

#[test]
fn renames_that_are_told_wrongly() {
    let rule = "lossless";
    assert_broken(rule, "missing: 1 events were never told: [11]", |story| {
        story.past.devices[1] = device("b", "bob", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]);
    });
    assert_broken(rule, "own echo: position 12", |story| story.past.devices[0].told.push(told(12)));
    assert_broken(rule, "not entitled: position 11", |story| {
        story.past.devices[2] = device("c", "cem", &[4, 5, 7, 8, 11]);
    });
    assert_broken(rule, "altered", |story| {
        let What::Renamed { title, .. } = &mut story.past.devices[1].told[10].what else { unreachable!() };
        *title = None;
    });
}

/// The log goes back, and bob's rename, which was under way then, is in the one that is lost.
fn turned_amid_rename() -> Evidence {
    let mut story = turned();
    let lost = story.past.turn.as_mut().unwrap().lost.as_mut().unwrap();
    lost.head = 10;
    lost.events.push(renamed(10, "bob", "tea", "title"));
    store(lost, "tea");
    let call = rename(10, "bob", "tea");
    let ended = call.ended.map(|(_, outcome)| (910, outcome));
    story.past.calls.push(Call { began: 900, ended, ..call });
    story
}

#[test]
fn a_rename_is_in_one_of_two_logs() {
    assert_eq!(check(&turned_amid_rename()), None);
    // The conversation is called in the log that goes on what it was called when it was started.
    super::assert_broken("answered-is-durable", "not started with", |story| {
        *story = turned_amid_rename();
        store(&mut story.log, "tea");
    });
    super::assert_broken("answered-is-durable", "a title that was given is not in the log", |story| {
        *story = turned_amid_rename();
        let lost = story.past.turn.as_mut().unwrap().lost.as_mut().unwrap();
        lost.head = 9;
        lost.events.pop();
        store(lost, "title");
    });
}
