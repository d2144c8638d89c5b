//! One subscription. It replays from its place up to where it joins the hub, and then goes live. The hub has the recent
//! events in memory; what is older comes from the log. Whenever the subscription falls behind, it replays again from its
//! own position. So a slow subscriber costs a position and not a queue.

mod opening;

use std::collections::VecDeque;
use std::future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

pub use self::opening::OpenError;

use super::damage::Missed;
use super::joining::{Handover, JoinError, Then};
use super::routing::Interest;
use super::{Hub, VisibleEvent};
use crate::log::{Database, ReadError, Unavailable, Viewer};
use crate::messaging::{Place, Position, Timestamp, view};
use crate::metrics::{METRICS, Reason, ReplayedFrom};

/// Events per statement of a replay.
const PAGE_EVENTS: usize = 250;

/// Positions that the first statement of a replay covers. The window doubles when it yields less than a page, so that a
/// long absence from a busy log takes few statements. A full page halves it again.
const REPLAY_WINDOW_POSITIONS: i64 = 16_384;

/// The first and the longest pause between two tries while the log cannot be read.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Why a subscription breaks off. The client needs a new snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The log does not continue the events that it delivered.
    Expired,
    /// The next event is damaged in the log, or what it shows is.
    Damaged,
}

/// One step of a stream.
#[derive(Debug)]
pub(super) enum Step {
    /// The next event.
    Event(VisibleEvent),
    /// Replay has met the present: everything up to the stream's place was returned, and nothing waits. What comes is live.
    CaughtUp,
    /// The time has come to say that there was nothing.
    Due,
    /// There will never be another event.
    Ended,
}

/// A subscription under way.
#[derive(Debug)]
pub struct EventStream {
    hub: Hub,
    database: Database,
    interest: Interest,
    /// Every event up to here has been returned, or is in `replayed`.
    position: Position,
    /// The latest place up to `position` whose chain is known. The stream goes on only while the log has this place.
    place: Place,
    window: i64,
    replayed: VecDeque<VisibleEvent>,
    /// Everybody who left up to here had left when the views of `replayed` were made.
    left_through: Position,
    /// A live event that is not returned yet. The log may have to tell whether it shows this viewer anything.
    unchecked: Option<VisibleEvent>,
    /// How it goes on after `replayed`.
    then: Then,
    /// Whether it has not said [`Step::CaughtUp`] since it last fell behind.
    is_behind: bool,
}

impl EventStream {
    /// Returns the next event, in order, without a gap or a repeat. `None` when there will never be another one: the
    /// viewer has left the one conversation that the stream follows. It may be dropped and called again at any time.
    pub async fn next(&mut self) -> Result<Option<VisibleEvent>, Broken> {
        loop {
            match self.step(None).await? {
                Step::Event(seen) => return Ok(Some(seen)),
                Step::CaughtUp | Step::Due => {}
                Step::Ended => return Ok(None),
            }
        }
    }

    /// The place up to which everything was returned. There may be more.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// The place up to which everything was returned, and after which there is nothing as far as this node knows. `None`
    /// if something waits to be returned, or to be read from the log. The stream then goes on from that place.
    pub(super) fn quiet(&mut self) -> Option<Place> {
        let Then::Live(live) = &self.then else { return None };
        // The hub notes a place after it has queued every event up to it. So the place is read before the queue is.
        let applied = self.hub.applied()?;
        let is_quiet =
            self.replayed.is_empty() && self.unchecked.is_none() && live.is_empty() && !live.is_closed();
        is_quiet.then(|| {
            self.go_on_from(applied);
            applied
        })
    }

    /// The time now, by the clock of this node.
    pub(super) fn now(&self) -> Timestamp {
        self.database.clock().now()
    }

