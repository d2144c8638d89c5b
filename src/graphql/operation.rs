//! A subscription's operation, shared by everyone who subscribed with it: an event is executed once for all of
//! them, unless the answer depends on who looks.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_graphql::Response;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::caller::{Caller, Viewing};
use super::response::{failure, is_unavailable, to_json};
use super::subscription::{Plan, Tap};
use super::{Prepared, Schema};
use crate::error::Error;
use crate::hub::{Fingerprint, Seen};
use crate::log::Unavailable;
use crate::metrics::METRICS;

/// One long-lived execution: an event in, a response out. Cheaper by half than executing anew for each event.
pub(super) struct Execution {
    pour: mpsc::Sender<Seen>,
    responses: BoxStream<'static, Response>,
}

impl Execution {
    /// Begins to execute, which checks the document, the variables and the arguments.
    fn begin(schema: &Schema, prepared: &Prepared, viewing: Viewing) -> Result<(Self, Plan), Box<Response>> {
        let (pour, tap) = Tap::new();
        let request = prepared.request().data(viewing).data(Arc::clone(&tap));
        let mut responses = schema.execute_stream(request);
        // The resolver runs at the first poll. No event has been poured yet: a response is a refusal.
        let first = std::panic::catch_unwind(AssertUnwindSafe(|| responses.next().now_or_never()));
        match first {
            Ok(None) => {}
            Ok(Some(Some(refusal))) => return Err(Box::new(refusal)),
            Ok(Some(None)) | Err(_) => return Err(Box::new(failure(&Error::Internal))),
        }
        match tap.plan() {
            Some(plan) => Ok((Self { pour, responses }, plan)),
            None => Err(Box::new(failure(&Error::bad_input("subscription", "selects nothing to follow")))),
        }
    }

    /// The answer to one event. `None` when the execution broke; a new one is needed then.
    async fn render(&mut self, seen: &Seen) -> Option<Response> {
        METRICS.renders.inc();
        self.pour.send(seen.clone()).await.ok()?;
        AssertUnwindSafe(self.responses.next()).catch_unwind().await.ok()?
    }
}

/// An operation that at least one subscription on this node uses.
pub(super) struct Operation {
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
    async fn render_shared(&self, seen: &Seen) -> Result<Option<Arc<str>>, Unavailable> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut execution = match idle {
            Some(execution) => execution,
            None => {
                let viewing = Viewing::Everyone(Arc::clone(&self.asked));
                match Execution::begin(&self.schema, &self.prepared, viewing) {
                    Ok((execution, _)) => execution,
                    Err(refusal) => return Ok(Some(to_json(*refusal).into())),
                }
            }
        };
        let response = execution.render(seen).await;
        if self.asked.load(Ordering::Relaxed) {
            self.is_private.store(true, Ordering::Relaxed);
            return Ok(None);
        }
        let Some(response) = response else {
            return Ok(Some(to_json(failure(&Error::Internal)).into()));
        };
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(execution);
        if is_unavailable(&response) { Err(Unavailable) } else { Ok(Some(to_json(response).into())) }
    }
}

/// A subscriber's use of an operation.
pub(super) struct Rendering {
    operation: Arc<Operation>,
    caller: Arc<Caller>,
    /// For operations whose answers depend on who looks.
    private: Option<Execution>,
}

impl Rendering {
    /// The payload that this subscriber receives of an event.
    ///
    /// # Errors
    /// [`Unavailable`] when the database could not be read; try again.
    pub(super) async fn render(&mut self, seen: &Seen) -> Result<Arc<str>, Unavailable> {
        // Mostly somebody has rendered it before.
        if let Some(Some(rendered)) = seen.occurrence.rendered(self.operation.fingerprint, seen.view) {
            return Ok(rendered);
        }
        // Boxed, so that a subscription that just waits does not carry the room for rendering.
        Box::pin(self.render_first(seen)).await
    }

    async fn render_first(&mut self, seen: &Seen) -> Result<Arc<str>, Unavailable> {
        let operation = &self.operation;
        if !operation.is_private.load(Ordering::Relaxed) {
            let render = operation.render_shared(seen);
            let rendered = seen.occurrence.render_once(operation.fingerprint, seen.view, render).await?;
            if let Some(rendered) = rendered {
                return Ok(rendered);
            }
        }
        self.render_private(seen).await
    }

    async fn render_private(&mut self, seen: &Seen) -> Result<Arc<str>, Unavailable> {
        let mut execution = match self.private.take() {
            Some(execution) => execution,
            None => {
                let viewing = Viewing::One(Arc::clone(&self.caller));
                match Execution::begin(&self.operation.schema, &self.operation.prepared, viewing) {
                    Ok((execution, _)) => execution,
                    Err(refusal) => return Ok(to_json(*refusal).into()),
                }
            }
        };
        let Some(response) = execution.render(seen).await else {
            return Ok(to_json(failure(&Error::Internal)).into());
        };
        self.private = Some(execution);
        if is_unavailable(&response) { Err(Unavailable) } else { Ok(to_json(response).into()) }
    }
}

/// The operations in use on this node.
#[derive(Default)]
pub(super) struct Operations {
    // A `std` mutex: held for one look, never across an await.
    by_fingerprint: Mutex<HashMap<Fingerprint, Weak<Operation>>>,
}

impl Operations {
    /// Checks a subscription's operation and joins those who use the same.
    ///
    /// # Errors
    /// The response that says what is wrong with the operation.
    pub(super) fn open(
        &self,
        schema: &Schema,
        prepared: &Prepared,
        caller: Arc<Caller>,
    ) -> Result<(Rendering, Plan), Box<Response>> {
        let asked = Arc::<AtomicBool>::default();
        let viewing = Viewing::Everyone(Arc::clone(&asked));
        let (execution, plan) = Execution::begin(schema, prepared, viewing)?;
        let fingerprint = fingerprint(prepared);
        let mut known = self.by_fingerprint.lock().unwrap_or_else(PoisonError::into_inner);
        let operation = known.get(&fingerprint).and_then(Weak::upgrade).unwrap_or_else(|| {
            if known.len() == known.capacity() {
                known.retain(|_, operation| operation.strong_count() > 0);
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
        Ok((Rendering { operation, caller, private: None }, plan))
    }
}

/// Tells operations apart by everything that can make their answers differ. Where a subscription begins and
/// which conversation it follows decide which events it gets, not how they look, so those are left out.
fn fingerprint(prepared: &Prepared) -> Fingerprint {
    let mut variables: Vec<_> = prepared
        .variables
        .iter()
        .filter(|(name, _)| !prepared.document.steering.contains(name.as_str()))
        .collect();
    variables.sort_by(|a, b| a.0.cmp(b.0));
    let mut hash = Sha256::new();
    hash.update(prepared.document.hash.bytes());
    let name = prepared.operation_name.as_deref().unwrap_or("");
    hash.update(name.len().to_be_bytes());
    hash.update(name);
    for (name, value) in variables {
        let value = value.to_string();
        for part in [name.as_str(), value.as_str()] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
    }
    let digest = hash.finalize();
    std::array::from_fn(|i| digest[i])
}
