//! The story with renames, after which ada redacts her first message, which bob and she may see, and cem not.

use super::*;

/// Where the redaction is in the log, its message among the messages, and its call among the calls.
const REDACTED: usize = 12;
const FIRST: usize = 0;

fn redaction() -> Told {
    Told { cursor: "cursor 13".into(), at: 130, ..told(16) }
}

fn story() -> Evidence {
    let mut story = renaming::story();
    story.log.head = 13;
    story.log.events.push(mark(13, Kind::Redacted, "ada", 1, 2));
    story.log.messages[FIRST].body.clear();
    story.log.messages[FIRST].redacted_at = Some(130);
    story.past.calls.push(call(13, "ada", Act::Redact { message: "m1".into() }));
    for device in &mut story.past.devices[..2] {
        device.told.push(redaction());
        device.times.push(1_300);
    }
    // Whoever replays the log in the end sees what is left.
    for told in &mut story.fresh[0].told {
        empty(told);
    }
    story.fresh[0].told.push(redaction());
    story
}

fn empty(told: &mut Told) {
    if let What::Sent { message, body, .. } = &mut told.what
        && message == "m1"
    {
        body.clear();
    }
}

fn assert_broken(rule: &str, named: &str, change: impl FnOnce(&mut Evidence)) {
    super::assert_broken(rule, named, |evidence| {
        *evidence = story();
        change(evidence);
    });
}

#[test]
fn a_story_with_a_redaction_breaks_no_rule() {
    assert_eq!(check(&story()), None);
    assert_eq!(behind(&story()), Vec::<String>::new());
    // Whoever followed later was told what was left.
    let mut later = story();
    later.past.devices[1].told.iter_mut().for_each(empty);
    assert_eq!(check(&later), None);
}

#[test]
fn redactions_that_are_stored_otherwise_or_by_those_who_may_not() {
    let rule = "gapless";
    assert_broken(rule, "do not agree", |story| story.log.messages[FIRST].redacted_at = None);
    assert_broken(rule, "do not agree", |story| story.log.messages[FIRST].body = "says m1".into());
    assert_broken(rule, "stored otherwise", |story| story.log.messages[FIRST].redacted_at = Some(7));
    assert_broken(rule, "of somebody else", |story| story.log.events[REDACTED].actor = "bob".into());
}

#[test]
fn redactions_that_nobody_asked_for_or_that_were_refused_without_reason() {
    assert_broken("unknown-is-at-most-once", "nobody asked to redact", |story| {
        story.past.calls.remove(REDACTED);
    });
    let refuse = |story: &mut Evidence, user: &str| {
        let ended = Some((1_395, Outcome::Refused("FORBIDDEN".into())));
        let act = Act::Redact { message: "m1".into() };
        story.past.calls.push(Call { began: 1_390, ended, ..call(13, user, act) });
    };
    assert_broken("only-known-errors", "no reason", |story| refuse(story, "ada"));
    let mut refused = story();
    refuse(&mut refused, "bob");
    assert_eq!(check(&refused), None);
}

#[test]
fn redactions_that_are_told_wrongly() {
    assert_broken("lossless", "not entitled", |story| {
        story.past.devices[2].told.push(redaction());
        story.past.devices[2].times.push(1_300);
    });
    assert_broken("lossless", "missing", |story| {
        story.past.devices[1].told.pop();
        story.log.head = 14;
        story.log.events.push(event(14, Kind::Sent, "ada"));
        story.log.messages.push(message(14, "m4b", "ada", None));
        story.past.calls.push(send(14, "ada", "m4b", None));
        let next = Told {
            cursor: "cursor 14".into(),
            at: 140,
            conversation: ROOM.into(),
            what: What::Sent {
                message: "m4b".into(),
                sender: "ada".into(),
                body: "says m4b".into(),
                sent_at: 140,
            },
        };
        story.past.devices[1].told.push(next);
        story.past.devices[1].times.push(1_400);
    });
    assert_broken("same-on-every-node", "altered", |story| {
        story.fresh[0].told[1] = told(2);
    });
}
