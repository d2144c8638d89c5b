//! One operation on a socket, as the stream of what it puts out.

use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use futures_util::stream::{self, BoxStream, StreamExt};

use crate::graphql::{Answers, Caller, Params, Prepared, errors_json, is_request_error, to_json};
use crate::transport::Shared;

/// What an operation puts out.
pub(super) enum Output {
    /// An answer, as JSON.
    Next(Arc<str>),
    /// Why there will be no answers, as JSON. The last output.
    Errors(String),
    /// There are no further answers. The last output.
    Complete,
}

impl Output {
    /// Whether nothing follows.
    pub(super) fn is_last(&self) -> bool {
        !matches!(self, Self::Next(_))
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
        // Boxed, so that a socket that just follows does not carry the room for beginning.
        State::Asked(shared, caller, params) => Some(Box::pin(begin(&shared, caller, *params)).await),
        State::Following(answers) => Some(follow(answers).await),
        State::Answered => Some((Output::Complete, State::Over)),
        State::Over => None,
    }
}

async fn begin(shared: &Shared, caller: Arc<Caller>, params: Params) -> (Output, State) {
    let prepared = match shared.engine.prepare(params) {
        Ok(prepared) => prepared,
        Err(refusal) => return refused(*refusal),
    };
    match prepared.kind {
        OperationType::Subscription => match shared.engine.subscribe(&prepared, caller, None).await {
            Ok(answers) => follow(Box::new(answers)).await,
            Err(refusal) => refused(*refusal),
        },
        _ => execute(shared, &prepared, caller).await,
    }
}

async fn execute(shared: &Shared, prepared: &Prepared, caller: Arc<Caller>) -> (Output, State) {
    let response = shared.engine.execute(prepared, caller).await;
    if is_request_error(&response) {
        return refused(response);
    }
    (Output::Next(to_json(response).into()), State::Answered)
}

async fn follow(mut answers: Box<Answers>) -> (Output, State) {
    match answers.next().await {
        Some(answer) => (Output::Next(answer), State::Following(answers)),
        None => (Output::Complete, State::Over),
    }
}

fn refused(response: async_graphql::Response) -> (Output, State) {
    (Output::Errors(errors_json(response)), State::Over)
}
