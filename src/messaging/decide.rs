//! The rules. [`decide`] reads, never writes: what it returns is applied by whoever called it.

use std::collections::HashSet;
use std::sync::Arc;

use super::{
    Action, Audience, Body, Change, Command, Conversation, ConversationId, Event, Facts, IdempotencyKey,
    Mark, Message, MessageId, Start, UserId,
};

/// Why a command is refused. Refusing changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such conversation, or the actor takes no part in it: the two look alike.
    NoSuchConversation,
    /// There is no such message, or the actor may not see it: the two look alike.
    NoSuchMessage,
    /// The sender of a message cannot say that it arrived.
    SenderCannotMark,
    /// The key was used for a send that said something else, or a start that asked for something else.
    KeyReused,
    /// A conversation needs somebody to talk to.
    NobodyElse,
    /// More participants than a conversation may have.
    TooManyParticipants {
        /// How many it may have.
        most: u32,
    },
}

/// What a command comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What is to be appended to the log; `None` when everything is already as the command wants it.
    pub event: Option<Event>,
    /// A conversation that this begins.
    pub begins: Option<Conversation>,
    /// The conversation that was to be started: begun, or found.
    pub conversation: Option<ConversationId>,
    /// The message that the command was about, where it was about one.
    pub message: Option<Arc<Message>>,
}

impl Decision {
    fn unchanged(message: Option<Arc<Message>>) -> Self {
        Self { event: None, begins: None, conversation: None, message }
    }

    fn found(conversation: ConversationId) -> Self {
        Self { conversation: Some(conversation), ..Self::unchanged(None) }
    }
}

/// Decides one command in the light of the facts.
pub fn decide(facts: &Facts, command: &Command) -> Result<Decision, Refusal> {
    match &command.action {
        Action::Start(wanted) => start(facts, command, wanted),
        Action::Add { conversation, users } => add(facts, command, *conversation, users),
        Action::Leave { conversation } => leave(facts, command, *conversation),
        Action::Send { conversation, message, body, key } => {
            send(facts, command, *conversation, *message, body, key.as_ref())
        }
        Action::Mark { message, mark } => set_mark(facts, command, *message, *mark),
    }
}

fn start(facts: &Facts, command: &Command, wanted: &Start) -> Result<Decision, Refusal> {
    // The key first: a retry is answered whoever has joined or left in the meantime.
    if let Some(first) = wanted.key.as_ref().and_then(|key| facts.start_by_key(command.actor, key)) {
        return if first.request == wanted.request(command.actor) {
            Ok(Decision::found(first.conversation))
        } else {
            Err(Refusal::KeyReused)
        };
    }
    let users = distinct(std::iter::once(command.actor).chain(wanted.with.iter().copied()));
    if users.len() < 2 {
        return Err(Refusal::NobodyElse);
    }
    within_limit(facts, users.len())?;
    let people = wanted.is_distinct.then(|| wanted.people(command.actor));
    if let Some(found) = people.and_then(|people| facts.of_just(people)) {
        return Ok(Decision::found(found));
    }
    let id = wanted.conversation;
    let begins = Conversation {
        id,
        title: wanted.title.clone(),
        created_at: facts.now,
        latest: facts.head.position.next(),
        participants: 0,
        people,
    };
    let event = event(facts, command, id, Change::Started { users: users.into() });
    Ok(Decision { event: Some(event), begins: Some(begins), ..Decision::found(id) })
}

fn add(facts: &Facts, command: &Command, id: ConversationId, users: &[UserId]) -> Result<Decision, Refusal> {
    let conversation = taking_part(facts, command.actor, id)?;
    let new = distinct(users.iter().copied().filter(|&u| facts.open_participation(id, u).is_none()));
    if new.is_empty() {
        return Ok(Decision::unchanged(None));
    }
    within_limit(facts, new.len() + conversation.participants as usize)?;
    let event = event(facts, command, id, Change::Joined { users: new.into() });
    Ok(Decision { event: Some(event), ..Decision::unchanged(None) })
}

fn leave(facts: &Facts, command: &Command, id: ConversationId) -> Result<Decision, Refusal> {
    taking_part(facts, command.actor, id)?;
    let event = event(facts, command, id, Change::Left);
    Ok(Decision { event: Some(event), ..Decision::unchanged(None) })
}

fn send(
    facts: &Facts,
    command: &Command,
    conversation: ConversationId,
    id: MessageId,
    body: &Body,
    key: Option<&IdempotencyKey>,
) -> Result<Decision, Refusal> {
    // The key first: a retry is answered even if its sender has left in the meantime.
    if let Some(first) = key.and_then(|key| facts.by_key(command.actor, key)) {
        return if first.body == *body && first.conversation == conversation {
            Ok(Decision::unchanged(Some(Arc::clone(first))))
        } else {
            Err(Refusal::KeyReused)
        };
    }
    taking_part(facts, command.actor, conversation)?;
    let message = Arc::new(Message {
        position: facts.head.position.next(),
        id,
        conversation,
        sender: command.actor,
        body: body.clone(),
        sent_at: facts.now,
    });
    let event = event(facts, command, conversation, Change::Sent(Arc::clone(&message)));
    Ok(Decision { event: Some(event), ..Decision::unchanged(Some(message)) })
}

fn set_mark(facts: &Facts, command: &Command, id: MessageId, mark: Mark) -> Result<Decision, Refusal> {
    let message = facts.message(id).ok_or(Refusal::NoSuchMessage)?;
    let room = message.conversation;
    let conversation = taking_part(facts, command.actor, room).map_err(|_| Refusal::NoSuchMessage)?;
    let seen = facts.participations(room, command.actor).iter();
    if !seen.clone().any(|part| part.interval.holds(message.position)) {
        return Err(Refusal::NoSuchMessage);
    }
    if message.sender == command.actor {
        return Err(Refusal::SenderCannotMark);
    }
    let from = facts.through(room, command.actor, mark);
    if message.position <= from {
        return Ok(Decision::unchanged(Some(Arc::clone(message))));
    }
    let audience = if conversation.participants <= facts.small_conversation {
        Audience::Everyone
    } else {
        let told = facts.senders_up_to(command.actor, mark, message).chain(std::iter::once(command.actor));
        Audience::Only(distinct(told).into())
    };
    let change = Change::Marked { mark, from, through: message.position, audience };
    let event = event(facts, command, room, change);
    Ok(Decision { event: Some(event), ..Decision::unchanged(Some(Arc::clone(message))) })
}

fn taking_part(facts: &Facts, actor: UserId, id: ConversationId) -> Result<&Conversation, Refusal> {
    facts
        .open_participation(id, actor)
        .and_then(|_| facts.conversation(id))
        .ok_or(Refusal::NoSuchConversation)
}

fn within_limit(facts: &Facts, participants: usize) -> Result<(), Refusal> {
    let most = facts.most_participants;
    if participants > most as usize { Err(Refusal::TooManyParticipants { most }) } else { Ok(()) }
}

fn event(facts: &Facts, command: &Command, conversation: ConversationId, change: Change) -> Event {
    let mut event = Event {
        position: facts.head.position.next(),
        chain: facts.head.chain,
        at: facts.now,
        conversation,
        actor: command.actor,
        origin: command.origin.clone(),
        change,
    };
    event.chain = facts.head.chain.after(&event);
    event
}

fn distinct(users: impl Iterator<Item = UserId>) -> Vec<UserId> {
    let mut seen = HashSet::new();
    users.filter(|&user| seen.insert(user)).collect()
}
