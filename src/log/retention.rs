//! Retention: messages that are older than an operator keeps them are redacted, as their senders would, and the log is
//! trimmed. Nothing has a timer. Two marks over the log say how far this is done, and one node at a time moves them on.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::aging::Aged;
use super::doubt::Doubt;
use super::{Database, SubmitError, Unavailable, Writer};
use crate::messaging::{Action, Command, Redact, ServiceName, Timestamp};
use crate::metrics::METRICS;

/// Whom the events name as the service that caused them. No service can have this name.
const VIA: &str = "herald:retention";

/// The time between two looks for what has grown too old.
const INTERVAL: Duration = Duration::from_mins(1);

/// The longest time that a node does it before another one may, and the time after which it stops by itself to redact, and
/// to trim.
const TURN: Duration = Duration::from_mins(1);
const WORK: Duration = Duration::from_secs(25);

/// Messages that are read together, and those that wait for the writer together.
const PAGE_MESSAGES: i64 = 100;
const MESSAGES_TOGETHER: usize = 20;

/// The pause after each page of messages. Each message is an event that people's devices are told: so at most a hundred
/// go in a second, however much there is.
const PAUSE_MESSAGES: Duration = Duration::from_secs(1);

/// The pause after each page of events, and before the writer is asked again that could not take a command. It leaves the
/// writer to people.
const PAUSE: Duration = Duration::from_millis(100);

/// Events that are looked at together when the log is trimmed. The log waits meanwhile.
const PAGE_EVENTS: i64 = 1_000;

/// In times of the log.
const MICROS_PER_SECOND: i64 = 1_000_000;

/// How long things are kept; `None` stands for ever.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Keep {
    /// Messages.
    pub(crate) messages: Option<Duration>,
    /// Events.
    pub(crate) events: Option<Duration>,
}

/// The task that removes what is too old.
pub(crate) struct Retention {
    database: Database,
    writer: Writer,
    keep: Keep,
    /// `None` before the first look, and where the clock is right.
    doubt: Option<Doubt>,
}

impl Retention {
    /// Starts it, with a first look at once. It may be aborted at any time: each step is wholly done, or not at all.
    pub(crate) fn start(database: Database, writer: Writer, keep: Keep) -> JoinHandle<()> {
        let mut retention = Self { database, writer, keep, doubt: None };
        tokio::spawn(async move {
            loop {
                // The cause of a failure is logged. The next look tries again.
                match retention.take_turn().await {
                    Ok(Done::InPart) => {}
                    Ok(Done::Wholly) | Err(Unavailable::Now | Unavailable::Damaged) => sleep(INTERVAL).await,
                }
            }
        })
    }

    async fn take_turn(&mut self) -> Result<Done, Unavailable> {
        let now = self.time().await?;
        if !self.database.take_turn(TURN).await? {
            METRICS.retention_lag.set(0);
            return Ok(Done::Wholly);
        }
        let done = self.remove(now).await;
        self.database.end_turn().await?;
        done
    }

    /// The time by which something is too old.
    async fn time(&mut self) -> Result<Timestamp, Unavailable> {
        let told = self.database.now();
        if !self.database.clock().may_leap() {
            return Ok(told);
        }
        let now = Instant::now();
        let doubt = match &mut self.doubt {
            Some(doubt) => doubt,
            none => none.insert(Doubt::new(self.database.newest_at().await?, now)),
        };
        Ok(doubt.time(told, now))
    }

    async fn remove(&self, now: Timestamp) -> Result<Done, Unavailable> {
        let redacted = match self.keep.messages {
            Some(age) => self.redact_all(before(now, age)).await,
            None => Ok(Done::Wholly),
        };
        // The log is trimmed whatever became of the messages.
        let trimmed = match self.keep.events {
            Some(age) => self.trim_all(before(now, age)).await?,
            None => Done::Wholly,
        };
        redacted.map(|redacted| if redacted == Done::Wholly { trimmed } else { redacted })
    }

