//! The answers to a subscription, one for each event.

use std::sync::Arc;
use std::time::Duration;

use super::operation::Rendering;
use crate::error::Error;
use crate::graphql::response::{Response, failure};
use crate::graphql::schema::types::Cursor;
use crate::hub::{EventStream, Expired, VisibleEvent};
use crate::messaging::Place;
use crate::metrics::{Counted, METRICS};

/// The pause before an event is rendered again, when the database could not be read.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// The answers to a subscription.
pub(crate) struct Answers {
    _counted: Counted,
    events: EventStream,
    rendering: Rendering,
    /// The event that is being rendered, so that it is not lost if whoever waits stops waiting.
    seen: Option<VisibleEvent>,
    /// The place of the latest answer.
    at: Place,
}

impl Answers {
    /// The answers to the events of a stream that begins at `at`.
    pub(super) fn new(events: EventStream, at: Place, rendering: Rendering) -> Self {
        Self { _counted: Counted::new(&METRICS.subscriptions), events, rendering, seen: None, at }
    }

    /// Where to go on after the latest answer; before the first, where the subscription began.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor::new(self.at)
    }

    /// The next answer, as JSON. `None` when there will never be another. May be dropped and called again.
    ///
    /// # Errors
    /// The response that says why the subscription breaks off. The last answer.
    pub(crate) async fn next(&mut self) -> Result<Option<Arc<str>>, Box<Response>> {
        loop {
            let seen = match &self.seen {
                Some(seen) => seen,
                None => {
                    let followed = self.events.next().await;
                    match followed.map_err(|Expired| Box::new(failure(&Error::CursorExpired)))? {
                        Some(seen) => self.seen.insert(seen),
                        None => return Ok(None),
                    }
                }
            };
            match self.rendering.render(seen).await {
                Ok(answer) => {
                    self.at = seen.shared.place();
                    self.seen = None;
                    METRICS.deliveries.inc();
                    return Ok(Some(answer));
                }
                Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
            }
        }
    }
}
