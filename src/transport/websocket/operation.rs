//! One operation on a socket, as the stream of its outputs.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use futures_util::stream::{self, Stream};
use tokio::time::sleep;
use tracing::Instrument;

use crate::graphql::{Answers, Caller, Params, Prepared, Response, Written};
use crate::trace;
use crate::transport::{Shared, caller};

/// The pause before a subscription tries to begin again while the database does not answer.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// What an operation produces.
pub(super) enum OperationOutput {
    /// The answer to a query or a mutation.
    Answer(Written),
    /// An answer to a subscription, as JSON.
    Next(Arc<str>),
    /// The errors that end the operation, as JSON. This is the last output.
    Errors(String),
    /// No further answers follow. This is the last output.
    Complete,
}

impl OperationOutput {
    pub(super) fn is_last(&self) -> bool {
        match self {
            Self::Answer(_) | Self::Next(_) => false,
            Self::Errors(_) | Self::Complete => true,
        }
    }
}

enum State {
    Requested(Arc<Shared>, Arc<Caller>, Box<Params>),
    Following(Box<Answers>),
    Answered,
    Ended,
}

/// Runs an operation. It does nothing before the stream is polled, and nothing after the stream is dropped.
pub(super) fn run(
    shared: Arc<Shared>,
    caller: Arc<Caller>,
    params: Params,
) -> impl Stream<Item = OperationOutput> + Send {
    stream::unfold(State::Requested(shared, caller, Box::new(params)), step)
}

async fn step(state: State) -> Option<(OperationOutput, State)> {
    match state {
        State::Requested(shared, caller, params) => {
            // This future is boxed, so that a subscription does not keep its memory.
            let begun = Box::pin(begin(&shared, caller, *params)).await;
            Some(match begun {
                Ok(answers) => next(answers).await,
                Err(step) => step,
            })
        }
        State::Following(answers) => Some(next(answers).await),
        State::Answered => Some((OperationOutput::Complete, State::Ended)),
        State::Ended => None,
    }
}

/// Begins a subscription and returns its answers. It executes a query or a mutation, or refuses the operation, and
/// returns that step as the error.
async fn begin(
    shared: &Shared,
    caller: Arc<Caller>,
    params: Params,
) -> Result<Box<Answers>, (OperationOutput, State)> {
    let prepared = shared.engine.prepare(params, caller.owner()).map_err(|refusal| refused(&refusal))?;
    let span = caller::operation_span(&prepared, &caller);
    if caller.trace.is_none() {
        // A socket may last for days. A trace of all that is done on it would be of no use.
        trace::begin(&span);
    }
    let beginning = async {
        match prepared.kind {
            OperationType::Subscription => subscribe(shared, &prepared, caller).await,
            OperationType::Query | OperationType::Mutation => Err(execute(shared, &prepared, caller).await),
        }
    };
    beginning.instrument(span).await
}

/// Subscribes as soon as the database answers. Clients take an error for the end of a subscription, and a database
/// that is away for a moment is no reason to end it.
async fn subscribe(
    shared: &Shared,
    prepared: &Prepared,
    caller: Arc<Caller>,
) -> Result<Box<Answers>, (OperationOutput, State)> {
    loop {
        match shared.engine.subscribe(prepared, Arc::clone(&caller), None).await {
            Ok(answers) => return Ok(Box::new(answers)),
            Err(refusal) if refusal.is_unavailable() => sleep(RETRY_PAUSE).await,
            Err(refusal) => return Err(refused(&refusal)),
        }
    }
}

async fn execute(shared: &Shared, prepared: &Prepared, caller: Arc<Caller>) -> (OperationOutput, State) {
    let response = shared.engine.execute(prepared, caller).await;
    if response.is_refusal() {
        return refused(&response);
    }
    (OperationOutput::Answer(response.write()), State::Answered)
}

async fn next(mut answers: Box<Answers>) -> (OperationOutput, State) {
    match answers.next().await {
        Ok(Some(answer)) => (OperationOutput::Next(answer), State::Following(answers)),
        Ok(None) => (OperationOutput::Complete, State::Ended),
        Err(refusal) => refused(&refusal),
    }
}

fn refused(response: &Response) -> (OperationOutput, State) {
    (OperationOutput::Errors(response.to_errors_json()), State::Ended)
}
