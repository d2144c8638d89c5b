//! The answers to a subscription, one for each event and each checkpoint.

use std::sync::Arc;
use std::time::Duration;

use tracing::Span;

use super::operation::{Rendering, Unrendered};
use crate::graphql::response::{Response, failure};
use crate::graphql::schema::types::Cursor;
use crate::hub::{Answer, Broken, Follower, Told, VisibleEvent};
use crate::log::Unavailable;
use crate::messaging::Place;
use crate::metrics::{Counted, METRICS};

/// The pause before an event is rendered again, when the database could not be read.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// The answers to a subscription.
pub(crate) struct Answers {
    _counted: Counted,
    follower: Follower,
    rendering: Rendering,
    /// What is being rendered, so that it is not lost if whoever waits stops waiting.
    told: Option<Told>,
    /// The place of the latest answer.
    at: Place,
    /// The cursor that the client holds before the first answer. It is the client's own text.
    after: Option<Cursor>,
    /// Whether there was an answer.
    has_answered: bool,
}

impl Answers {
    /// The answers to what a follower is told who begins at `at`, because the client asked for what comes after this
    /// cursor or, without one, for what comes from now on.
    pub(super) fn new(follower: Follower, at: Place, after: Option<Cursor>, rendering: Rendering) -> Self {
        let counted = Counted::new(&METRICS.subscriptions);
        Self { _counted: counted, follower, rendering, told: None, at, after, has_answered: false }
    }

    /// Where to go on after the latest answer; before the first, where the subscription began.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor::new(self.at)
    }

    /// The place of the latest answer; before the first, where the subscription began.
    pub(crate) fn place(&self) -> Place {
        self.at
    }

    /// The next answer, as JSON. `None` when there will never be another. May be dropped and called again.
    ///
    /// # Errors
    /// The response that says why the subscription breaks off. The last answer.
    pub(crate) async fn next(&mut self) -> Result<Option<Arc<str>>, Box<Response>> {
        loop {
            let told = match &mut self.told {
                Some(told) => {
                    // It has waited since it was told.
                    match self.follower.narrow(told).await {
                        Ok(()) => told,
                        Err(Unavailable::Damaged) => return Err(Box::new(failure(&Broken::Damaged.into()))),
                        Err(Unavailable::Now) => {
                            tokio::time::sleep(RETRY_PAUSE).await;
                            continue;
                        }
                    }
                }
                None => {
                    let followed = self.follower.next().await;
                    match followed.map_err(|broken| Box::new(failure(&broken.into())))? {
                        Some(told) => self.told.insert(told),
                        None => return Ok(None),
                    }
                }
            };
            // It lasts until the transport has the answer.
            let _delivery = delivery_span(told);
            match self.rendering.render(told).await {
                Ok(answer) => {
                    let place = told.place();
                    return Ok(Some(self.answered(&answer, place)));
                }
                Err(Unrendered::Unavailable) => tokio::time::sleep(RETRY_PAUSE).await,
                Err(Unrendered::Broken(broken)) => return Err(Box::new(failure(&broken.into()))),
            }
        }
    }

    /// What the client is told: the answer, with the cursor of what it was told before.
    fn answered(&mut self, answer: &Answer, place: Place) -> Arc<str> {
        let text = answer.filled(|| {
            let previous = if self.has_answered { Some(self.cursor()) } else { self.after.clone() };
            previous.map(|cursor| cursor.as_str().to_owned())
        });
        (self.at, self.told, self.after, self.has_answered) = (place, None, None, true);
        METRICS.deliveries.inc();
        text
    }
}

/// The span of a delivery, in the trace of the request that caused the event, if that is traced.
fn delivery_span(told: &Told) -> Option<Span> {
    let Told::Event(VisibleEvent { shared, .. }) = told else { return None };
    let trace = shared.trace.as_ref()?;
    let span = tracing::debug_span!(parent: None, "deliver", position = shared.event.position.0);
    trace.continue_in(&span);
    Some(span)
}
