//! Commands, and how each one is decided.
//!
//! Each action has one file here: what is asked for, the facts that deciding it turns on, and the decision. What never
//! lives here: loading the facts, drawing ids, looking up handles. A command is complete when it comes.

mod add;
mod leave;
mod mark;
mod needs;
mod redact;
mod remove;
mod rename;
mod report;
mod send;
mod start;
mod update;

use std::collections::HashSet;
use std::sync::Arc;

use super::{
    Change, Conversation, ConversationId, Event, Facts, IdempotencyKey, KeyedStart, Message, MessageId,
    Origin, Place, ServiceName, Timestamp, UserId,
};

pub use add::Add;
pub use leave::Leave;
pub use mark::{MarkThrough, UpTo};
pub use needs::{Needs, needs};
pub use redact::Redact;
pub use remove::Remove;
pub use rename::Rename;
pub use report::Report;
pub use send::Send;
pub use start::Start;
pub use update::{Edit, Update};

/// One request to change something.
#[derive(Debug, Clone)]
pub struct Command {
    /// The user who sends the command.
    pub actor: UserId,
    /// The connection that sends the command; `None` where it has no name.
    pub origin: Option<Origin>,
    /// The service that sends the command for the actor; `None` where the actor does.
    pub via: Option<ServiceName>,
    /// The change that the user wants.
    pub action: Action,
}

/// A change that a user can ask for.
#[derive(Debug, Clone)]
pub enum Action {
    /// Start a conversation.
    Start(Start),
    /// Add people to a conversation.
    Add(Add),
    /// Leave a conversation.
    Leave(Leave),
    /// Send a message.
    Send(Send),
    /// Say that a message and every earlier one of its conversation was received, or read.
    Mark(MarkThrough),
    /// Give a conversation another title.
    Rename(Rename),
    /// Say that a message could not be brought to the actor.
    Report(Report),
    /// Remove people from a conversation.
    Remove(Remove),
    /// Take the text of a message away for good.
    Redact(Redact),
    /// Change what is kept of a conversation.
    Update(Update),
}

/// Why a command is refused. Refusing changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The conversation does not exist, or the actor takes no part in it. The client cannot tell which.
    NoSuchConversation,
    /// The message does not exist, or the actor may not see it. The client cannot tell which.
    NoSuchMessage,
    /// The message does not exist, or the actor is no recipient of it.
    NotARecipient,
    /// The sender of a message cannot say that it arrived.
    SenderCannotMark,
    /// The key was used for a send that said something else, or a start that asked for something else.
    KeyReused,
    /// Only an owner of the conversation may do this.
    NotAnOwner,
    /// Only the sender of the message, or an owner of its conversation, may do this.
    NeitherSenderNorOwner,
    /// Nobody removes themselves.
    Oneself,
    /// Of the one conversation of two people, neither can be removed.
    OneOfTwo,
    /// A conversation needs somebody to talk to.
    NobodyElse,
    /// This person blocks the actor.
    Blocked(UserId),
    /// More participants than a conversation may have.
    TooManyParticipants {
        /// The most participants of a conversation.
        most: u32,
    },
}

/// The outcome of a command that is not refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// The events to append to the log, in order; none when the command changes nothing.
    pub events: Vec<Event>,
    /// The new conversation, if the command starts one.
    pub begins: Option<Conversation>,
    /// The conversation that a start begins or finds; `None` for other commands.
    pub conversation: Option<ConversationId>,
    /// The message that the command sends or marks; `None` for other commands.
    pub message: Option<Arc<Message>>,
    /// The actor's key for `message`, where it was sent under one.
    pub message_key: Option<IdempotencyKey>,
    /// What the actor's key for a start stands for from here on.
    pub keyed_start: Option<KeyedStart>,
}

/// What each action says of itself.
trait Decide {
    /// Adds the facts that [`Decide::decide`] turns on, as far as they can be named with what is known.
    fn needs(&self, actor: UserId, known: &Facts, batch: &[Command], needs: &mut Needs);

    /// Decides it in the light of the facts, which it only reads.
    fn decide(&self, command: &Command, facts: &Facts) -> Result<Decision, Refusal>;
}

