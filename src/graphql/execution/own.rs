//! What herald itself asks of the schema, for those who are told without asking: the log over HTTP, and webhooks. The
//! limits of documents do not hold for it, no rate counts it, and it needs not be trusted.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use async_graphql::Variables;
use serde_json::{Map, Value, json};

use super::engine::EngineError;
use super::operation::Rendering;
use super::{Answers, Engine, Prepared};
use crate::accounts::{ActAs, Service};
use crate::config::{Limits, ServeArgs};
use crate::error::Error;
use crate::graphql::budget::Budget;
use crate::graphql::document::{self, Cost, Documents};
use crate::graphql::large::LargeAnswers;
use crate::graphql::response::{Response, failure};
use crate::graphql::schema::types::Cursor;
use crate::graphql::{Caller, cloud_events, webhooks};
use crate::hub::{Told, VisibleEvent};
use crate::log::Unavailable;
use crate::messaging::{ConversationId, Epoch, MessageId, Place, Position, UserId};

/// herald's own documents, and the service as which herald asks.
pub(super) struct Own {
    documents: Documents,
    large_answers: Arc<LargeAnswers>,
    most: usize,
    service: Arc<Service>,
    /// What is answered to those who follow the log over HTTP.
    pub(super) log: Prepared,
    with_bodies: Prepared,
    without_bodies: Prepared,
}

impl Own {
    /// # Errors
    /// One of the documents is wrong, which is a fault in herald.
    pub(super) fn new(
        limits: &Limits,
        definitions: &Arc<document::Schema>,
        large_answers: &Arc<LargeAnswers>,
    ) -> Result<Self, EngineError> {
        let documents = Documents::new(ServeArgs::default().limits, Arc::clone(definitions));
        let page = limits.max_page_size;
        let prepare = |text: String| {
            prepare(&documents, &text, Map::new(), limits.max_event_bytes(), large_answers)
                .map_err(|refusal| EngineError::Own(refusal.messages().collect::<Vec<_>>().join(" ")))
        };
        Ok(Self {
            log: prepare(cloud_events::document(page))?,
            with_bodies: prepare(webhooks::events(page, true))?,
            without_bodies: prepare(webhooks::events(page, false))?,
            service: Service::herald_itself(),
            large_answers: Arc::clone(large_answers),
            most: limits.max_answer_bytes,
            documents,
        })
    }

    fn events(&self, has_bodies: bool) -> &Prepared {
        if has_bodies { &self.with_bodies } else { &self.without_bodies }
    }

    fn caller(&self) -> Caller {
        Caller {
            session: None,
            service: Some(Arc::clone(&self.service)),
            connection: None,
            trace: None,
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            is_secure: true,
        }
    }
}

fn prepare(
    documents: &Documents,
    text: &str,
    given: Map<String, Value>,
    most: usize,
    large_answers: &Arc<LargeAnswers>,
) -> Result<Prepared, Box<Response>> {
    let document = documents.find(Some(text), None, |_| Ok(()))?;
    let variables: Variables = documents.variables(document.operation(None)?, given)?;
    let plan = documents.plan(&document, None, &variables)?;
    Ok(Prepared {
        document: None,
        operation_name: None,
        cost: Cost::of(&plan, &variables),
        most,
        large_answers: Arc::clone(large_answers),
        kind: plan.kind,
        plan,
        variables,
    })
}

impl Engine {
    /// The subscription to the log whose answers [`cloud_event`](crate::graphql::cloud_event) understands.
    pub(crate) fn log(&self) -> &Prepared {
        &self.own.log
    }

    /// Follows the log for a webhook, after a place.
    ///
    /// # Errors
    /// As [`Engine::subscribe`].
    pub(crate) async fn follow_for_webhook(
        &self,
        has_bodies: bool,
        after: Place,
    ) -> Result<Answers, Box<Response>> {
        let caller = Arc::new(self.own.caller());
        self.subscribe(self.own.events(has_bodies), caller, Some(Cursor::new(after))).await
    }

    /// What tells single events of the log as [`Engine::follow_for_webhook`] does.
    ///
    /// # Errors
    /// The response that says why it cannot.
    pub(crate) fn retell_for_webhook(&self, has_bodies: bool) -> Result<Rendering, Box<Response>> {
        let caller = Arc::new(self.own.caller());
        let (rendering, _) = self.operations.open(&self.schema, self.own.events(has_bodies), caller)?;
        Ok(rendering)
    }

    /// The answer for the event at a position, as it is now; `None` if the log does not have it any more.
    pub(crate) async fn retell(
        &self,
        rendering: &mut Rendering,
        epoch: Epoch,
        position: Position,
    ) -> Result<Option<Arc<str>>, Unavailable> {
        let services = self.services();
        let found: Option<VisibleEvent> = services.hub.event_at(&services.database, epoch, position).await?;
        let Some(event) = found else { return Ok(None) };
        Ok(Some(rendering.render(&Told::Event(event)).await?.filled(|| None)))
    }

    /// What a call says of a recipient whom messages up to this one have not reached: the data of a query with their eyes.
    /// `None` if there is nobody to tell of: they are disabled, or gone.
    ///
    /// # Errors
    /// The response that says why it cannot be told.
    pub(crate) async fn undelivered(
        &self,
        recipient: UserId,
        conversation: ConversationId,
        message: MessageId,
        has_bodies: bool,
    ) -> Result<Option<Value>, Box<Response>> {
        let own = &self.own;
        let session = match self.services().accounts.act(&own.service, &ActAs::Id(recipient)).await {
            Ok(session) => session,
            Err(Error::AccountDisabled | Error::BadInput { .. }) => return Ok(None),
            Err(error) => return Err(Box::new(failure(&error))),
        };
        let given = json!({ "conversation": conversation.to_string(), "message": message.to_string() });
        let Value::Object(given) = given else { return Ok(None) };
        let text = webhooks::undelivered(has_bodies);
        let prepared = prepare(&own.documents, &text, given, own.most, &own.large_answers)?;
        let budget = Budget::new(own.most, Arc::clone(&own.large_answers), None);
        let caller = Arc::new(Caller { session: Some(session), ..own.caller() });
        let response = self.execute_within(&prepared, caller, &budget).await;
        if response.messages().next().is_some() {
            return Err(Box::new(response));
        }
        let mut answer: Value = serde_json::from_str(&response.to_json()).unwrap_or_default();
        let data = answer["data"].take();
        Ok((data["message"].is_object() && data["conversation"].is_object()).then_some(data))
    }
}
