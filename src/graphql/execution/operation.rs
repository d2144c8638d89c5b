//! A subscription's operation, shared by everyone who subscribed with it: an event is executed once for all of
//! them, unless the answer depends on who looks.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;

use super::Prepared;
use super::held::{Held, Hold};
use crate::config::Limits;
use crate::error::Error;
use crate::graphql::budget::Budget;
use crate::graphql::caller::{Caller, Viewing};
use crate::graphql::document::Introspected;
use crate::graphql::response::{Response, failure};
use crate::graphql::schema::Schema;
use crate::graphql::schema::subscription::{EventSource, SubscriptionRequest};
use crate::graphql::schema::types::CONVERSATION;
use crate::hub::{Answer, Broken, Fingerprint, Told};
use crate::log::Unavailable;
use crate::metrics::METRICS;
use crate::rates::Rates;

/// What a client is told that asks for checkpoints and selects the conversation of every event.
const NO_CONVERSATION: &str = "cannot be true where `conversation` is selected of every `Event`, because a checkpoint has none: \
     select it in fragments on the events that you follow, like `... on MessageSent`";

/// An execution that lives for many events. Each event goes in and comes out as a response. This costs half of what it
/// costs to execute anew for each event.
pub(crate) struct Execution {
    sender: mpsc::Sender<Told>,
    responses: BoxStream<'static, async_graphql::Response>,
    budget: Arc<Budget>,
}

/// Why an event is not rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unrendered {
    /// The database cannot be read now. Another try may succeed.
    Unavailable,
    /// The event cannot be told, so the subscription breaks off.
    Broken(Broken),
}

impl Unrendered {
    /// # Errors
    /// What is missing from the response to an event.
    fn check(response: &Response) -> Result<(), Self> {
        if response.is_damaged() {
            return Err(Self::Broken(Broken::Damaged));
        }
        if response.is_unavailable() { Err(Self::Unavailable) } else { Ok(()) }
    }
}

impl From<Unrendered> for Unavailable {
    fn from(unrendered: Unrendered) -> Self {
        match unrendered {
            Unrendered::Broken(Broken::Damaged) => Self::Damaged,
            Unrendered::Unavailable | Unrendered::Broken(Broken::Expired) => Self::Now,
        }
    }
}

/// The outcome of one rendering.
enum Rendered {
    Response(Response),
    /// The execution is of no use any more, and this is the response.
    Broken(Response),
}

impl Execution {
    /// Begins an execution. The resolver checks the arguments at once.
    fn begin(
        schema: &Schema,
        prepared: &Prepared,
        viewing: Viewing,
    ) -> Result<(Self, SubscriptionRequest), Box<Response>> {
        let (sender, source) = EventSource::new();
        let budget = Budget::new(prepared.most, Arc::clone(&prepared.large_answers), None);
        let request = prepared.request().data(viewing).data(Arc::clone(&source)).data(Arc::clone(&budget));
        let mut responses = schema.execute_stream(request);
        // The resolver runs at the first poll. No event has been poured yet: a response is a refusal.
        let first = std::panic::catch_unwind(AssertUnwindSafe(|| responses.next().now_or_never()));
        match first {
            Ok(None) => {}
            Ok(Some(Some(refusal))) => return Err(Box::new(Response::refused(refusal.errors))),
            Ok(Some(None)) | Err(_) => return Err(Box::new(failure(&Error::Internal))),
        }
        match source.requested() {
            Some(requested) => Ok((Self { sender, responses, budget }, requested)),
            None => Err(Box::new(failure(&Error::Internal))),
        }
    }

    /// The answer to one event or checkpoint.
    async fn render(&mut self, prepared: &Prepared, told: &Told) -> Rendered {
        METRICS.renders.inc();
        self.budget.renew();
        let broken = || Rendered::Broken(failure(&Error::Internal));
        if self.sender.send(told.clone()).await.is_err() {
            return broken();
        }
        let rendering = AssertUnwindSafe(self.responses.next()).catch_unwind();
        tokio::select! {
            biased;
            _ = self.budget.exceeded() => Rendered::Broken(prepared.too_large()),
            rendered = rendering => match rendered {
                Ok(Some(executed)) => {
                    Rendered::Response(prepared.response(executed, Introspected::default()))
                }
                Ok(None) | Err(_) => broken(),
            },
        }
    }
}

/// An operation that at least one subscription on this node uses.
pub(crate) struct Operation {
    schema: Schema,
    fingerprint: Fingerprint,
    prepared: Prepared,
    /// Whether a resolver was seen to ask who looks.
    is_private: AtomicBool,
    /// Set by a resolver that asks who looks.
    asked: Arc<AtomicBool>,
    /// The execution that waits for the next event. Whoever renders takes it out and puts it back, so one
    /// that was dropped half-way is never used again.
    idle: Mutex<Option<Execution>>,
}

