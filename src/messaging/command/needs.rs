//! The facts that deciding a batch of commands turns on.

use std::collections::BTreeSet;

use super::{Action, Command, UpTo};
use crate::messaging::{ConversationId, Facts, IdempotencyKey, Mark, MessageId, People, UserId};

/// The facts that a batch of commands needs, named by what they are found by. Those further down may turn on those
/// further up: who takes part in the conversation of a message can be named once the message is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Messages, each with the user who has to see it, or to own its conversation.
    pub messages: BTreeSet<(UserId, MessageId)>,
    /// The messages that users sent under these keys of theirs.
    pub message_keys: BTreeSet<(UserId, IdempotencyKey)>,
    /// What users started under these keys of theirs.
    pub start_keys: BTreeSet<(UserId, IdempotencyKey)>,
    /// The one conversation of just these people.
    pub people: BTreeSet<People>,
    /// Every part that a user takes or took in a conversation, and that conversation.
    pub participations: BTreeSet<(ConversationId, UserId)>,
    /// What users who may join share with others, unless they say otherwise for a conversation.
    pub sharing: BTreeSet<UserId>,
    /// The first so many of those who take part in a conversation, in the order of joining.
    pub elders: BTreeSet<(ConversationId, usize)>,
    /// The newest message of a conversation that a user received: somebody else sent it while the user took part. It is at
    /// or after this mark of theirs.
    pub newest_received: BTreeSet<(ConversationId, UserId, Mark)>,
    /// Who sent what a user's mark is about to cover, up to and with its end.
    pub covered_senders: BTreeSet<(UserId, Mark, UpTo)>,
    /// Why a message could not be brought to a recipient, if a service said so, and whether others were told that the
    /// recipient received it.
    pub reports: BTreeSet<(UserId, MessageId)>,
}

/// The facts that `commands` turn on, as far as they can be named with what is `known`.
pub fn needs(commands: &[Command], known: &Facts) -> Needs {
    let mut needs = Needs::default();
    for command in commands {
        command.action.decides().needs(command.actor, known, commands, &mut needs);
    }
    needs
}

/// How many people the batch may bring into a conversation at most.
pub(super) fn growth(batch: &[Command], conversation: ConversationId) -> usize {
    let added = batch.iter().map(|command| match &command.action {
        Action::Add(add) if add.conversation == conversation => add.users.len(),
        Action::Add(_)
        | Action::Start(_)
        | Action::Leave(_)
        | Action::Send(_)
        | Action::Mark(_)
        | Action::Rename(_)
        | Action::Remove(_)
        | Action::Redact(_)
        | Action::Update(_)
        | Action::Report(_) => 0,
    });
    added.sum()
}

/// How many people the batch may take out of a conversation at most.
pub(super) fn departures(batch: &[Command], conversation: ConversationId) -> usize {
    let gone = batch.iter().map(|command| match &command.action {
        Action::Leave(leave) if leave.conversation == conversation => 1,
        Action::Remove(remove) if remove.conversation == conversation => remove.users.len(),
        Action::Add(_)
        | Action::Start(_)
        | Action::Leave(_)
        | Action::Send(_)
        | Action::Mark(_)
        | Action::Rename(_)
        | Action::Remove(_)
        | Action::Redact(_)
        | Action::Update(_)
        | Action::Report(_) => 0,
    });
    gone.sum()
}
