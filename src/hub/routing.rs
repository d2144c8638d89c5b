//! Who on this node is to be handed which event: a table that follows the log as the log grows.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::mpsc::{self, error::TrySendError};

use super::{RenderedEvent, VisibleEvent};
use crate::log::{ConversationFilter, Membership, SubscriptionFilter};
use crate::messaging::{ConversationId, Event, Interval, Origin, Position, UserId, view};
use crate::metrics::METRICS;

/// One subscription, seen from the hub.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) filter: SubscriptionFilter,
    pub(super) origin: Option<Origin>,
    pub(super) live: mpsc::Sender<VisibleEvent>,
}

impl Subscriber {
    fn wants(&self, event: &Event) -> bool {
        self.filter.kinds.hold(event)
            && match self.filter.conversations {
                ConversationFilter::All => true,
                ConversationFilter::Conversation(conversation) => conversation == event.conversation,
            }
            && (self.origin.is_none() || self.origin != event.origin)
    }

    /// Hands an event over. `false` when the subscriber is to be let go: it is gone, or its queue is full and
    /// it goes back to the log from its own position.
    fn offer(&self, seen: &VisibleEvent) -> bool {
        if !self.wants(&seen.shared.event) {
            return true;
        }
        let offered = self.live.try_send(seen.clone());
        if let Err(TrySendError::Full(_)) = &offered {
            METRICS.overflows.inc();
        }
        offered.is_ok()
    }
}

/// The users with a subscriber on this node, and everything they take part in.
#[derive(Debug, Default)]
pub(super) struct Routing {
    users: HashMap<UserId, LocalUser>,
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

    /// Takes in users with all that they take part in, read from the log at `applied` or later: what happened
    /// after `applied` is left out, because it is still to be routed.
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

    /// Whether the user takes part in the conversation now.
    pub(super) fn takes_part(&self, user: UserId, conversation: ConversationId) -> bool {
        self.conversations
            .get(&conversation)
            .and_then(|participants| participants.get(&user))
            .is_some_and(|intervals| intervals.iter().any(|interval| interval.left.is_none()))
    }

    /// Adds a subscriber of a known user.
    pub(super) fn add(&mut self, subscriber: Subscriber) {
        self.users.entry(subscriber.filter.viewer).or_default().subscribers.push(subscriber);
    }

    /// Hands an event to everyone who may see it and wants to.
    pub(super) fn route(&mut self, shared: &Arc<RenderedEvent>) {
        let event = &shared.event;
        for user in event.change.joining() {
            if self.users.contains_key(user) {
                self.enter(event.conversation, *user, Interval { joined: event.position, left: None });
            }
        }
        let leaving = event.change.leaving(&event.actor);
        // Closed before the event is handed over: whoever leaves sees the conversation as of their leaving.
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
        // Whoever follows just this conversation is let go: it finds that there is nothing more to come.
        if let Some(local) = self.users.get_mut(&user) {
            let gone = ConversationFilter::Conversation(event.conversation);
            local.subscribers.retain(|subscriber| subscriber.filter.conversations != gone);
        }
    }

    /// Forgets subscribers that are gone, and users without any.
    pub(super) fn sweep(&mut self) {
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