impl Operation {
    /// Renders an event for everyone with the same view of it; `None` when that cannot be.
    async fn render_shared(&self, told: &Told) -> Result<Option<Answer>, Unrendered> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let viewing = || Viewing::Everyone(Arc::clone(&self.asked));
        let (response, execution) = self.render(idle, viewing, told).await;
        if self.asked.load(Ordering::Relaxed) {
            self.is_private.store(true, Ordering::Relaxed);
            return Ok(None);
        }
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = execution;
        Unrendered::check(&response)?;
        Ok(Some(response.to_shared()))
    }

    /// Renders an event in this execution, or in a new one: the response, and the execution for the next event.
    async fn render(
        &self,
        execution: Option<Execution>,
        viewing: impl Fn() -> Viewing,
        told: &Told,
    ) -> (Response, Option<Execution>) {
        let mut execution = match execution {
            Some(execution) => execution,
            None => match Execution::begin(&self.schema, &self.prepared, viewing()) {
                Ok((execution, _)) => execution,
                Err(refusal) => return (*refusal, None),
            },
        };
        match execution.render(&self.prepared, told).await {
            Rendered::Response(response) => (response, Some(execution)),
            Rendered::Broken(response) => (response, None),
        }
    }
}

/// A subscriber's use of an operation.
pub(crate) struct Rendering {
    operation: Arc<Operation>,
    caller: Arc<Caller>,
    rates: Option<Arc<Rates>>,
    /// For operations whose answers depend on who looks.
    private: Option<Execution>,
    _hold: Option<Hold>,
}

impl Rendering {
    /// Renders what happened, or a checkpoint: the answer that this subscriber receives.
    ///
    /// # Errors
    /// Whether to try again, or to break off.
    pub(crate) async fn render(&mut self, told: &Told) -> Result<Answer, Unrendered> {
        // Mostly somebody has rendered it before.
        if let Told::Event(seen) = told
            && let Some(Some(rendered)) = seen.shared.rendered(self.operation.fingerprint, seen.view)
        {
            return Ok(rendered);
        }
        // Boxed, so that a subscription that just waits does not carry the room for rendering.
        let answer = Box::pin(self.render_first(told)).await?;
        match told {
            // Something in the answer may have been redacted, and nobody knows.
            Told::Event(seen) if seen.shared.is_lost() => Err(Unrendered::Broken(Broken::Expired)),
            _ => Ok(answer),
        }
    }

    async fn render_first(&mut self, told: &Told) -> Result<Answer, Unrendered> {
        // Before the others wait for this one to have rendered it.
        if let Some(rates) = &self.rates {
            rates.render(self.caller.owner(), self.operation.prepared.cost.0).await;
        }
        let operation = &self.operation;
        if !operation.is_private.load(Ordering::Relaxed) {
            let render = operation.render_shared(told);
            let rendered = match told {
                Told::Event(seen) => {
                    seen.shared.render_once(operation.fingerprint, seen.view, render).await?
                }
                Told::Checkpoint(_) => render.await?,
            };
            if let Some(rendered) = rendered {
                return Ok(rendered);
            }
        }
        self.render_private(told).await
    }

    async fn render_private(&mut self, told: &Told) -> Result<Answer, Unrendered> {
        let viewing = || Viewing::One(Arc::clone(&self.caller));
        let (response, execution) = self.operation.render(self.private.take(), viewing, told).await;
        self.private = execution;
        Unrendered::check(&response)?;
        Ok(response.to_shared())
    }
}

/// The operations in use on this node.
pub(crate) struct Operations {
    // A `std` mutex: held for one look, never across an await.
    by_fingerprint: Mutex<HashMap<Fingerprint, Weak<Operation>>>,
    held: Arc<Held>,
    rates: Option<Arc<Rates>>,
}

impl Operations {
    pub(crate) fn new(limits: &Limits, rates: Option<Arc<Rates>>) -> Self {
        Self { by_fingerprint: Mutex::default(), held: Held::new(limits), rates }
    }

    /// Checks a subscription's operation and joins those who use the same.
    ///
    /// # Errors
    /// The response that says what is wrong with the operation, or that the caller holds too much already.
    pub(crate) fn open(
        &self,
        schema: &Schema,
        prepared: &Prepared,
        caller: Arc<Caller>,
    ) -> Result<(Rendering, SubscriptionRequest), Box<Response>> {
        caller.identified().map_err(|error| Box::new(failure(&error)))?;
        let fingerprint = prepared.plan.fingerprint(&prepared.variables);
        // What herald asks for itself is neither limited nor counted.
        let is_own = caller.is_herald_itself();
        let hold =
            (!is_own).then(|| Held::hold(&self.held, caller.owner(), fingerprint, prepared)).transpose()?;
        let rates = self.rates.clone().filter(|_| !is_own);
        let asked = Arc::<AtomicBool>::default();
        let viewing = Viewing::Everyone(Arc::clone(&asked));
        let (execution, requested) = Execution::begin(schema, prepared, viewing)?;
        if requested.checkpoints && prepared.plan.selects_of_events("Checkpoint", CONVERSATION) {
            return Err(Box::new(failure(&Error::bad_input("checkpoints", NO_CONVERSATION))));
        }
        let mut known = self.by_fingerprint.lock().unwrap_or_else(PoisonError::into_inner);
        let operation = known.get(&fingerprint).and_then(Weak::upgrade).unwrap_or_else(|| {
            if known.len() == known.capacity() {
                known.retain(|_, operation| operation.strong_count() > 0);
                let used = known.len();
                known.shrink_to(2 * used);
            }
            let operation = Arc::new(Operation {
                schema: schema.clone(),
                fingerprint,
                prepared: prepared.clone(),
                is_private: AtomicBool::new(false),
                asked,
                idle: Mutex::new(Some(execution)),
            });
            known.insert(fingerprint, Arc::downgrade(&operation));
            operation
        });
        Ok((Rendering { operation, caller, rates, private: None, _hold: hold }, requested))
    }
}