impl Action {
    fn decides(&self) -> &dyn Decide {
        match self {
            Self::Start(action) => action,
            Self::Add(action) => action,
            Self::Leave(action) => action,
            Self::Send(action) => action,
            Self::Mark(action) => action,
            Self::Rename(action) => action,
            Self::Report(action) => action,
            Self::Remove(action) => action,
            Self::Redact(action) => action,
            Self::Update(action) => action,
        }
    }
}

/// Decides one command in the light of the facts. A fact that is missing from them counts as absent: a participant
/// takes no part, a message does not exist. [`needs()`] names the facts that have to be there.
pub fn decide(facts: &Facts, command: &Command) -> Result<Decision, Refusal> {
    command.action.decides().decide(command, facts)
}

impl Decision {
    fn of(event: Event) -> Self {
        Self { events: vec![event], ..Self::default() }
    }

    fn found(conversation: ConversationId) -> Self {
        Self { conversation: Some(conversation), ..Self::default() }
    }

    fn about(message: &Arc<Message>) -> Self {
        Self { message: Some(Arc::clone(message)), ..Self::default() }
    }
}

fn taking_part(facts: &Facts, actor: UserId, id: ConversationId) -> Result<&Conversation, Refusal> {
    facts
        .open_participation(id, actor)
        .and_then(|_| facts.conversation(id))
        .ok_or(Refusal::NoSuchConversation)
}

/// The message with this id, for somebody who takes part in its conversation and may see it.
fn seen_by(facts: &Facts, actor: UserId, id: MessageId) -> Result<&Arc<Message>, Refusal> {
    let message = facts.message(id).ok_or(Refusal::NoSuchMessage)?;
    taking_part(facts, actor, message.conversation)
        // Whoever takes no part must not learn that the message exists.
        .map_err(|_| Refusal::NoSuchMessage)?;
    let mut stays = facts.participations(message.conversation, actor).iter();
    let is_seen = stays.any(|stay| stay.interval.holds(message.position));
    if is_seen { Ok(message) } else { Err(Refusal::NoSuchMessage) }
}

/// The conversation, for somebody who owns it.
fn owned_by(facts: &Facts, actor: UserId, id: ConversationId) -> Result<&Conversation, Refusal> {
    let conversation = taking_part(facts, actor, id)?;
    if facts.is_owner(id, actor) { Ok(conversation) } else { Err(Refusal::NotAnOwner) }
}

fn within_limit(facts: &Facts, participants: usize) -> Result<(), Refusal> {
    let most = facts.most_participants;
    if participants > most as usize { Err(Refusal::TooManyParticipants { most }) } else { Ok(()) }
}

/// Refuses to bring in somebody who blocks the actor.
fn not_blocked(brought_in: &[UserId], blockers: &[UserId]) -> Result<(), Refusal> {
    match brought_in.iter().find(|user| blockers.contains(user)) {
        Some(user) => Err(Refusal::Blocked(*user)),
        None => Ok(()),
    }
}

fn new_event(
    facts: &Facts,
    command: &Command,
    conversation: ConversationId,
    change: impl Into<Change>,
) -> Event {
    event_after(facts.head, facts.now, command, conversation, change.into())
}

/// The events with these changes, one after another.
fn new_events(
    facts: &Facts,
    command: &Command,
    conversation: ConversationId,
    changes: impl IntoIterator<Item = Change>,
) -> Vec<Event> {
    let (mut place, mut at) = (facts.head, facts.now);
    let append = |change| {
        let event = event_after(place, at, command, conversation, change);
        (place, at) = (place.at(&event), event.at.next());
        event
    };
    changes.into_iter().map(append).collect()
}

/// The event that follows a place in the log, at a time.
fn event_after(
    place: Place,
    at: Timestamp,
    command: &Command,
    conversation: ConversationId,
    change: Change,
) -> Event {
    let mut event = Event {
        position: place.position.next(),
        chain: place.chain,
        at,
        conversation,
        actor: command.actor,
        origin: command.origin.clone(),
        via: command.via.clone(),
        change,
    };
    event.chain = place.chain.after(&event);
    event
}

fn distinct(users: impl Iterator<Item = UserId>) -> Vec<UserId> {
    let mut seen = HashSet::new();
    users.filter(|&user| seen.insert(user)).collect()
}
