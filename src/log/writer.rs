//! The writer: the one task of a node that appends to the log. Commands wait in a queue. The writer takes all that
//! wait, up to a limit, and decides and commits them together: a hundred sends cost one transaction and one wait for
//! the disk.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::{Instrument, Span, field};

use super::error::{StorageFault, may_be_one_commands_fault, report};
use super::head::Locked;
use super::known_facts::KnownFacts;
use super::load::load;
use super::store::store;
use super::wal::Emptying;
use super::{Database, Unavailable};
use crate::feed::{Feed, LogNotification};
use crate::messaging::{
    Command, ConversationId, Decision, Event, Facts, IdempotencyKey, Message, Place, Position, Refusal,
    Timestamp, decide,
};
use crate::metrics::{self, METRICS};
use crate::trace::TraceContext;
use crate::trouble::Trouble;
use crate::vitals::{Part, Vitals};

/// The writer refuses commands because too many wait.
static OVERLOAD: Trouble = Trouble::new("the writer is overloaded", "the writer is no longer overloaded");

/// The limits of messaging and of the writer that an operator may set.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The most participants of a conversation in which everyone is told of every mark.
    pub small_conversation: u32,
    /// The most participants of a conversation.
    pub most_participants: u32,
    /// The most commands in one transaction.
    pub batch: usize,
    /// The most commands that wait. A command that comes while so many wait is answered `UNAVAILABLE` at once.
    pub queue: usize,
}

/// The durable outcome of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The head of the log right after the command. Everything that the answer tells is in the log up to here.
    pub place: Place,
    /// The message that the command sent or marked; `None` for other commands.
    pub message: Option<Arc<Message>>,
    /// The conversation that the command started, or found under the same key or people; `None` for other commands.
    pub conversation: Option<ConversationId>,
    /// The position at which the actor left the conversation; `None` while they take part. A send or a start that is
    /// repeated after the actor left is answered as of this position.
    pub as_of: Option<Position>,
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmitError {
    /// The rules forbid it.
    Refused(Refusal),
    /// The database, or this node, cannot take it now.
    Unavailable,
    /// The database rejects what it writes. Another try comes to the same.
    Rejected,
    /// A row that it needs is damaged. Another try comes to the same until somebody has mended the row.
    Damaged,
}

impl SubmitError {
    /// Whether it is for herald's operator to mend.
    fn is_failure(&self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Unavailable | Self::Rejected | Self::Damaged => true,
        }
    }
}

struct Submission {
    command: Command,
    /// The span from here until the command is answered.
    span: Span,
    answer: oneshot::Sender<Result<Committed, SubmitError>>,
}

/// A handle to the writer's task. A clone costs one atomic increment. When the last clone is dropped, the task finishes
/// the commands that wait and ends.
#[derive(Debug, Clone)]
pub struct Writer {
    queue: mpsc::Sender<Submission>,
}

impl Writer {
    /// Starts the task, which appends to `database` and publishes on `feed`. The join handle completes when the task
    /// ends.
    pub fn start(
        database: Database,
        feed: Arc<dyn Feed>,
        vitals: Arc<Vitals>,
        rules: Rules,
    ) -> (Self, JoinHandle<()>) {
        let (queue, submissions) = mpsc::channel(rules.queue);
        let emptying = database.wal.clone().map(Emptying::start);
        let task = Task { database, feed, vitals, rules, known: KnownFacts::default(), emptying };
        (Self { queue }, tokio::spawn(task.run(submissions)))
    }

    /// Decides a command and appends its event, if it has one. The change is durable when this returns `Ok`. It may be
    /// dropped at any time, which does not undo the command: the command is then wholly committed or wholly absent.
    pub async fn submit(&self, command: Command) -> Result<Committed, SubmitError> {
        let (answer, answered) = oneshot::channel();
        let span = tracing::debug_span!("append", position = field::Empty);
        self.queue.try_send(Submission { command, span: span.clone(), answer }).map_err(|refused| {
            // The queue is closed only when the writer's task has ended.
            if matches!(refused, TrySendError::Full(_)) {
                METRICS.count_command(metrics::Outcome::Overloaded);
                OVERLOAD.note(&"--write-queue is full: commands come faster than the database takes them");
            }
            SubmitError::Unavailable
        })?;
        let outcome = answered.await.unwrap_or(Err(SubmitError::Unavailable));
        if let Ok(committed) = &outcome {
            span.record("position", committed.place.position.0);
        }
        if outcome.as_ref().is_err_and(SubmitError::is_failure) {
            // The writer logs the cause for the whole batch. This line has the span of one request.
            tracing::debug!("the command was not carried out");
        }
        outcome
    }
}

