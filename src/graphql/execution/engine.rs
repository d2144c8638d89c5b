//! Executing: requests into responses, subscriptions into answers that arrive one by one.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_graphql::ValidationMode;
use async_graphql::parser::types::OperationType;
use futures_util::FutureExt;

use super::operation::Operations;
use super::own::Own;
use super::{Answers, Prepared};
use crate::accounts::Scope;
use crate::config::{Limits, seconds};
use crate::error::Error;
use crate::graphql::budget::{Budget, Exceeded};
use crate::graphql::caller::{Caller, Viewing};
use crate::graphql::document::{self, Cost, Documents, Hash, Introspected};
use crate::graphql::large::LargeAnswers;
use crate::graphql::params::Params;
use crate::graphql::response::{BAD_REQUEST, LIMIT_EXCEEDED, Response, failure, refusal};
use crate::graphql::schema::query::Snapshot;
use crate::graphql::schema::services::Services;
use crate::graphql::schema::subscription::SubscriptionRequest;
use crate::graphql::schema::types::Cursor;
use crate::graphql::schema::{self, Schema};
use crate::hub::{EventStream, Follower};
use crate::log::{ConversationFilter, SubscriptionFilter, Viewer};
use crate::messaging::Place;
use crate::rates::Owner;

/// The cost from which on an operation takes the room of a large answer before it is executed.
const LARGE_ANSWER_COST: Cost = Cost(20_000);

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// A trusted document does not go by its own SHA-256.
    #[error("--trusted-documents: {name} is not the SHA-256 of its document, which is {hash}")]
    Misnamed { name: String, hash: String },
    /// A trusted document cannot be executed.
    #[error("--trusted-documents: {hash}: {reasons}")]
    Refused { hash: String, reasons: String },
    /// One of herald's own documents cannot be executed, which is a fault in herald.
    #[error("a document of herald's own: {0}")]
    Own(String),
}

/// The schema with all that it needs to execute.
pub(crate) struct Engine {
    /// Executes plans, and validates nothing.
    pub(super) schema: Schema,
    documents: Documents,
    definitions: Arc<document::Schema>,
    services: Arc<Services>,
    pub(super) operations: Operations,
    large_answers: Arc<LargeAnswers>,
    introspection: bool,
    pub(super) own: Own,
}

impl Engine {
    /// An engine that executes whatever fits the schema or, if some are named, only trusted documents, which are
    /// given by the SHA-256 of their text.
    ///
    /// # Errors
    /// A document that the engine is to execute is wrong.
    pub(crate) fn new(
        services: Services,
        introspection: bool,
        federation: bool,
        trusted: Option<HashMap<String, String>>,
    ) -> Result<Self, EngineError> {
        let services = Arc::new(services);
        let limits = &services.limits;
        let schema = schema::builder()
            .validation_mode(ValidationMode::Fast)
            .limit_recursive_depth(recursion(limits))
            .data(Arc::clone(&services))
            .finish();
        let definitions = Arc::new(document::Schema::new(&schema::definitions(federation)));
        let mut documents = Documents::new(limits.clone(), Arc::clone(&definitions));
        if let Some(trusted) = trusted {
            trust(&mut documents, &trusted)?;
        }
        let large_answers = Arc::default();
        let own = Own::new(limits, &definitions, &large_answers)?;
        let operations = Operations::new(limits, services.rates.clone());
        Ok(Self { schema, documents, definitions, services, operations, large_answers, introspection, own })
    }

    /// Everything behind the schema.
    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    /// Finds a request's document or reads it, finds the operation in it, and holds it to the limits. To read a document,
    /// which takes time even if it is refused then, counts on the account of `owner`.
    ///
    /// # Errors
    /// The response that says what is wrong with it.
    pub(crate) fn prepare(&self, mut params: Params, owner: Owner) -> Result<Prepared, Box<Response>> {
        let hash = params.hash().map_err(|reason| Box::new(refusal(BAD_REQUEST, reason)))?;
        let rates = self.services.rates.as_deref();
        let may_read = |text: &str| rates.map_or(Ok(()), |rates| rates.read(owner, text.len()));
        let document = self.documents.find(params.text(), hash, may_read)?;
        let given = params.variables.take().unwrap_or_default();
        let operation_name = params.operation_name;
        let operation = document.operation(operation_name.as_deref())?;
        let variables = self.documents.variables(operation, given)?;
        let plan = self.documents.plan(&document, operation_name.as_deref(), &variables)?;
        if plan.asks_schema && !self.introspection {
            let message = "Introspection is switched off on this server: its schema.graphql is published \
                 with herald.";
            return Err(Box::new(refusal("INTROSPECTION_DISABLED", message)));
        }
        if plan.asks_schema {
            rates
                .map_or(Ok(()), |rates| rates.introspect(owner))
                .map_err(|error| Box::new(failure(&error)))?;
        }
        let limits = &self.services.limits;
        let (cost, most) = (Cost::of(&plan, &variables), limits.max_complexity);
        if cost > Cost(most as u64) {
            let message = format!(
                "The answer may come to {} fields; at most {most} are allowed: ask for smaller pages with `first`.",
                cost.0
            );
            return Err(Box::new(refusal(LIMIT_EXCEEDED, message)));
        }
        let kind = plan.kind;
        let most = match kind {
            OperationType::Subscription => limits.max_event_bytes(),
            OperationType::Query | OperationType::Mutation => limits.max_answer_bytes,
        };
        let large_answers = Arc::clone(&self.large_answers);
        let document = plan.asks_schema.then_some(document);
        Ok(Prepared { document, operation_name, plan, variables, cost, most, large_answers, kind })
    }

