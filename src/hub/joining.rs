//! How a subscriber joins the hub: it is handed the recent events that it missed and the queue of those to come, in one
//! step and at one position. So nothing is between the two.

use std::collections::BTreeSet;

use tokio::sync::{mpsc, oneshot};

use super::VisibleEvent;
use super::recent::Found;
use super::routing::{Interest, Subscriber};
use super::task::Task;
use crate::log::{ReadError, Unavailable, Viewer};
use crate::messaging::{Place, UserId};
use crate::metrics::{METRICS, Reason, ReplayedFrom};

/// The most events that are handed over at once. They wait in memory until the client has taken them.
const HANDED_EVENTS: usize = 256;

/// The most events that are looked at for one subscriber before it is the turn of others: 0.1 ms of the hub's time.
const EXAMINED_EVENTS: usize = 1_024;

/// Why the hub does not hand over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JoinError {
    /// The subscriber's place is not among the recent events. The log may have it.
    NotRecent,
    /// The log has another epoch now.
    Expired,
    /// An event that is missing is damaged in the log.
    Damaged,
    /// The log cannot be read, or herald is shutting down.
    Unavailable,
}

impl From<ReadError> for JoinError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged => Self::Damaged,
            ReadError::Trimmed => Self::Expired,
            ReadError::Unavailable => Self::Unavailable,
        }
    }
}

impl From<Unavailable> for JoinError {
    fn from(unavailable: Unavailable) -> Self {
        ReadError::from(unavailable).into()
    }
}

/// What a subscriber is handed: all that it may see and wants between its place and `through`, in order.
#[derive(Debug)]
pub(super) struct Handover {
    /// Of a mark with a view of [`Covered::StaysOf`](crate::messaging::Covered) the log must tell whether it shows
    /// anything.
    pub(super) events: Vec<VisibleEvent>,
    pub(super) through: Place,
    pub(super) then: Then,
}

/// How it goes on after a [`Handover`].
#[derive(Debug)]
pub(super) enum Then {
    /// Every later event arrives here, until the queue closes.
    Live(mpsc::Receiver<VisibleEvent>),
    /// There are more recent events: ask again.
    More,
    /// There is nothing more: the viewer takes no part in the one conversation.
    Left,
}

/// What a subscriber asks for.
#[derive(Debug)]
pub(super) struct Join {
    pub(super) interest: Interest,
    /// Everything up to here is known to the subscriber.
    pub(super) after: Place,
    /// A place that the log was seen to have. If the hub has not come so far, it reads the log before it answers.
    pub(super) at_least: Option<Place>,
    pub(super) answer: oneshot::Sender<Result<Handover, JoinError>>,
}

impl Task {
    /// Answers subscribers, all at one position.
    pub(super) async fn admit(&mut self, joins: Vec<Join>) {
        let damaged = match self.prepare(&joins).await {
            Ok(damaged) => damaged,
            Err(unavailable) => {
                for join in joins {
                    let _ = join.answer.send(Err(unavailable.into()));
                }
                return;
            }
        };
        self.recent.shrink();
        for Join { interest, after, at_least, answer } in joins {
            if user_of(&interest).is_some_and(|user| damaged.contains(&user)) {
                let _ = answer.send(Err(JoinError::Damaged));
                continue;
            }
            let first = match self.recent.find(after) {
                Found::Here(first) => first,
                Found::Elsewhere if at_least.is_some() => {
                    let other_epoch = after.epoch != self.applied.epoch;
                    let error = if other_epoch { JoinError::Expired } else { JoinError::Unavailable };
                    let _ = answer.send(Err(error));
                    continue;
                }
                Found::Older | Found::Elsewhere => {
                    let _ = answer.send(Err(JoinError::NotRecent));
                    continue;
                }
            };
            let (events, through) = self.missed(&interest, after, first);
            METRICS.count_replayed(ReplayedFrom::Memory, events.len());
            if through != self.applied {
                let _ = answer.send(Ok(Handover { events, through, then: Then::More }));
            } else if self.routing.is_outside(&interest.filter) {
                let _ = answer.send(Ok(Handover { events, through, then: Then::Left }));
            } else {
                let (sender, live) = mpsc::channel(self.options.queue);
                if answer.send(Ok(Handover { events, through, then: Then::Live(live) })).is_ok() {
                    self.routing.add(Subscriber { interest, live: sender });
                }
            }
        }
    }

    /// The events after the first so many recent ones, as far as one handover goes, and the place up to which it goes.
    fn missed(&mut self, interest: &Interest, after: Place, first: usize) -> (Vec<VisibleEvent>, Place) {
        let (mut events, mut through) = (Vec::new(), after);
        for kept in self.recent.after_first(first).take(EXAMINED_EVENTS) {
            if events.len() == HANDED_EVENTS {
                break;
            }
            through = through.at(kept.event());
            if interest.wants(kept.event())
                && let Some(view) = self.routing.view(kept.event(), interest.filter.viewer)
            {
                events.push(VisibleEvent { shared: kept.share(self.applied.position), view });
            }
        }
        (events, through)
    }

    /// Applies the log up to the latest place that a join has seen in it, and reads the memberships of users who are
    /// new here. Returns the users whose memberships are damaged.
    async fn prepare(&mut self, joins: &[Join]) -> Result<BTreeSet<UserId>, Unavailable> {
        let mut seen = joins.iter().filter_map(|join| join.at_least);
        if seen.any(|place| self.recent.find(place) == Found::Elsewhere) {
            self.refresh(Reason::Gap).await?;
        }
        let is_here = |join: &&Join| matches!(self.recent.find(join.after), Found::Here(_));
        let users = joins.iter().filter(is_here).filter_map(|join| user_of(&join.interest));
        let new: BTreeSet<UserId> = users.filter(|user| !self.routing.knows(*user)).collect();
        let new = Vec::from_iter(new);
        match self.learn(&new).await {
            Ok(()) => Ok(BTreeSet::new()),
            Err(Unavailable::Damaged) => self.learn_one_by_one(&new).await,
            Err(Unavailable::Now) => Err(Unavailable::Now),
        }
    }

    async fn learn(&mut self, new: &[UserId]) -> Result<(), Unavailable> {
        if !new.is_empty() {
            let memberships = self.database.memberships(new).await?;
            self.routing.learn(new, &memberships, self.applied.position);
        }
        Ok(())
    }

    /// Reads the memberships of each of these users by themselves, so that a damaged row of one is not in the way of the
    /// others. Returns those whose memberships are damaged.
    async fn learn_one_by_one(&mut self, new: &[UserId]) -> Result<BTreeSet<UserId>, Unavailable> {
        let mut damaged = BTreeSet::new();
        for user in new {
            match self.learn(&[*user]).await {
                Ok(()) => {}
                Err(Unavailable::Damaged) => {
                    damaged.insert(*user);
                }
                Err(Unavailable::Now) => return Err(Unavailable::Now),
            }
        }
        Ok(damaged)
    }
}

fn user_of(interest: &Interest) -> Option<UserId> {
    match interest.filter.viewer {
        Viewer::User(user) => Some(user),
        Viewer::Service => None,
    }
}
