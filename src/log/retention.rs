//! Retention: messages that are older than an operator keeps them are redacted, as their senders would, and the log is
//! trimmed. Nothing has a timer. Two marks over the log say how far this is done, and one node at a time moves them on.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::aging::Aged;
use super::{Database, SubmitError, Unavailable, Writer};
use crate::messaging::{Action, Command, Redact, ServiceName, Timestamp};

/// Whom the events name as the service that caused them. No service can have this name.
const VIA: &str = "herald:retention";

/// The time between two looks for what has grown too old.
const INTERVAL: Duration = Duration::from_mins(1);

/// The longest time that a node does it before another one may, and the time after which it stops by itself.
const TURN: Duration = Duration::from_mins(1);
const WORK: Duration = Duration::from_secs(30);

/// Messages that are read together, and those that wait for the writer together.
const PAGE_MESSAGES: i64 = 100;
const MESSAGES_TOGETHER: usize = 20;

/// The pause after each step. It leaves the writer to people: so at most some thousand messages go in a second.
const PAUSE: Duration = Duration::from_millis(100);

/// Events that are looked at together when the log is trimmed. The log waits meanwhile.
const PAGE_EVENTS: i64 = 1_000;

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
}

impl Retention {
    /// Starts it, with a first look at once. It may be aborted at any time: each step is wholly done, or not at all.
    pub(crate) fn start(database: Database, writer: Writer, keep: Keep) -> JoinHandle<()> {
        let retention = Self { database, writer, keep };
        tokio::spawn(async move {
            loop {
                // The cause of a failure is logged. The next look tries again.
                match retention.take_turn().await {
                    Ok(Done::InPart) => {}
                    Ok(Done::Wholly) | Err(Unavailable) => sleep(INTERVAL).await,
                }
            }
        })
    }

    async fn take_turn(&self) -> Result<Done, Unavailable> {
        if !self.database.take_turn(TURN).await? {
            return Ok(Done::Wholly);
        }
        let done = self.remove().await;
        self.database.end_turn().await?;
        done
    }

    async fn remove(&self) -> Result<Done, Unavailable> {
        let until = Instant::now() + WORK;
        let redacted = match self.keep.messages {
            Some(age) => self.redact_all(age, until).await?,
            None => Done::Wholly,
        };
        let trimmed = match self.keep.events {
            Some(age) => self.trim_all(age, until).await?,
            None => Done::Wholly,
        };
        Ok(if redacted == Done::Wholly { trimmed } else { redacted })
    }

    /// Redacts page after page, as long as there is time.
    async fn redact_all(&self, age: Duration, until: Instant) -> Result<Done, Unavailable> {
        let mut redacted = 0;
        let done = loop {
            let old = self.database.aged_messages(self.before(age), PAGE_MESSAGES).await?;
            let Some(last) = old.last().map(|message| message.position) else { break Done::Wholly };
            redacted += self.redact(&old).await?;
            self.database.note_redacted(last).await?;
            if Instant::now() >= until {
                break Done::InPart;
            }
            sleep(PAUSE).await;
        };
        if redacted > 0 {
            tracing::info!(messages = redacted, "messages that were too old are redacted");
        }
        Ok(done)
    }

    /// Trims page after page, as long as there is time.
    async fn trim_all(&self, age: Duration, until: Instant) -> Result<Done, Unavailable> {
        let mut trimmed = None;
        let done = loop {
            let Some(old) = self.database.aged_through(self.before(age), PAGE_EVENTS).await? else {
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

    /// The time before which something of this age was.
    fn before(&self, age: Duration) -> Timestamp {
        let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        Timestamp(self.database.now().0.saturating_sub(age))
    }

    /// Redacts these messages. Returns how many of them were not redacted yet.
    async fn redact(&self, old: &[Aged]) -> Result<usize, Unavailable> {
        let left: Vec<&Aged> = old.iter().filter(|message| !message.is_redacted).collect();
        for together in left.chunks(MESSAGES_TOGETHER) {
            try_join_all(together.iter().map(|message| self.redact_one(message))).await?;
        }
        Ok(left.len())
    }

    async fn redact_one(&self, message: &Aged) -> Result<(), Unavailable> {
        let action = Action::Redact(Redact { message: message.id });
        let via = Some(ServiceName::trusted(VIA));
        match self.writer.submit(Command { actor: message.sender, origin: None, via, action }).await {
            Ok(_) => Ok(()),
            Err(SubmitError::Unavailable) => Err(Unavailable),
            Err(SubmitError::Refused(refusal)) => {
                // Senders may redact what they sent, so something is wrong with the rows of this one.
                let message = message.id;
                tracing::error!(%message, ?refusal, "a message that is too old cannot be redacted: run `herald check`");
                Ok(())
            }
        }
    }
}

/// How much of what there is to do was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    /// All of it.
    Wholly,
    /// As much as there was time for.
    InPart,
}