    /// Redacts page after page of what was sent before a time, as long as there is time for it.
    async fn redact_all(&self, before: Timestamp) -> Result<Done, Unavailable> {
        let until = Instant::now() + WORK;
        let mut redacted = 0;
        let done = loop {
            let old = self.database.aged_messages(before, PAGE_MESSAGES).await?;
            let late = old.first().map_or(0, |message| before.0 - message.sent_at.0);
            METRICS.retention_lag.set(late / MICROS_PER_SECOND);
            let Some(last) = old.last().map(|message| message.position) else { break Done::Wholly };
            redacted += self.redact(&old, until).await?;
            self.database.note_redacted(last).await?;
            if Instant::now() >= until {
                break Done::InPart;
            }
            sleep(PAUSE_MESSAGES).await;
        };
        if redacted > 0 {
            tracing::info!(messages = redacted, "messages that were too old are redacted");
        }
        Ok(done)
    }

    /// Trims page after page of what happened before a time, as long as there is time for it.
    async fn trim_all(&self, before: Timestamp) -> Result<Done, Unavailable> {
        let until = Instant::now() + WORK;
        let mut trimmed = None;
        let done = loop {
            let Some(old) = self.database.aged_through(before, PAGE_EVENTS).await? else {
                break Done::Wholly;
            };
            // Webhooks have to be told of what comes after this.
            let needed = self.database.webhooks_need_after().await?;
            let through = needed.map_or(old, |needed| old.min(needed));
            if through <= self.database.trimmed().await? {
                break Done::Wholly;
            }
            self.database.trim(through).await?;
            trimmed = Some(through);
            if Instant::now() >= until {
                break Done::InPart;
            }
            sleep(PAUSE).await;
        };
        if let Some(through) = trimmed {
            tracing::info!(before = through.0, "the log is trimmed: events were too old");
        }
        Ok(done)
    }

    /// Redacts these messages. Returns how many of them were not redacted yet. What the writer cannot take now it is asked
    /// for again, until the time is over.
    async fn redact(&self, old: &[Aged], until: Instant) -> Result<usize, Unavailable> {
        let left: Vec<&Aged> = old.iter().filter(|message| !message.is_redacted).collect();
        for together in left.chunks(MESSAGES_TOGETHER) {
            let mut rest = together.to_vec();
            loop {
                let tried = join_all(rest.iter().map(|message| self.redact_one(message))).await;
                let tried = rest.into_iter().zip(tried);
                rest = tried.filter_map(|(message, tried)| tried.is_err().then_some(message)).collect();
                if rest.is_empty() {
                    break;
                }
                if Instant::now() >= until {
                    return Err(Unavailable::Now);
                }
                sleep(PAUSE).await;
            }
        }
        Ok(left.len())
    }

    async fn redact_one(&self, message: &Aged) -> Result<(), Unavailable> {
        let action = Action::Redact(Redact { message: message.id });
        let via = Some(ServiceName::trusted(VIA));
        match self.writer.submit(Command { actor: message.sender, origin: None, via, action }).await {
            Ok(_) => Ok(()),
            Err(SubmitError::Unavailable) => Err(Unavailable::Now),
            Err(reason @ (SubmitError::Refused(_) | SubmitError::Rejected | SubmitError::Damaged)) => {
                // Senders may redact what they sent, so something is wrong with the rows of this one. The others go on.
                let message = message.id;
                tracing::error!(%message, ?reason, "a message that is too old cannot be redacted: run `herald check`");
                Ok(())
            }
        }
    }
}

/// The time before which something of this age was.
fn before(now: Timestamp, age: Duration) -> Timestamp {
    let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    Timestamp(now.0.saturating_sub(age))
}

/// How much of what there is to do was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    /// All of it.
    Wholly,
    /// As much as there was time for.
    InPart,
}