/// Where a batch failed. This decides whether the writer may try it again.
enum Failure {
    /// The batch failed before its commit, so nothing was written.
    BeforeCommit(StorageFault),
    /// The commit failed, and may have happened all the same. A second try could write every event twice.
    AtCommit(StorageFault),
}

impl<E: Into<StorageFault>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::BeforeCommit(error.into())
    }
}

impl Failure {
    fn report(self) -> Unavailable {
        match self {
            Self::BeforeCommit(fault) => report("write a batch of commands", fault),
            Self::AtCommit(fault) => report("commit a batch of commands", fault),
        }
    }

    /// Logs it. What a command is answered whose batch, if it has others, fails for none of them.
    fn answer(self) -> SubmitError {
        let is_its_own = matches!(&self, Self::BeforeCommit(fault) if may_be_one_commands_fault(fault));
        match self.report() {
            Unavailable::Damaged => SubmitError::Damaged,
            Unavailable::Now if is_its_own => SubmitError::Rejected,
            Unavailable::Now => SubmitError::Unavailable,
        }
    }
}

type Outcome = Result<Committed, Refusal>;

/// Commands that are carried out together, and the spans of their submissions, in the same order.
#[derive(Clone, Copy)]
struct Batch<'a> {
    commands: &'a [Command],
    spans: &'a [Span],
}

impl<'a> Batch<'a> {
    fn one_by_one(self) -> impl Iterator<Item = Batch<'a>> {
        self.commands.chunks(1).zip(self.spans.chunks(1)).map(|(commands, spans)| Batch { commands, spans })
    }

    /// A span in the trace of the first submission whose trace is kept, with links to the others.
    fn span(self) -> Span {
        let span = tracing::debug_span!("batch", commands = self.commands.len(), position = field::Empty);
        let mut kept = self.spans.iter().filter_map(|span| Some((span, TraceContext::of_kept(span)?)));
        if let Some((_, first)) = kept.next() {
            first.continue_in(&span);
        } else if let Some(first) = self.spans.iter().find_map(TraceContext::of) {
            // Its client does not keep its trace, and so no batch is kept for it.
            first.continue_in(&span);
        }
        for (other, _) in kept {
            span.follows_from(other);
        }
        span
    }

    /// Where the trace of each event goes on. Empty when nothing is traced.
    fn traces(self, events: &[Appended]) -> Vec<Option<TraceContext>> {
        let traces: Vec<_> =
            events.iter().map(|appended| TraceContext::of_kept(&self.spans[appended.by])).collect();
        if traces.iter().all(Option::is_none) { Vec::new() } else { traces }
    }
}

/// An event that a command led to.
struct Appended {
    event: Arc<Event>,
    /// The idempotency key of the message that it sent, if that has one.
    key: Option<IdempotencyKey>,
    /// The index of the command in its batch.
    by: usize,
}

struct Task {
    database: Database,
    feed: Arc<dyn Feed>,
    vitals: Arc<Vitals>,
    rules: Rules,
    /// Facts of the batches before. A batch takes them, and gives them back when it ends well.
    known: KnownFacts,
    /// Empties the WAL after redactions; `None` on Postgres.
    emptying: Option<Emptying>,
}

