//! The one that appends. Commands queue up; whatever has gathered is decided and committed together, so that
//! a hundred sends cost one transaction and one wait for the disk.

use std::sync::Arc;
use std::time::Instant;

use sea_orm::DbErr;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::connection::may_be_one_commands_fault;
use super::head::Locked;
use super::load::load;
use super::store::store;
use super::{Database, Unavailable};
use crate::feed::{Feed, LogNotification};
use crate::messaging::{
    Command, ConversationId, Decision, Event, Facts, IdempotencyKey, Message, Place, Position, Refusal,
    Timestamp, decide,
};
use crate::metrics::{self, METRICS};
use crate::trouble::Trouble;
use crate::vitals::{Part, Vitals};

/// Commands are refused because too many wait.
static OVERLOAD: Trouble = Trouble::new("the writer is overloaded", "the writer is no longer overloaded");

/// The numbers in the rules of messaging that an operator may set.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Most participants of a conversation in which everyone is told of every mark.
    pub small_conversation: u32,
    /// Most participants of a conversation.
    pub most_participants: u32,
    /// Most commands in one transaction.
    pub batch: usize,
    /// Most commands that wait; whoever comes then is told `UNAVAILABLE` at once.
    pub queue: usize,
}

/// A command was carried out, durably.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Everything that the answer tells is in the log up to here.
    pub place: Place,
    /// The message that the command was about, where it was about one.
    pub message: Option<Arc<Message>>,
    /// The conversation that the command was to start: begun, or found.
    pub conversation: Option<ConversationId>,
    /// Where the actor left its conversation, if they take no part in it: a send or a start that is repeated after
    /// leaving is answered as of then.
    pub as_of: Option<Position>,
}

/// A command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmitError {
    /// The rules forbid it.
    Refused(Refusal),
    /// The database, or this node, cannot take it now.
    Unavailable,
}

struct Submission {
    command: Command,
    answer: oneshot::Sender<Result<Committed, SubmitError>>,
}

/// The way to the writer's task. Cheap to clone; when the last clone is gone the task finishes what it holds
/// and ends.
#[derive(Debug, Clone)]
pub struct Writer {
    queue: mpsc::Sender<Submission>,
}

impl Writer {
    /// Starts the task that appends to `database` and announces on `feed`. The handle ends with it.
    pub fn start(
        database: Database,
        feed: Arc<dyn Feed>,
        vitals: Arc<Vitals>,
        rules: Rules,
    ) -> (Self, JoinHandle<()>) {
        let (queue, submissions) = mpsc::channel(rules.queue);
        let task = Task { database, feed, vitals, rules };
        (Self { queue }, tokio::spawn(task.run(submissions)))
    }

    /// Has a command decided and, if it changes something, appended. When this returns `Ok` the change is
    /// durable. A caller that stops waiting does not undo it: it is wholly committed or wholly absent.
    pub async fn submit(&self, command: Command) -> Result<Committed, SubmitError> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Submission { command, answer }).map_err(|_| {
            METRICS.count_command(metrics::Outcome::Overloaded);
            OVERLOAD.note(&"--write-queue is full: commands come faster than the database takes them");
            SubmitError::Unavailable
        })?;
        answered.await.unwrap_or(Err(SubmitError::Unavailable))
    }
}

/// Where a batch failed, which decides whether it may be tried again.
enum Failure {
    /// Nothing was written.
    BeforeCommit(DbErr),
    /// The commit itself: it may have happened. Trying again could say everything twice.
    AtCommit(DbErr),
}

impl From<DbErr> for Failure {
    fn from(error: DbErr) -> Self {
        Self::BeforeCommit(error)
    }
}

type Outcome = Result<Committed, Refusal>;

/// An event, and the key of the message that it sent.
type Appended = (Arc<Event>, Option<IdempotencyKey>);

struct Task {
    database: Database,
    feed: Arc<dyn Feed>,
    vitals: Arc<Vitals>,
    rules: Rules,
}

