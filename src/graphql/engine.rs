//! Executing: requests into responses, subscriptions into answers that arrive one by one.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType,
};
use async_graphql::{Name, Positioned, Request, Response, ValidationMode, Variables};
use futures_util::FutureExt;

use super::Schema;
use super::caller::{Caller, Viewing};
use super::document::{Document, Documents, Hash};
use super::operation::{Operations, Rendering};
use super::params::Params;
use super::query::Snapshot;
use super::response::{BAD_REQUEST, VALIDATION_FAILED, failure, refusal};
use super::services::Services;
use super::shape::Shape;
use super::subscription::Plan;
use super::types::Cursor;
use super::validation::Validator;
use crate::error::Error;
use crate::hub::{Follow, Seen};
use crate::log::{Head, Interest, Scope};
use crate::metrics::{Counted, METRICS};

/// The pause before an event is rendered again, when the database could not be read.
const PAUSE: Duration = Duration::from_millis(250);

/// A request that can be executed: its document is parsed, within the limits and valid.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(super) document: Arc<Document>,
    pub(super) operation: Positioned<OperationDefinition>,
    pub(super) operation_name: Option<String>,
    pub(super) variables: Variables,
    /// Query, mutation or subscription.
    pub(crate) kind: OperationType,
}

impl Prepared {
    /// What is handed to the executor: the operation alone. With others of its document beside it, async-graphql
    /// would count their cost, too, and miss their variables.
    pub(super) fn request(&self) -> Request {
        let mut request = Request::new(String::new()).variables(self.variables.clone());
        request.set_parsed_query(ExecutableDocument {
            operations: DocumentOperations::Single(self.operation.clone()),
            fragments: self.document.parsed.fragments.clone(),
        });
        request
    }
}

/// The schema with all that it needs to execute.
pub(crate) struct Engine {
    /// Executes, without validating again.
    schema: Schema,
    validator: Validator,
    services: Arc<Services>,
    shape: Arc<Shape>,
    documents: Documents,
    operations: Operations,
    introspection: bool,
}

impl Engine {
    /// An engine that executes whatever fits the schema or, if some are named, only trusted documents, which are
    /// given by the SHA-256 of their text.
    ///
    /// # Errors
    /// What is wrong with a trusted document, in words for the operator.
    pub(crate) fn new(
        services: Services,
        introspection: bool,
        trusted: Option<HashMap<String, String>>,
    ) -> Result<Self, String> {
        let services = Arc::new(services);
        let limits = &services.limits;
        let schema = super::builder(limits)
            .validation_mode(ValidationMode::Fast)
            .limit_complexity(limits.max_complexity)
            .limit_depth(limits.max_depth)
            .data(Arc::clone(&services))
            .finish();
        let shape = Arc::new(Shape::new(&schema.sdl()));
        let mut engine = Self {
            schema,
            validator: Validator::new(limits),
            documents: Documents::new(limits.clone(), Arc::clone(&shape)),
            shape,
            operations: Operations::default(),
            services,
            introspection,
        };
        if let Some(trusted) = trusted {
            engine.trust(&trusted)?;
        }
        Ok(engine)
    }

    fn trust(&mut self, texts: &HashMap<String, String>) -> Result<(), String> {
        for (name, text) in texts {
            if Hash::parse(name) != Some(Hash::of(text)) {
                return Err(format!(
                    "{name} is not the SHA-256 of its document, which is {}",
                    Hash::of(text)
                ));
            }
        }
        let wrong = |hash: Hash, response: Response| {
            let reasons: Vec<_> = response.errors.into_iter().map(|error| error.message).collect();
            format!("{hash}: {}", reasons.join(" "))
        };
        let texts = texts.values().map(String::as_str);
        self.documents.trust(texts).map_err(|(hash, refusal)| wrong(hash, *refusal))?;
        for document in self.documents.trusted() {
            for (name, _) in document.parsed.operations.iter() {
                let validated = self.validate(document, name.map(Name::as_str), &Variables::default());
                validated.map_err(|refusal| wrong(document.hash, *refusal))?;
            }
        }
        Ok(())
    }

