//! The subscriptions. A resolver of a subscription does not follow the log itself. It puts its request into its
//! [`EventSource`], and renders the events that the engine sends there.

use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::{Context, ID, Result, Subscription as AsSubscription};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};

use super::types::{Cursor, Event, MessageSent, StatusChanged};
use crate::error::Error;
use crate::hub::{Told, VisibleEvent};
use crate::messaging::Kinds;

/// The arguments of a subscription, as the client gave them.
#[derive(Debug, Clone)]
pub(crate) struct SubscriptionRequest {
    pub(crate) kinds: Kinds,
    pub(crate) conversation: Option<ID>,
    pub(crate) after: Option<Cursor>,
    pub(crate) includes_own: bool,
    pub(crate) checkpoints: bool,
    /// Whether it is of the whole log, which is for services.
    pub(crate) is_of_log: bool,
}

/// Connects the execution of a subscription with the engine, which follows the log for it.
#[derive(Debug)]
pub(crate) struct EventSource {
    requested: Mutex<Option<SubscriptionRequest>>,
    events: Mutex<Option<mpsc::Receiver<Told>>>,
}

impl EventSource {
    /// A source, and the sender through which the engine passes events one by one.
    pub(crate) fn new() -> (mpsc::Sender<Told>, Arc<Self>) {
        let (sender, events) = mpsc::channel(1);
        (sender, Arc::new(Self { requested: Mutex::default(), events: Mutex::new(Some(events)) }))
    }

    /// The request of the resolver; `None` until the resolver has run.
    pub(crate) fn requested(&self) -> Option<SubscriptionRequest> {
        self.requested.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn open(&self, requested: SubscriptionRequest) -> Result<mpsc::Receiver<Told>, Error> {
        let events =
            self.events.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(|| {
                Error::bad_input("subscription", "must select exactly one field of its own")
            })?;
        *self.requested.lock().unwrap_or_else(PoisonError::into_inner) = Some(requested);
        Ok(events)
    }
}

fn follow(
    ctx: &Context<'_>,
    kinds: Kinds,
    after: Option<Cursor>,
    conversation: Option<ID>,
    include_own: Option<bool>,
    checkpoints: Option<bool>,
) -> Result<ReceiverStream<Told>, Error> {
    let requested = SubscriptionRequest {
        kinds,
        conversation,
        after,
        includes_own: include_own.unwrap_or(false),
        checkpoints: checkpoints.unwrap_or(false),
        is_of_log: false,
    };
    open(ctx, requested)
}

fn open(ctx: &Context<'_>, requested: SubscriptionRequest) -> Result<ReceiverStream<Told>, Error> {
    let source = ctx.data_opt::<Arc<EventSource>>().ok_or(Error::Internal)?;
    source.open(requested).map(ReceiverStream::new)
}

/// The event of a subscription that is told of no checkpoints.
fn event_of(told: Told) -> Result<VisibleEvent, Error> {
    match told {
        Told::Event(seen) => Ok(seen),
        Told::Checkpoint(_) => Err(Error::Internal),
    }
}

/// What can be followed.
#[derive(Debug)]
pub(crate) struct Subscription;

/// Every subscription omits what the subscribing connection itself caused: that client has the
/// mutation's own answer. The viewer's other connections do receive it. With `includeOwn: true` nothing is omitted, for
/// a client that was killed before it had an answer and comes back under the same connection id.
#[AsSubscription]
impl Subscription {
    /// New messages, of one conversation or of all that the viewer takes part in.
    async fn message_sent(
        &self,
        ctx: &Context<'_>,
        after: Option<Cursor>,
        conversation_id: Option<ID>,
        #[graphql(default_with = "Some(false)")] include_own: Option<bool>,
    ) -> Result<impl Stream<Item = Result<MessageSent>>> {
        Ok(follow(ctx, Kinds::Sent, after, conversation_id, include_own, None)?
            .map(|told| Ok(MessageSent::only(event_of(told)?)?)))
    }

    /// Messages that were received or read. In a large conversation (more than 32 participants, unless the operator
    /// sets another limit) this is told only to the senders of those messages and to the recipient's own connections.
    async fn status_changed(
        &self,
        ctx: &Context<'_>,
        after: Option<Cursor>,
        conversation_id: Option<ID>,
        #[graphql(default_with = "Some(false)")] include_own: Option<bool>,
    ) -> Result<impl Stream<Item = Result<StatusChanged>>> {
        Ok(follow(ctx, Kinds::Marked, after, conversation_id, include_own, None)?
            .map(|told| Ok(StatusChanged::only(event_of(told)?)?)))
    }

    /// Everything, in one order, with one cursor. With `checkpoints: true` it also tells, by a `Checkpoint`, that replay
    /// has caught up, and each minute that nothing happened (unless the operator sets another time). So a cursor moves on
    /// although nothing happens, and silence means that the connection is lost.
    async fn events(
        &self,
        ctx: &Context<'_>,
        after: Option<Cursor>,
        conversation_id: Option<ID>,
        #[graphql(default_with = "Some(false)")] include_own: Option<bool>,
        #[graphql(default_with = "Some(false)")] checkpoints: Option<bool>,
    ) -> Result<impl Stream<Item = Event>> {
        Ok(follow(ctx, Kinds::ALL, after, conversation_id, include_own, checkpoints)?.map(Event::from))
    }

    /// Every event of the log, of all conversations, in one order, as it is now. For services only: the key needs the
    /// scope `read`. Nothing is left out, not even what the service itself caused. With `checkpoints: true` as in `events`.
    async fn log(
        &self,
        ctx: &Context<'_>,
        after: Option<Cursor>,
        #[graphql(default_with = "Some(false)")] checkpoints: Option<bool>,
    ) -> Result<impl Stream<Item = Event>> {
        let requested = SubscriptionRequest {
            kinds: Kinds::ALL,
            conversation: None,
            after,
            includes_own: true,
            checkpoints: checkpoints.unwrap_or(false),
            is_of_log: true,
        };
        Ok(open(ctx, requested)?.map(Event::from))
    }
}