impl Task {
    async fn run(self, mut submissions: mpsc::Receiver<Submission>) {
        let mut batch = Vec::new();
        while submissions.recv_many(&mut batch, self.rules.batch).await > 0 {
            let (commands, answers): (Vec<_>, Vec<_>) =
                batch.drain(..).map(|submission| (submission.command, submission.answer)).unzip();
            let outcomes = self.vitals.guard(Part::Writer, self.carry_out(&commands)).await;
            // What was being committed may have been.
            let outcomes = outcomes.unwrap_or_else(|| vec![Err(SubmitError::Unavailable); commands.len()]);
            if outcomes.iter().any(|outcome| *outcome != Err(SubmitError::Unavailable)) {
                self.vitals.works(Part::Writer);
            } else {
                self.vitals.fails(Part::Writer, "Nothing can be written.");
            }
            OVERLOAD.worked();
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                METRICS.count_command(match &outcome {
                    Ok(_) => metrics::Outcome::Committed,
                    Err(SubmitError::Refused(_)) => metrics::Outcome::Refused,
                    Err(SubmitError::Unavailable) => metrics::Outcome::Failed,
                });
                // Whoever asked may be gone; what was done stays done.
                let _ = answer.send(outcome);
            }
        }
    }

    /// Carries a batch out; if it fails as a whole, each command gets a try of its own, so that one that the
    /// database cannot take does not spoil the others.
    async fn carry_out(&self, commands: &[Command]) -> Vec<Result<Committed, SubmitError>> {
        match self.commit(commands).await {
            Ok(outcomes) => {
                outcomes.into_iter().map(|outcome| outcome.map_err(SubmitError::Refused)).collect()
            }
            Err(Failure::BeforeCommit(error)) if commands.len() > 1 && may_be_one_commands_fault(&error) => {
                tracing::warn!(%error, commands = commands.len(), "a batch failed, trying one by one");
                self.one_by_one(commands).await
            }
            Err(Failure::BeforeCommit(error) | Failure::AtCommit(error)) => {
                let Unavailable = error.into();
                vec![Err(SubmitError::Unavailable); commands.len()]
            }
        }
    }

    async fn one_by_one(&self, commands: &[Command]) -> Vec<Result<Committed, SubmitError>> {
        let mut outcomes = Vec::with_capacity(commands.len());
        for command in commands {
            match self.commit(std::slice::from_ref(command)).await {
                Ok(outcome) => {
                    outcomes.extend(outcome.into_iter().map(|o| o.map_err(SubmitError::Refused)));
                }
                Err(Failure::BeforeCommit(error) | Failure::AtCommit(error)) => {
                    let out_of_reach = !may_be_one_commands_fault(&error);
                    let Unavailable = error.into();
                    outcomes.push(Err(SubmitError::Unavailable));
                    if out_of_reach {
                        break;
                    }
                }
            }
        }
        outcomes.resize(commands.len(), Err(SubmitError::Unavailable));
        outcomes
    }

    async fn commit(&self, commands: &[Command]) -> Result<Vec<Outcome>, Failure> {
        METRICS.batches.inc();
        let begun = Instant::now();
        let committed = self.transact(commands).await;
        METRICS.batch_seconds.observe(begun.elapsed().as_secs_f64());
        committed
    }

    async fn transact(&self, commands: &[Command]) -> Result<Vec<Outcome>, Failure> {
        let Locked { transaction, head, now } = self.database.lock().await?;
        let mut facts = self.no_facts(head, now);
        load(&transaction, commands, &mut facts).await?;
        let (outcomes, events) = decide_all(commands, &mut facts);
        if events.is_empty() && facts.new_starts().is_empty() {
            transaction.rollback().await?;
            return Ok(outcomes);
        }
        let rows: Vec<_> = events.iter().map(|(event, key)| (event.as_ref(), key.as_ref())).collect();
        store(&transaction, &rows, &facts).await?;
        transaction.commit().await.map_err(Failure::AtCommit)?;
        // Under a new key, what is there may have been found.
        if !events.is_empty() {
            self.feed.publish(LogNotification {
                head: facts.head,
                events: events.into_iter().map(|(event, _)| event).collect(),
            });
        }
        Ok(outcomes)
    }

    /// Facts that are yet to be loaded.
    fn no_facts(&self, head: Place, now: Timestamp) -> Facts {
        let Rules { small_conversation, most_participants, .. } = self.rules;
        Facts::new(head, now, small_conversation, most_participants)
    }
}

/// Decides the commands in order, each in the light of those before it. With each event comes the key of the message
/// that it sent, if any.
fn decide_all(commands: &[Command], facts: &mut Facts) -> (Vec<Outcome>, Vec<Appended>) {
    let mut outcomes = Vec::with_capacity(commands.len());
    let mut events = Vec::with_capacity(commands.len());
    for command in commands {
        outcomes.push(decide(facts, command).map(|decision| {
            facts.apply(&decision);
            let Decision { event, message, message_key, conversation, .. } = decision;
            events.extend(event.map(|event| (Arc::new(event), message_key)));
            let about = message.as_ref().map(|message| message.conversation).or(conversation);
            let as_of = about.and_then(|about| facts.left(about, command.actor));
            Committed { place: facts.head, message, conversation, as_of }
        }));
    }
    (outcomes, events)
}