    /// Takes one step, or stops waiting when `due` has passed. It may be dropped and called again at any time. A read of the
    /// log is not given up when `due` passes: it would begin again and again where the database is slow.
    pub(super) async fn step(&mut self, mut due: Option<Pin<&mut Sleep>>) -> Result<Step, Broken> {
        let mut pause = RETRY_PAUSE.0;
        loop {
            match self.try_step(&mut due).await {
                Ok(Some(step)) => return Ok(step),
                Ok(None) => pause = RETRY_PAUSE.0,
                Err(JoinError::Expired) => return Err(Broken::Expired),
                Err(JoinError::Damaged) => return Err(Broken::Damaged),
                Err(JoinError::NotRecent | JoinError::Unavailable) => {
                    if rest(&mut pause, &mut due).await {
                        return Ok(Step::Due);
                    }
                }
            }
        }
    }

    /// Tries to take a step. `None` when it has only come closer to one.
    async fn try_step(&mut self, due: &mut Option<Pin<&mut Sleep>>) -> Result<Option<Step>, JoinError> {
        if !self.replayed.is_empty() {
            self.narrow_next().await?;
            return Ok(self.replayed.pop_front().map(Step::Event));
        }
        // What waits for the next event takes no room for those that it had.
        self.replayed = VecDeque::new();
        if let Then::Live(live) = &mut self.then {
            // What waits in the queue is told first. After a queue that is closed, it goes on from the log.
            let is_quiet = self.unchecked.is_none() && live.is_empty() && !live.is_closed();
            if is_quiet && std::mem::take(&mut self.is_behind) {
                return Ok(Some(Step::CaughtUp));
            }
            if self.unchecked.is_none() {
                self.unchecked = tokio::select! {
                    biased;
                    seen = live.recv() => seen,
                    () = passed(due) => return Ok(Some(Step::Due)),
                };
            }
            if self.unchecked.is_some() {
                return Ok(self.check_visible().await?.map(Step::Event));
            }
            // The queue overflowed, or no more events come. The hub or the log tells which.
            (self.then, self.is_behind) = (Then::More, true);
        }
        if let Then::Left = self.then {
            return Ok(Some(Step::Ended));
        }
        if due.as_ref().is_some_and(|due| due.deadline() <= Instant::now()) {
            return Ok(Some(Step::Due));
        }
        // Boxed, so that a subscription that just waits does not carry the room for reading the log.
        Box::pin(self.advance()).await?;
        Ok(None)
    }

    /// Has an event that was returned be seen as of the viewer's leaving, where they may have left since it was queued or
    /// read.
    pub(super) async fn narrow(&self, seen: &mut VisibleEvent) -> Result<(), Unavailable> {
        let known = seen.shared.event.position;
        narrow(&self.hub, &self.database, self.interest.filter.viewer, seen, known).await
    }

    /// The same for the next event.
    async fn narrow_next(&mut self) -> Result<(), Unavailable> {
        let is_replayed = !self.replayed.is_empty();
        let Some(seen) = self.replayed.front_mut().or(self.unchecked.as_mut()) else { return Ok(()) };
        let queued = seen.shared.event.position;
        let known = if is_replayed { queued.max(self.left_through) } else { queued };
        narrow(&self.hub, &self.database, self.interest.filter.viewer, seen, known).await
    }

    /// Takes the live event, unless it shows this viewer nothing. Most events need no statement for this.
    async fn check_visible(&mut self) -> Result<Option<VisibleEvent>, Unavailable> {
        self.narrow_next().await?;
        let Some(seen) = &self.unchecked else { return Ok(None) };
        let event = &seen.shared.event;
        // Boxed, so that a subscription that just waits does not carry the room for reading the log.
        let filter = self.interest.filter;
        let shows = !filter.is_in_doubt(event, seen.view)
            || Box::pin(self.database.shows(filter, &[(event, seen.view)])).await?.contains(&true);
        self.go_on_from(self.place.at(event));
        Ok(self.unchecked.take().filter(|_| shows))
    }

    /// Takes one step: it is handed what the hub has in memory, and the queue of what comes; or, if the hub does not go
    /// back so far, it replays a window of the log.
    async fn advance(&mut self) -> Result<(), JoinError> {
        if self.place.position == self.position && self.join(None).await? {
            return Ok(());
        }
        let head = self.database.head_after(self.place).await?.ok_or(JoinError::Expired)?;
        if self.position == head.position {
            // If the hub is past this place already, the log has more.
            return self.join(Some(head)).await.map(|_| ());
        }
        self.replay(head.position).await?;
        if self.position == head.position {
            self.go_on_from(head);
        }
        Ok(())
    }

