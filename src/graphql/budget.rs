//! The budget of an execution, which limits the bytes of its answer.
//!
//! A resolver pays for each value before it returns the value. When the budget is used up, the resolver waits, and the
//! engine ends the execution. So an answer that is too large never exists.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_graphql::Context;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, OnceCell};

use super::large::{LargeAnswerPermit, LargeAnswers};
use crate::error::Error;
use crate::rates::Owner;

/// The least number of bytes that an element of a list takes up in addition to its texts.
const ELEMENT_BYTES: usize = 128;

/// The bytes that may be read from the database for an answer, as a multiple of the answer's limit. A message is read
/// with its body even when the document does not ask for the body.
const READ_FACTOR: usize = 2;

/// The bytes above which an answer is large, and needs a permit.
const LARGE_ANSWER_BYTES: usize = 256 * 1024;

/// The bytes that an execution may still read and answer.
#[derive(Debug)]
pub(super) struct Budget {
    /// The most bytes that an answer may have.
    max_bytes: usize,
    /// Bytes that are left for the answer.
    answer: AtomicUsize,
    /// Bytes that are left for reading from the database.
    read: AtomicUsize,
    exceeded: Notify,
    large_answers: Arc<LargeAnswers>,
    /// The owner whose permit a large answer takes. `None` when no answer can be large.
    owner: Option<Owner>,
    permit: OnceCell<LargeAnswerPermit>,
}

/// Why an execution has to end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Exceeded {
    /// The answer would be too large.
    TooLarge,
    /// There is no permit for a large answer now.
    NoRoom,
}

impl Budget {
    /// A budget for answers of at most `max_bytes`. An answer that grows large takes a permit.
    pub(super) fn new(max_bytes: usize, large_answers: Arc<LargeAnswers>, owner: Option<Owner>) -> Arc<Self> {
        let budget = Self {
            large_answers,
            owner,
            permit: OnceCell::new(),
            max_bytes,
            answer: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
            exceeded: Notify::new(),
        };
        budget.renew();
        Arc::new(budget)
    }

    /// Restores the whole budget, for the next answer of the same execution.
    pub(super) fn renew(&self) {
        self.answer.store(self.max_bytes, Ordering::Relaxed);
        self.read.store(self.max_bytes.saturating_mul(READ_FACTOR), Ordering::Relaxed);
    }

    /// Waits until the budget is exceeded, and returns how. May be cancelled.
    pub(super) async fn exceeded(&self) -> Exceeded {
        self.exceeded.notified().await;
        let is_spent = self.answer.load(Ordering::Relaxed).min(self.read.load(Ordering::Relaxed)) == 0;
        if is_spent { Exceeded::TooLarge } else { Exceeded::NoRoom }
    }

    /// Waits for a permit for a large answer, and keeps it as long as the budget lives.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when no permit is free in time.
    pub(super) async fn take_permit(&self) -> Result<(), Error> {
        if let Some(owner) = self.owner {
            self.permit.get_or_try_init(|| self.large_answers.permit(owner)).await?;
        }
        Ok(())
    }

    /// Whether the answer has a permit, because it is large.
    pub(super) fn has_permit(&self) -> bool {
        self.permit.initialized()
    }

    /// Reads at most `max_messages` messages with `read`, which also returns their bytes, and pays for them. If they
    /// make the answer large, it drops them, waits for a permit and reads them again. So no messages wait in memory.
    pub(super) async fn read<'a, T>(
        &self,
        max_messages: usize,
        read: impl Fn() -> BoxFuture<'a, Result<(T, usize), Error>>,
    ) -> Result<T, Error> {
        loop {
            let permit = self.large_answers.reading(max_messages).await?;
            let (messages, bytes) = read().await?;
            if self.read_bytes().saturating_add(bytes) <= LARGE_ANSWER_BYTES
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

    /// Pays for a text in the answer. Waits for ever when the budget is exceeded.
    pub(super) async fn pay(&self, bytes: usize) {
        self.take(&self.answer, bytes).await;
        let spent = self.max_bytes.saturating_sub(self.answer.load(Ordering::Relaxed));
        if spent > LARGE_ANSWER_BYTES && !self.has_permit() && self.take_permit().await.is_err() {
            self.give_up().await;
        }
    }

    /// Pays for the elements of a list in the answer, without their texts.
    pub(super) async fn pay_elements(&self, elements: usize) {
        self.pay(elements.saturating_mul(ELEMENT_BYTES)).await;
    }

    async fn take(&self, account: &AtomicUsize, bytes: usize) {
        let taken =
            account.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        if taken.is_err() {
            account.store(0, Ordering::Relaxed);
            self.give_up().await;
        }
    }

    fn read_bytes(&self) -> usize {
        self.max_bytes.saturating_mul(READ_FACTOR).saturating_sub(self.read.load(Ordering::Relaxed))
    }

    /// Makes the engine end the execution, and waits for that. An error would instead appear once for each later field.
    async fn give_up(&self) {
        self.exceeded.notify_one();
        std::future::pending::<()>().await;
    }
}

/// The budget of this execution.
pub(super) fn budget_of<'a>(ctx: &Context<'a>) -> Result<&'a Arc<Budget>, Error> {
    ctx.data_opt::<Arc<Budget>>().ok_or(Error::Internal)
}
