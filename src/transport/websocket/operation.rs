//! One operation on a socket, as the stream of what it puts out.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::time::sleep;

use crate::graphql::{Answers, Caller, Params, Prepared, Response, Written};
use crate::transport::Shared;

/// The pause before a subscription tries again to begin, while the database does not answer.
const PAUSE: Duration = Duration::from_millis(250);

/// What an operation puts out.
pub(super) enum Output {
    /// The answer to a query or a mutation.
    Answer(Written),
    /// An answer to a subscription, as JSON.
    Next(Arc<str>),
    /// Why there will be no further answers, as JSON. The last output.
    Errors(String),
    /// There are no further answers. The last output.
    Complete,
}

impl Output {
    /// Whether nothing follows.
    pub(super) fn is_last(&self) -> bool {
        !matches!(self, Self::Next(_) | Self::Answer(_))
    }
}

enum State {
    Asked(Arc<Shared>, Arc<Caller>, Box<Params>),
    Following(Box<Answers>),
    Answered,
    Over,
}

/// Runs an operation. Nothing happens before the stream is polled, and nothing more once it is dropped.
pub(super) fn run(shared: Arc<Shared>, caller: Arc<Caller>, params: Params) -> BoxStream<'static, Output> {
    stream::unfold(State::Asked(shared, caller, Box::new(params)), step).boxed()
}

async fn step(state: State) -> Option<(Output, State)> {
    match state {
        State::Asked(shared, caller, params) => {
            // Boxed and over before it follows, so that a socket that just follows carries nothing of the beginning.
            let begun = Box::pin(begin(&shared, caller, *params)).await;
            Some(match begun {
                Ok(answers) => follow(answers).await,
                Err(done) => done,
            })
        }
        State::Following(answers) => Some(follow(answers).await),
        State::Answered => Some((Output::Complete, State::Over)),
        State::Over => None,
    }
}

/// The answers to a subscription, or what anything else came to.
async fn begin(
    shared: &Shared,
    caller: Arc<Caller>,
    params: Params,
) -> Result<Box<Answers>, (Output, State)> {
    let prepared = shared.engine.prepare(params).map_err(|refusal| refused(&refusal))?;
    match prepared.kind {
        OperationType::Subscription => loop {
            match shared.engine.subscribe(&prepared, Arc::clone(&caller), None).await {
                Ok(answers) => return Ok(Box::new(answers)),
                // To clients a refusal is the end of a subscription, and this is not: it begins when it can, as one that
                // is under way goes on when it can.
                Err(refusal) if refusal.is_unavailable() => sleep(PAUSE).await,
                Err(refusal) => return Err(refused(&refusal)),
            }
        },
        _ => Err(execute(shared, &prepared, caller).await),
    }
}

async fn execute(shared: &Shared, prepared: &Prepared, caller: Arc<Caller>) -> (Output, State) {
    let response = shared.engine.execute(prepared, caller).await;
    if response.is_refusal() {
        return refused(&response);
    }
    (Output::Answer(response.write()), State::Answered)
}

async fn follow(mut answers: Box<Answers>) -> (Output, State) {
    match answers.next().await {
        Ok(Some(answer)) => (Output::Next(answer), State::Following(answers)),
        Ok(None) => (Output::Complete, State::Over),
        Err(refusal) => refused(&refusal),
    }
}

fn refused(response: &Response) -> (Output, State) {
    (Output::Errors(response.to_errors_json()), State::Over)
}