    /// Has the hub hand over what comes after this place. `false` if this is not a recent place.
    async fn join(&mut self, at_least: Option<Place>) -> Result<bool, JoinError> {
        let left_through = self.hub.leavings.newest();
        let handover = match self.hub.join(self.interest.clone(), self.place, at_least).await {
            Err(JoinError::NotRecent) => return Ok(false),
            handover => handover?,
        };
        let Handover { events, through, then } = handover;
        let views: Vec<_> = events.iter().map(|seen| (&*seen.shared.event, seen.view)).collect();
        let shows = self.database.shows(self.interest.filter, &views).await?;
        self.replayed.extend(events.into_iter().zip(shows).filter_map(|(seen, shows)| shows.then_some(seen)));
        (self.then, self.left_through) = (then, left_through);
        self.go_on_from(through);
        Ok(true)
    }

    fn go_on_from(&mut self, place: Place) {
        (self.position, self.place) = (place.position, place);
    }

    async fn replay(&mut self, through: Position) -> Result<(), ReadError> {
        let through = through.min(Position(self.position.0.saturating_add(self.window)));
        METRICS.count_log_read(Reason::Replay);
        // Before the read, so that none comes between.
        let heeded = self.hub.older.redactions.all_heeded();
        let left_through = self.hub.leavings.newest();
        let missed =
            Missed { filter: self.interest.filter, after: self.position, through, most: PAGE_EVENTS };
        let (events, reached) = self.hub.damage.read(&self.database, missed).await?;
        METRICS.count_replayed(ReplayedFrom::Log, events.len());
        self.window = if reached < through {
            (self.window / 2).max(REPLAY_WINDOW_POSITIONS)
        } else {
            self.window.saturating_mul(2)
        };
        let Place { epoch, .. } = self.place;
        if let Some((last, _)) = events.last() {
            self.place = self.place.at(last);
        }
        let interest = &self.interest;
        let wanted = events.into_iter().filter(|(event, _)| interest.wants(event));
        let shared = self.hub.older.share(epoch, &heeded, wanted);
        self.replayed.extend(shared.map(|(shared, view)| VisibleEvent { shared, view }));
        (self.position, self.left_through) = (reached, left_through);
        Ok(())
    }
}

/// Has an event be seen as of the viewer's leaving, if they may have left after `known`. What happened in the conversation
/// afterwards is not theirs to see. It costs a statement only where they may have.
async fn narrow(
    hub: &Hub,
    database: &Database,
    viewer: Viewer,
    seen: &mut VisibleEvent,
    known: Position,
) -> Result<(), Unavailable> {
    let Viewer::User(user) = viewer else { return Ok(()) };
    if seen.view.as_of.is_some() || !hub.leavings.may_have_left(user, known) {
        return Ok(());
    }
    let event = &seen.shared.event;
    // Boxed, so that a subscription that just waits does not carry the room for reading the log.
    let stays = Box::pin(database.participations(user, [event.conversation])).await?;
    let intervals: Vec<_> = stays.iter().map(|stay| stay.interval).collect();
    if let Some(view) = view(event, user, &intervals) {
        seen.view = view;
    }
    Ok(())
}

/// Completes when it is due; never without a time.
async fn passed(due: &mut Option<Pin<&mut Sleep>>) {
    match due {
        Some(due) => due.as_mut().await,
        None => future::pending().await,
    }
}

/// Pauses before another try, longer each time. Returns true if it is due before.
async fn rest(pause: &mut Duration, due: &mut Option<Pin<&mut Sleep>>) -> bool {
    let is_due = tokio::select! {
        biased;
        () = passed(due) => true,
        () = sleep(*pause) => false,
    };
    *pause = (*pause * 2).min(RETRY_PAUSE.1);
    is_due
}
