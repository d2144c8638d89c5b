//! One subscription. It replays the log up to the place where it joined the hub, and then goes live. Whenever it falls
//! behind, it replays again from its own position. So a slow subscriber costs a position and not a queue.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::task::{JoinError, JoinPoint};
use super::{Hub, RenderedEvent, VisibleEvent};
use crate::log::{ConversationFilter, Database, SubscriptionFilter, Unavailable};
use crate::messaging::{Covered, Origin, Place, Position};
use crate::metrics::{METRICS, Reason};

/// Events per statement of a replay.
const PAGE_EVENTS: usize = 250;

/// Positions that the first statement of a replay covers. The window doubles when it yields less than a page, so that a
/// long absence from a busy log takes few statements. A full page halves it again.
const REPLAY_WINDOW_POSITIONS: i64 = 16_384;

/// The first and the longest pause between two tries while the log cannot be read.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Why a subscription does not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// The log does not have the cursor's place, or no longer has it.
    Expired,
    /// The conversation does not exist, or the viewer takes no part in it.
    NoSuchConversation,
    /// The log cannot be read now.
    Unavailable,
}

impl From<Unavailable> for OpenError {
    fn from(_: Unavailable) -> Self {
        Self::Unavailable
    }
}

/// A subscription ends: the log does not continue the events that it delivered. The client needs a new snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired;

/// A subscription under way.
#[derive(Debug)]
pub struct EventStream {
    hub: Hub,
    database: Database,
    filter: SubscriptionFilter,
    origin: Option<Origin>,
    /// Every event up to here has been returned, or is in `replayed`.
    position: Position,
    /// The latest place up to `position` whose chain is known. The stream goes on only while the log has this place.
    place: Place,
    window: i64,
    replayed: VecDeque<VisibleEvent>,
    /// A live event that is not returned yet. The log may have to tell whether it shows this viewer anything.
    unchecked: Option<VisibleEvent>,
    join_point: Option<JoinPoint>,
}

impl EventStream {
    /// Begins a stream after the given place, or at the head of the log, and returns the place with it. It refuses at
    /// once a place or a conversation that it cannot follow.
    pub async fn open(
        hub: Hub,
        database: Database,
        filter: SubscriptionFilter,
        origin: Option<Origin>,
        after: Option<Place>,
    ) -> Result<(Self, Place), OpenError> {
        let begun = match after {
            Some(after) => {
                database.head_after(after).await?.ok_or(OpenError::Expired)?;
                after
            }
            None => database.head().await?,
        };
        let mut follow = Self {
            hub,
            database,
            filter,
            origin,
            position: begun.position,
            place: begun,
            window: REPLAY_WINDOW_POSITIONS,
            replayed: VecDeque::new(),
            unchecked: None,
            join_point: None,
        };
        if let ConversationFilter::Conversation(conversation) = filter.conversations {
            let parts = follow.database.participations(filter.viewer, [conversation]).await?;
            if parts.iter().all(|part| part.interval.left.is_some()) {
                // A viewer who left meanwhile still sees the events up to their leaving.
                let left = parts.iter().filter_map(|part| part.interval.left).max();
                follow.read_up_to(left.unwrap_or(Position::START)).await?;
                if follow.replayed.is_empty() {
                    return Err(OpenError::NoSuchConversation);
                }
            }
        }
        Ok((follow, begun))
    }

    /// Replays until there is an event to return, or `last` is reached.
    async fn read_up_to(&mut self, last: Position) -> Result<(), Unavailable> {
        while self.replayed.is_empty() && self.position < last {
            self.replay(last).await?;
        }
        Ok(())
    }

    /// Returns the next event, in order, without a gap or a repeat. `None` when there will never be another one: the
    /// viewer has left the one conversation that the stream follows. It may be dropped and called again at any time.
    pub async fn next(&mut self) -> Result<Option<VisibleEvent>, Expired> {
        let mut pause = RETRY_PAUSE.0;
        loop {
            if let Some(seen) = self.replayed.pop_front() {
                return Ok(Some(seen));
            }
            if let Some(JoinPoint { at, live }) = &mut self.join_point
                && at.position <= self.position
            {
                if self.unchecked.is_none() {
                    self.unchecked = live.recv().await;
                }
                if self.unchecked.is_some() {
                    match self.check_visible().await {
                        Ok(None) => pause = RETRY_PAUSE.0,
                        Ok(seen) => return Ok(seen),
                        Err(Unavailable) => {
                            tokio::time::sleep(pause).await;
                            pause = (pause * 2).min(RETRY_PAUSE.1);
                        }
                    }
                    continue;
                }
                // The queue overflowed, or no more events come. The log tells which.
                self.join_point = None;
            }
            // Boxed, so that a subscription that just waits does not carry the room for reading the log.
            match Box::pin(self.advance()).await {
                Ok(()) => pause = RETRY_PAUSE.0,
                Err(JoinError::NotTakingPart(_)) => return Ok(None),
                Err(JoinError::Expired) => return Err(Expired),
                Err(JoinError::Unavailable) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_PAUSE.1);
                }
            }
        }
    }

    /// Takes the live event, unless it shows this viewer nothing. Most events need no statement for this.
    async fn check_visible(&mut self) -> Result<Option<VisibleEvent>, Unavailable> {
        let Some(seen) = &self.unchecked else { return Ok(None) };
        let event = &seen.shared.event;
        // Boxed, so that a subscription that just waits does not carry the room for reading the log.
        let shows = match seen.view.covered {
            Covered::After(_) => true,
            Covered::StaysOf(_) => Box::pin(self.database.shows(event, seen.view)).await?,
        };
        self.go_on_from(self.place.at(event));
        Ok(self.unchecked.take().filter(|_| shows))
    }

    /// Takes one step: it replays a window of the log, or joins the hub once the log is exhausted.
    async fn advance(&mut self) -> Result<(), JoinError> {
        let through = match &self.join_point {
            Some(joined) => joined.at,
            None => {
                let head = self.database.head_after(self.place).await?;
                head.ok_or(JoinError::Expired)?
            }
        };
        if self.position < through.position {
            self.replay(through.position).await?;
            if self.position == through.position {
                self.go_on_from(through);
            }
            return Ok(());
        }
        let at_least = Place { position: self.position, ..self.place };
        match self.hub.join(self.filter, self.origin.clone(), at_least).await {
            Ok(joined) => self.join_point = Some(joined),
            // The viewer left after the head was read. The events up to their leaving are in the log.
            Err(JoinError::NotTakingPart(at)) if self.position < at => {
                self.replay(at).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn go_on_from(&mut self, place: Place) {
        (self.position, self.place) = (place.position, place);
    }

    async fn replay(&mut self, through: Position) -> Result<(), Unavailable> {
        let through = through.min(Position(self.position.0.saturating_add(self.window)));
        METRICS.count_log_read(Reason::Replay);
        let (events, reached) =
            self.database.replay(self.filter, self.position, through, PAGE_EVENTS).await?;
        self.window = if reached < through {
            (self.window / 2).max(REPLAY_WINDOW_POSITIONS)
        } else {
            self.window.saturating_mul(2)
        };
        let own = |origin: &Option<Origin>| self.origin.is_some() && *origin == self.origin;
        let Place { epoch, .. } = self.place;
        if let Some((last, _)) = events.last() {
            self.place = self.place.at(last);
        }
        let seen = events
            .into_iter()
            .filter(|(event, _)| !own(&event.origin))
            .map(|(event, view)| VisibleEvent { shared: Arc::new(RenderedEvent::new(event, epoch)), view });
        self.replayed.extend(seen);
        self.position = reached;
        Ok(())
    }
}
