//! Executing: requests into responses, subscriptions into answers that arrive one by one.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response, Variables};
use futures_util::FutureExt;

use super::Schema;
use super::caller::{Caller, Viewing};
use super::document::{Document, Documents};
use super::operation::{Operations, Rendering};
use super::query::Snapshot;
use super::response::{VALIDATION_FAILED, failure, refusal};
use super::services::Services;
use super::shape::Shape;
use super::subscription::Plan;
use crate::error::Error;
use crate::hub::{Follow, Seen};
use crate::log::{Interest, Scope};

/// The pause before an event is rendered again, when the database could not be read.
const PAUSE: Duration = Duration::from_millis(250);

/// A request that can be executed: its document is parsed and within the limits.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(super) document: Arc<Document>,
    pub(super) operation_name: Option<String>,
    pub(super) variables: Variables,
    /// Query, mutation or subscription.
    pub(crate) kind: OperationType,
}

impl Prepared {
    pub(super) fn request(&self) -> Request {
        let mut request = Request::new(String::new()).variables(self.variables.clone());
        request.set_parsed_query(self.document.parsed.clone());
        request.operation_name.clone_from(&self.operation_name);
        request
    }
}

/// The schema with all that it needs to execute.
pub(crate) struct Engine {
    schema: Schema,
    services: Arc<Services>,
    shape: Arc<Shape>,
    documents: Documents,
    operations: Operations,
    introspection: bool,
}

impl Engine {
    pub(crate) fn new(services: Services, introspection: bool) -> Self {
        let services = Arc::new(services);
        let schema = super::builder(&services.limits).data(Arc::clone(&services)).finish();
        let shape = Arc::new(Shape::new(&schema.sdl()));
        Self {
            schema,
            documents: Documents::new(services.limits.clone(), Arc::clone(&shape)),
            shape,
            operations: Operations::default(),
            services,
            introspection,
        }
    }

    /// Everything behind the schema.
    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    /// Parses a request's document, or finds it, and finds the operation in it.
    ///
    /// # Errors
    /// The response that says what is wrong with it.
    pub(crate) fn prepare(
        &self,
        text: &str,
        operation_name: Option<String>,
        variables: Variables,
    ) -> Result<Prepared, Box<Response>> {
        let document = self.documents.get(text)?;
        if document.asks_schema && !self.introspection {
            let message = "Introspection is switched off on this server: its schema.graphql is published \
                 with herald.";
            return Err(Box::new(refusal("INTROSPECTION_DISABLED", message)));
        }
        let operation = document.operation(operation_name.as_deref()).ok_or_else(|| {
            let message = match &operation_name {
                Some(name) => format!("There is no operation named {name:?} in the document."),
                None => "The document has several operations: say which with `operationName`.".into(),
            };
            Box::new(refusal(VALIDATION_FAILED, message))
        })?;
        self.shape
            .check_variables(operation, &variables)
            .map_err(|reason| Box::new(refusal(VALIDATION_FAILED, reason)))?;
        let kind = operation.ty;
        Ok(Prepared { document, operation_name, variables, kind })
    }

    /// Executes a query or a mutation.
    pub(crate) async fn execute(&self, prepared: &Prepared, caller: Arc<Caller>) -> Response {
        let mut request = prepared.request().data(Viewing::One(caller));
        if prepared.document.asks_cursor && prepared.kind == OperationType::Query {
            // Before anything else is read, so that the response is sure to include what came before it.
            match self.services.database.head().await {
                Ok(head) => request = request.data(Snapshot(head)),
                Err(error) => return failure(&error.into()),
            }
        }
        let executed = AssertUnwindSafe(self.schema.execute(request)).catch_unwind().await;
        let mut response = executed.unwrap_or_else(|_| failure(&Error::Internal));
        if let Some(operation) = prepared.document.operation(prepared.operation_name.as_deref())
            && !response.errors.is_empty()
        {
            self.shape.complete(&prepared.document.parsed, operation, &mut response);
        }
        response
    }

    /// Begins a subscription.
    ///
    /// # Errors
    /// The response that says why it cannot be: an invalid document, a cursor that cannot be honoured, a
    /// conversation that the caller takes no part in.
    pub(crate) async fn subscribe(
        &self,
        prepared: &Prepared,
        caller: Arc<Caller>,
    ) -> Result<Answers, Box<Response>> {
        let (rendering, plan) = self.operations.open(&self.schema, prepared, Arc::clone(&caller))?;
        let follow = self.follow(plan, &caller).await.map_err(|error| Box::new(failure(&error)))?;
        Ok(Answers { follow, rendering, seen: None })
    }

    async fn follow(&self, plan: Plan, caller: &Caller) -> Result<Follow, Error> {
        let viewer = caller.viewer()?.user.id;
        let database = self.services.database.clone();
        let scope = match plan.conversation {
            Some(id) => Scope::Conversation(id.parse().map_err(|_| Error::NotFound("conversation"))?),
            None => Scope::All,
        };
        let after = plan.after.map(|cursor| cursor.position(database.epoch())).transpose()?;
        let interest = Interest { viewer, scope, kinds: plan.kinds };
        let hub = self.services.hub.clone();
        Ok(Follow::open(hub, database, interest, caller.origin(), after).await?)
    }
}

/// The answers to a subscription.
pub(crate) struct Answers {
    follow: Follow,
    rendering: Rendering,
    /// The event that is being rendered, so that it is not lost if whoever waits stops waiting.
    seen: Option<Seen>,
}

impl Answers {
    /// The next answer, as JSON. `None` when there will never be another. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Option<Arc<str>> {
        loop {
            let seen = match &self.seen {
                Some(seen) => seen,
                None => {
                    let seen = self.follow.next().await?;
                    self.seen.insert(seen)
                }
            };
            match self.rendering.render(seen).await {
                Ok(answer) => {
                    self.seen = None;
                    return Some(answer);
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}
