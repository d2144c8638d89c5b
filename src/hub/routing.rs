//! The routing table: which subscriber of this node gets which event. It changes with the events that it routes.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::mpsc::{self, error::TrySendError};

use super::{RenderedEvent, VisibleEvent};
use crate::log::{ConversationFilter, Membership, SubscriptionFilter, Viewer};
use crate::messaging::{ConversationId, Event, Interval, Origin, Position, UserId, View, view};
use crate::metrics::METRICS;

/// The events that a subscriber asks for, of those that its viewer may see.
#[derive(Debug, Clone)]
pub(super) struct Interest {
    pub(super) filter: SubscriptionFilter,
    /// The connection whose own events are left out.
    pub(super) origin: Option<Origin>,
}

impl Interest {
    pub(super) fn wants(&self, event: &Event) -> bool {
        self.filter.kinds.hold(event)
            && match self.filter.conversations {
                ConversationFilter::All => true,
                ConversationFilter::Conversation(conversation) => conversation == event.conversation,
            }
            && (self.origin.is_none() || self.origin != event.origin)
    }
}

/// One subscription, as the hub sees it.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) interest: Interest,
    pub(super) live: mpsc::Sender<VisibleEvent>,
}

impl Subscriber {
    /// Queues an event for the subscriber, if it wants the event. `false` when the subscriber is to be dropped: it is
    /// gone, or its queue is full. In the second case the subscriber goes on from its own position.
    fn offer(&self, seen: &VisibleEvent) -> bool {
        if !self.interest.wants(&seen.shared.event) {
            return true;
        }
        let offered = self.live.try_send(seen.clone());
        if let Err(TrySendError::Full(_)) = &offered {
            METRICS.overflows.inc();
        }
        offered.is_ok()
    }
}

/// The users with a subscriber on this node, and the conversations that they take or took part in.
#[derive(Debug, Default)]
pub(super) struct Routing {
    users: HashMap<UserId, LocalUser>,
    /// The subscribers who are told everything.
    services: Vec<Subscriber>,
    conversations: HashMap<ConversationId, HashMap<UserId, Vec<Interval>>>,
}

#[derive(Debug, Default)]
struct LocalUser {
    subscribers: Vec<Subscriber>,
    conversations: HashSet<ConversationId>,
}

impl Routing {
    pub(super) fn knows(&self, user: UserId) -> bool {
        self.users.contains_key(&user)
    }

    /// Adds users with their memberships, which were read from the log at `applied` or later. Joins and leaves after
    /// `applied` are left out, because their events are still to be routed.
    pub(super) fn learn(&mut self, users: &[UserId], memberships: &[Membership], applied: Position) {
        for user in users {
            self.users.entry(*user).or_default();
        }
        for membership in memberships.iter().filter(|m| m.interval.joined <= applied) {
            let Interval { joined, left } = membership.interval;
            let left = left.filter(|left| *left <= applied);
            self.enter(membership.conversation, membership.user, Interval { joined, left });
        }
    }

    /// What a service, or a known user, sees of an event that was routed.
    pub(super) fn view(&self, event: &Event, viewer: Viewer) -> Option<View> {
        let Viewer::User(user) = viewer else { return View::of_service(event) };
        view(event, user, self.conversations.get(&event.conversation)?.get(&user)?)
    }

    /// Whether a known user takes no part, now, in the one conversation that they want to follow.
    pub(super) fn is_outside(&self, filter: &SubscriptionFilter) -> bool {
        let ConversationFilter::Conversation(conversation) = filter.conversations else { return false };
        let Viewer::User(user) = filter.viewer else { return false };
        let participants = self.conversations.get(&conversation);
        let intervals = participants.and_then(|participants| participants.get(&user));
        intervals.is_none_or(|intervals| intervals.iter().all(|interval| interval.left.is_some()))
    }

    /// Adds a subscriber of a service or of a known user.
    pub(super) fn add(&mut self, subscriber: Subscriber) {
        let subscribers = match subscriber.interest.filter.viewer {
            Viewer::User(user) => &mut self.users.entry(user).or_default().subscribers,
            Viewer::Service => &mut self.services,
        };
        subscribers.push(subscriber);
    }

    /// Queues an event for every subscriber that may see it and wants it.
    pub(super) fn route(&mut self, shared: &Arc<RenderedEvent>) {
        let event = &shared.event;
        for user in event.change.joining() {
            if self.users.contains_key(user) {
                self.enter(event.conversation, *user, Interval { joined: event.position, left: None });
            }
        }
        let leaving = event.change.leaving(&event.actor);
        // The interval ends before the event is delivered: a user who leaves sees the conversation as of this event.
        for user in leaving {
            self.close(event, *user);
        }
        if let Some(participants) = self.conversations.get(&event.conversation) {
            for (user, intervals) in participants {
                if let Some(view) = view(event, *user, intervals)
                    && let Some(local) = self.users.get_mut(user)
                {
                    let seen = VisibleEvent { shared: Arc::clone(shared), view };
                    local.subscribers.retain(|subscriber| subscriber.offer(&seen));
                }
            }
        }
        for user in leaving {
            self.let_go(event, *user);
        }
        if let Some(view) = View::of_service(event) {
            let seen = VisibleEvent { shared: Arc::clone(shared), view };
            self.services.retain(|subscriber| subscriber.offer(&seen));
        }
    }

    fn enter(&mut self, conversation: ConversationId, user: UserId, interval: Interval) {
        self.conversations.entry(conversation).or_default().entry(user).or_default().push(interval);
        if let Some(local) = self.users.get_mut(&user) {
            local.conversations.insert(conversation);
        }
    }

    fn close(&mut self, event: &Event, user: UserId) {
        let intervals = self
            .conversations
            .get_mut(&event.conversation)
            .and_then(|participants| participants.get_mut(&user));
        for interval in intervals.into_iter().flatten().filter(|interval| interval.left.is_none()) {
            interval.left = Some(event.position);
        }
    }

    fn let_go(&mut self, event: &Event, user: UserId) {
        // A subscriber to this conversation alone is dropped. It finds in the log that it gets no more events.
        if let Some(local) = self.users.get_mut(&user) {
            let gone = ConversationFilter::Conversation(event.conversation);
            local.subscribers.retain(|subscriber| subscriber.interest.filter.conversations != gone);
        }
    }

    /// Removes subscribers that are gone, and users without subscribers.
    pub(super) fn sweep(&mut self) {
        self.services.retain(|subscriber| !subscriber.live.is_closed());
        let mut idle = Vec::new();
        for (user, local) in &mut self.users {
            local.subscribers.retain(|subscriber| !subscriber.live.is_closed());
            if local.subscribers.is_empty() {
                idle.push(*user);
            }
        }
        for user in idle {
            let conversations = self.users.remove(&user).map(|local| local.conversations).unwrap_or_default();
            for participants in conversations {
                if let Entry::Occupied(mut entry) = self.conversations.entry(participants) {
                    entry.get_mut().remove(&user);
                    if entry.get().is_empty() {
                        entry.remove();
                    }
                }
            }
        }
    }
}
