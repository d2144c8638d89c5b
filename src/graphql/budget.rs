//! What an answer may take up while it grows.
//!
//! Resolvers pay for what they answer before they answer it. When nothing is left they wait, and whoever executes ends
//! the execution. So an answer that is too large never exists.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_graphql::Context;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, OnceCell};

use super::large::{LargeAnswerPermit, LargeAnswers};
use crate::error::Error;
use crate::rates::Owner;

/// Bytes that an element of a list takes up beside its texts, at least.
const ELEMENT_BYTES: usize = 128;

/// How many times as much as an answer may be read from the database for it. A message is read with its body, whether or
/// not the body is asked for.
const READ_FACTOR: usize = 2;

/// Bytes from which on an answer is large.
const LARGE_ANSWER_BYTES: usize = 256 * 1024;

/// What an execution may still take up.
#[derive(Debug)]
pub(super) struct Budget {
    most: usize,
    answer: AtomicUsize,
    read: AtomicUsize,
    exceeded: Notify,
    large_answers: Arc<LargeAnswers>,
    /// Whose room a large answer takes; nobody's, where no answer can be large.
    owner: Option<Owner>,
    permit: OnceCell<LargeAnswerPermit>,
}

/// Why an execution has to end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Exceeded {
    /// The answer would be too large.
    TooLarge,
    /// There is no room for a large answer now.
    NoRoom,
}

impl Budget {
    /// A budget for answers of at most `most` bytes. One that grows large takes room.
    pub(super) fn new(most: usize, large_answers: Arc<LargeAnswers>, owner: Option<Owner>) -> Arc<Self> {
        let budget = Self {
            large_answers,
            owner,
            permit: OnceCell::new(),
            most,
            answer: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
            exceeded: Notify::new(),
        };
        budget.renew();
        Arc::new(budget)
    }

    /// Begins again, for another answer of the same execution.
    pub(super) fn renew(&self) {
        self.answer.store(self.most, Ordering::Relaxed);
        self.read.store(self.most.saturating_mul(READ_FACTOR), Ordering::Relaxed);
    }

    /// Is over when the budget was exceeded.
    pub(super) async fn exceeded(&self) -> Exceeded {
        self.exceeded.notified().await;
        let is_spent = self.answer.load(Ordering::Relaxed).min(self.read.load(Ordering::Relaxed)) == 0;
        if is_spent { Exceeded::TooLarge } else { Exceeded::NoRoom }
    }

    /// Waits for room for a large answer. It is kept as long as the budget.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is none in time.
    pub(super) async fn take_permit(&self) -> Result<(), Error> {
        if let Some(owner) = self.owner {
            self.permit.get_or_try_init(|| self.large_answers.permit(owner)).await?;
        }
        Ok(())
    }

    /// Whether the answer took room.
    pub(super) fn has_permit(&self) -> bool {
        self.permit.initialized()
    }

    /// Reads messages with `read`, which says how many bytes they have, and pays for them. At most `most` are read. If they
    /// make the answer a large one they are read again once there is room, so that none wait in memory.
    pub(super) async fn read<'a, T>(
        &self,
        most: usize,
        read: impl Fn() -> BoxFuture<'a, Result<(T, usize), Error>>,
    ) -> Result<T, Error> {
        loop {
            let permit = self.large_answers.reading(most).await?;
            let (messages, bytes) = read().await?;
            if self.read_so_far().saturating_add(bytes) <= LARGE_ANSWER_BYTES
                || self.owner.is_none()
                || self.has_permit()
            {
                self.take(&self.read, bytes).await;
                return Ok(messages);
            }
            drop((messages, permit));
            if self.take_permit().await.is_err() {
                self.give_up().await;
            }
        }
    }

    /// Pays for a text in the answer.
    pub(super) async fn pay(&self, bytes: usize) {
        self.take(&self.answer, bytes).await;
        let spent = self.most.saturating_sub(self.answer.load(Ordering::Relaxed));
        if spent > LARGE_ANSWER_BYTES && !self.has_permit() && self.take_permit().await.is_err() {
            self.give_up().await;
        }
    }

    /// Pays for the elements of a list in the answer.
    pub(super) async fn pay_elements(&self, elements: usize) {
        self.pay(elements.saturating_mul(ELEMENT_BYTES)).await;
    }

    async fn take(&self, from: &AtomicUsize, bytes: usize) {
        let taken = from.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        if taken.is_err() {
            from.store(0, Ordering::Relaxed);
            self.give_up().await;
        }
    }

    fn read_so_far(&self) -> usize {
        self.most.saturating_mul(READ_FACTOR).saturating_sub(self.read.load(Ordering::Relaxed))
    }

    /// Has whoever executes end the execution. An error instead would be one for each of the fields that follow.
    async fn give_up(&self) {
        self.exceeded.notify_one();
        std::future::pending::<()>().await;
    }
}

/// The budget of this execution.
pub(super) fn budget<'a>(ctx: &Context<'a>) -> Result<&'a Arc<Budget>, Error> {
    ctx.data_opt::<Arc<Budget>>().ok_or(Error::Internal)
}