    /// Holds a document to the schema, as asked with these variables.
    fn validate(
        &self,
        document: &Document,
        operation_name: Option<&str>,
        variables: &Variables,
    ) -> Result<(), Box<Response>> {
        let operations = document.parsed.operations.iter();
        let mut all = self.shape.examples(operations.map(|(_, operation)| &operation.node));
        all.extend(variables.iter().map(|(name, value)| (name.clone(), value.clone())));
        let mut request = Request::new(String::new()).variables(all);
        request.set_parsed_query(document.parsed.clone());
        request.operation_name = operation_name.map(ToOwned::to_owned);
        self.validator.validate(request)
    }

    /// Everything behind the schema.
    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    /// Finds a request's document or reads it, finds the operation in it, and holds both to the schema.
    ///
    /// # Errors
    /// The response that says what is wrong with it.
    pub(crate) fn prepare(&self, mut params: Params) -> Result<Prepared, Box<Response>> {
        let invalid = |reason: String| Box::new(refusal(VALIDATION_FAILED, reason));
        let hash = params.hash().map_err(|reason| Box::new(refusal(BAD_REQUEST, reason)))?;
        let document = self.documents.find(params.text(), hash)?;
        if document.asks_schema && !self.introspection {
            let message = "Introspection is switched off on this server: its schema.graphql is published \
                 with herald.";
            return Err(Box::new(refusal("INTROSPECTION_DISABLED", message)));
        }
        let variables = params.take_variables();
        let operation_name = params.operation_name;
        let operation = document.operation(operation_name.as_deref()).ok_or_else(|| {
            invalid(match &operation_name {
                Some(name) => format!("There is no operation named {name:?} in the document."),
                None => "The document has several operations: say which with `operationName`.".into(),
            })
        })?;
        self.shape.check_variables(&operation.node, &variables).map_err(invalid)?;
        if !document.is_valid() {
            self.validate(&document, operation_name.as_deref(), &variables)?;
            document.set_valid();
        }
        let (kind, operation) = (operation.node.ty, operation.clone());
        Ok(Prepared { document, operation, operation_name, variables, kind })
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
        if !response.errors.is_empty() {
            self.shape.complete(&prepared.document.parsed, &prepared.operation.node, &mut response);
        }
        response
    }

    /// Begins a subscription, from `resume` on rather than from its own `after` where both are given.
    ///
    /// # Errors
    /// The response that says why it cannot be: an invalid document, a cursor that cannot be honoured, a
    /// conversation that the caller takes no part in.
    pub(crate) async fn subscribe(
        &self,
        prepared: &Prepared,
        caller: Arc<Caller>,
        resume: Option<Cursor>,
    ) -> Result<Answers, Box<Response>> {
        let (rendering, mut plan) = self.operations.open(&self.schema, prepared, Arc::clone(&caller))?;
        plan.after = resume.or(plan.after);
        let follow = self.follow(plan, &caller).await.map_err(|error| Box::new(failure(&error)))?;
        let at = Head { epoch: self.services.database.epoch(), position: follow.position() };
        Ok(Answers { _counted: Counted::new(&METRICS.subscriptions), follow, rendering, seen: None, at })
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
    _counted: Counted,
    follow: Follow,
    rendering: Rendering,
    /// The event that is being rendered, so that it is not lost if whoever waits stops waiting.
    seen: Option<Seen>,
    /// The place of the latest answer.
    at: Head,
}

impl Answers {
    /// Where to go on after the latest answer; before the first, where the subscription began.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor::new(self.at)
    }

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
                    self.at.position = seen.occurrence.event.position;
                    self.seen = None;
                    METRICS.deliveries.inc();
                    return Some(answer);
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}