impl Task {
    async fn run(mut self, mut submissions: mpsc::Receiver<Submission>) {
        let mut batch = Vec::new();
        while submissions.recv_many(&mut batch, self.rules.batch).await > 0 {
            let taken = batch.drain(..).map(|Submission { command, span, answer }| (command, (span, answer)));
            let (commands, (spans, answers)): (Vec<_>, (Vec<_>, Vec<_>)) = taken.unzip();
            let vitals = Arc::clone(&self.vitals);
            let taken = Batch { commands: &commands, spans: &spans };
            let outcomes = vitals.guard(Part::Writer, self.carry_out(taken)).await;
            // The guard gives `None` after a panic. The batch may have been committed all the same.
            let outcomes = outcomes.unwrap_or_else(|| vec![Err(SubmitError::Unavailable); commands.len()]);
            if outcomes.iter().all(|outcome| outcome.as_ref().is_err_and(SubmitError::is_failure)) {
                self.vitals.fails(Part::Writer, "Nothing can be written.");
            } else {
                self.vitals.works(Part::Writer);
            }
            OVERLOAD.worked();
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                METRICS.count_command(match &outcome {
                    Ok(_) => metrics::Outcome::Committed,
                    Err(SubmitError::Refused(_)) => metrics::Outcome::Refused,
                    Err(SubmitError::Unavailable | SubmitError::Rejected | SubmitError::Damaged) => {
                        metrics::Outcome::Failed
                    }
                });
                // The caller may have stopped waiting. The command stays carried out.
                let _ = answer.send(outcome);
            }
        }
        if let Some(emptying) = self.emptying {
            emptying.end().await;
        }
    }

    /// Carries a batch out. If the batch fails for what is in one command, each command gets a try of its own, so that
    /// the others succeed.
    async fn carry_out(&mut self, batch: Batch<'_>) -> Vec<Result<Committed, SubmitError>> {
        let commands = batch.commands.len();
        match self.commit(batch).await {
            Ok(outcomes) => {
                outcomes.into_iter().map(|outcome| outcome.map_err(SubmitError::Refused)).collect()
            }
            Err(Failure::BeforeCommit(error)) if commands > 1 && may_be_one_commands_fault(&error) => {
                tracing::warn!(%error, commands, "a batch failed, trying one by one");
                self.one_by_one(batch).await
            }
            Err(failure) => vec![Err(failure.answer()); commands],
        }
    }

    async fn one_by_one(&mut self, batch: Batch<'_>) -> Vec<Result<Committed, SubmitError>> {
        let mut outcomes = Vec::with_capacity(batch.commands.len());
        for single in batch.one_by_one() {
            match self.commit(single).await {
                Ok(outcome) => {
                    outcomes.extend(outcome.into_iter().map(|o| o.map_err(SubmitError::Refused)));
                }
                Err(failure) => {
                    let (Failure::BeforeCommit(fault) | Failure::AtCommit(fault)) = &failure;
                    let out_of_reach = !may_be_one_commands_fault(fault);
                    outcomes.push(Err(failure.answer()));
                    if out_of_reach {
                        break;
                    }
                }
            }
        }
        outcomes.resize(batch.commands.len(), Err(SubmitError::Unavailable));
        outcomes
    }

    async fn commit(&mut self, batch: Batch<'_>) -> Result<Vec<Outcome>, Failure> {
        METRICS.batches.inc();
        let begun = Instant::now();
        let committed = self.transact(batch).instrument(batch.span()).await;
        METRICS.batch_seconds.observe(begun.elapsed().as_secs_f64());
        committed
    }

    async fn transact(&mut self, batch: Batch<'_>) -> Result<Vec<Outcome>, Failure> {
        let mut known = std::mem::take(&mut self.known);
        let Locked { transaction, head, now, owned_through, users_changed, .. } =
            self.database.lock().await?;
        known.hold_at(head, owned_through, users_changed);
        let mut facts = self.no_facts(head, now);
        load(&transaction, batch.commands, &known, &mut facts).await?;
        let (outcomes, events) = decide_all(batch.commands, &mut facts);
        Span::current().record("position", facts.head.position.0);
        if events.is_empty() && facts.new_starts().is_empty() {
            transaction.rollback().await?;
        } else {
            let rows: Vec<_> =
                events.iter().map(|appended| (&*appended.event, appended.key.as_ref())).collect();
            store(&transaction, &rows, &facts).await?;
            transaction.commit().await.map_err(|error| Failure::AtCommit(error.into()))?;
            if let Some(emptying) = &self.emptying {
                emptying.after(events.iter().map(|appended| &*appended.event));
            }
        }
        known.keep(&facts, users_changed);
        self.known = known;
        // A start may store its key and append no event: it found the conversation that it asks for.
        if !events.is_empty() {
            self.feed.publish(LogNotification {
                head: facts.head,
                traces: batch.traces(&events),
                events: events.into_iter().map(|appended| appended.event).collect(),
            });
        }
        Ok(outcomes)
    }

    /// Facts of a batch before anything is loaded.
    fn no_facts(&self, head: Place, now: Timestamp) -> Facts {
        let Rules { small_conversation, most_participants, .. } = self.rules;
        Facts::new(head, now, small_conversation, most_participants)
    }
}

/// Decides the commands in order. Each sees what the commands before it changed.
fn decide_all(commands: &[Command], facts: &mut Facts) -> (Vec<Outcome>, Vec<Appended>) {
    let mut outcomes = Vec::with_capacity(commands.len());
    let mut events = Vec::with_capacity(commands.len());
    for (by, command) in commands.iter().enumerate() {
        outcomes.push(decide(facts, command).map(|decision| {
            facts.apply(&decision);
            let Decision { events: decided, message, message_key, conversation, .. } = decision;
            events.extend(decided.into_iter().map(|event| Appended {
                event: Arc::new(event),
                key: message_key.clone(),
                by,
            }));
            let about = message.as_ref().map(|message| message.conversation).or(conversation);
            let as_of = about.and_then(|about| facts.left(about, command.actor));
            Committed { place: facts.head, message, conversation, as_of }
        }));
    }
    (outcomes, events)
}