    /// Executes a query or a mutation.
    pub(crate) async fn execute(&self, prepared: &Prepared, caller: Arc<Caller>) -> Response {
        if let Err(error) = caller.may(prepared.kind) {
            return failure(&error);
        }
        let budget = Budget::new(prepared.most, Arc::clone(&self.large_answers), Some(caller.owner()));
        if let Some(rates) = &self.services.rates
            && let Err(error) = rates.execute(caller.owner(), prepared.cost.0)
        {
            return failure(&error);
        }
        if prepared.cost > LARGE_ANSWER_COST
            && let Err(error) = budget.take_permit().await
        {
            return failure(&error);
        }
        let mut response = self.execute_within(prepared, caller, &budget).await;
        if budget.has_permit() {
            response.keep(budget);
        }
        response
    }

    pub(super) async fn execute_within(
        &self,
        prepared: &Prepared,
        caller: Arc<Caller>,
        budget: &Arc<Budget>,
    ) -> Response {
        let introspected = match self.introspect(prepared) {
            Ok(introspected) => introspected,
            Err(refusal) => return *refusal,
        };
        if !prepared.plan.has_resolved && prepared.kind == OperationType::Query {
            return prepared.response(async_graphql::Response::default(), introspected);
        }
        let mut request = prepared.request().data(Viewing::One(caller)).data(Arc::clone(budget));
        if prepared.plan.asks_cursor {
            // Before anything else is read, so that the response is sure to include what came before it.
            match self.services.database.head().await {
                Ok(head) => request = request.data(Snapshot(head)),
                Err(error) => return failure(&error.into()),
            }
        }
        let executing = AssertUnwindSafe(self.schema.execute(request)).catch_unwind();
        tokio::select! {
            biased;
            exceeded = budget.exceeded() => match exceeded {
                Exceeded::TooLarge => prepared.too_large(),
                Exceeded::NoRoom => failure(&Error::Unavailable),
            },
            executed = executing => match executed {
                Ok(executed) => prepared.response(executed, introspected),
                Err(_) => failure(&Error::Internal),
            },
        }
    }

    fn introspect(&self, prepared: &Prepared) -> Result<Introspected, Box<Response>> {
        let Some(document) = &prepared.document else { return Ok(Introspected::default()) };
        let name = prepared.operation_name.as_deref();
        self.definitions.introspect(document, &prepared.plan, name, &prepared.variables)
    }

    /// Begins a subscription, from `resume` on rather than from its own `after` where both are given.
    ///
    /// # Errors
    /// The response that says why it cannot be: a cursor that cannot be honoured, a conversation that the caller takes
    /// no part in, more than the caller may follow.
    pub(crate) async fn subscribe(
        &self,
        prepared: &Prepared,
        caller: Arc<Caller>,
        resume: Option<Cursor>,
    ) -> Result<Answers, Box<Response>> {
        caller.may(prepared.kind).map_err(|error| Box::new(failure(&error)))?;
        let (rendering, mut requested) = self.operations.open(&self.schema, prepared, Arc::clone(&caller))?;
        let after = resume.or(requested.after.take());
        let (follower, at) = self
            .follow(requested, after.as_ref(), &caller)
            .await
            .map_err(|error| Box::new(failure(&error)))?;
        Ok(Answers::new(follower, at, after, rendering))
    }

    /// A subscription, and the place after which it gives everything.
    async fn follow(
        &self,
        requested: SubscriptionRequest,
        after: Option<&Cursor>,
        caller: &Caller,
    ) -> Result<(Follower, Place), Error> {
        let viewer = if requested.is_of_log {
            caller.service_with(Scope::Read)?;
            if caller.session.is_some() {
                let reason = "must not be given: the log is for the service itself";
                return Err(Error::bad_input("X-Act-As", reason));
            }
            Viewer::Service
        } else {
            Viewer::User(caller.viewer()?.user)
        };
        let database = self.services.database.clone();
        let conversations = match requested.conversation {
            Some(id) => {
                ConversationFilter::Conversation(id.parse().map_err(|_| Error::NotFound("conversation"))?)
            }
            None => ConversationFilter::All,
        };
        let after = after.map(Cursor::place).transpose()?;
        let filter = SubscriptionFilter {
            viewer,
            conversations,
            kinds: requested.kinds,
            is_reciprocal: self.services.is_reciprocal,
        };
        let hub = self.services.hub.clone();
        let origin = caller.origin().filter(|_| !requested.includes_own);
        let (events, at) = EventStream::open(hub, database, filter, origin, after).await?;
        let interval = requested.checkpoints.then(|| seconds(self.services.limits.checkpoint_interval));
        Ok((Follower::new(events, interval), at))
    }
}

/// How deep a plan's syntax tree nests: a field of an interface stands in an inline fragment.
fn recursion(limits: &Limits) -> usize {
    2 * limits.max_depth + 2
}

/// From now on, only these documents are executed.
fn trust(documents: &mut Documents, texts: &HashMap<String, String>) -> Result<(), EngineError> {
    for (name, text) in texts {
        let hash = Hash::of(text);
        if Hash::parse(name) != Some(hash) {
            return Err(EngineError::Misnamed { name: name.clone(), hash: hash.to_string() });
        }
    }
    documents.trust(texts.values().map(String::as_str)).map_err(|(hash, refusal)| {
        let reasons = refusal.messages().collect::<Vec<_>>().join(" ");
        EngineError::Refused { hash: hash.to_string(), reasons }
    })
}
