//! Limits how often each user and each network may do something. Every node counts by itself.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::config::Limits;
use crate::error::Error;
use crate::messaging::{KeyId, UserId};
use crate::network::Network;

/// The pause before a subscription that has used up its rate tries again.
const RENDER_RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The number of checks between two sweeps that remove idle keys.
const CHECKS_PER_SWEEP: usize = 4_096;

/// Fields as which a question about the schema counts. The whole schema is an answer of some 60 KB.
const INTROSPECTED_FIELDS: u64 = 50_000;

/// The rate of one kind of request, counted for each key.
#[derive(Debug)]
struct Rate<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    /// The most that may be counted at once.
    burst: NonZeroU32,
}

impl<K: Hash + Eq + Clone> Rate<K> {
    fn new(quota: Quota, burst: u32) -> Self {
        let burst = positive(burst);
        Self { limiter: RateLimiter::keyed(quota.allow_burst(burst)), burst }
    }
}

fn positive(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)
}

/// Who makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A user who is signed in.
    User(UserId),
    /// A service that acts for nobody. No rate holds for it: its operator gave it the key.
    Service(KeyId),
    /// The network of the client's address, when nobody is signed in.
    Network(Network),
}

/// The rates that this node enforces.
#[derive(Debug)]
pub struct Rates {
    clock: DefaultClock,
    checks: AtomicUsize,
    sends: Rate<UserId>,
    marks: Rate<UserId>,
    conversations: Rate<UserId>,
    invitations: Rate<UserId>,
    /// Invitations by who invites and who is invited.
    pairs: Rate<(UserId, UserId)>,
    /// Registrations and sign-ins by network.
    networks: Rate<Network>,
    /// Sign-ins by network and handle.
    handles: Rate<(Network, String)>,
    /// Fields that are executed.
    fields: Rate<Owner>,
}

impl Rates {
    /// Builds the rates that these limits set.
    pub fn new(limits: &Limits) -> Self {
        let per_second = |n: u32| Rate::new(Quota::per_second(positive(n)), n.saturating_mul(10));
        let per_minute = |n: u32| Quota::per_minute(positive(n));
        // A user with an unused rate can start the largest conversation that is allowed.
        let invitations_burst = limits.invitations_per_minute.saturating_mul(2).max(limits.max_participants);
        // A user with an unused rate can execute the most complex operation that is allowed.
        let max_complexity = u32::try_from(limits.max_complexity).unwrap_or(u32::MAX);
        let fields_burst = limits.fields_per_second.saturating_mul(10).max(max_complexity);
        Self {
            clock: DefaultClock::default(),
            checks: AtomicUsize::new(1),
            sends: per_second(limits.sends_per_second),
            marks: per_second(limits.marks_per_second),
            conversations: Rate::new(
                per_minute(limits.conversations_per_minute),
                limits.conversations_per_minute.saturating_mul(2),
            ),
            invitations: Rate::new(per_minute(limits.invitations_per_minute), invitations_burst),
            pairs: Rate::new(per_minute(limits.invitations_per_person), limits.invitations_per_person),
            networks: Rate::new(
                per_minute(limits.sign_ins_per_minute),
                limits.sign_ins_per_minute.saturating_mul(2),
            ),
            handles: Rate::new(per_minute(limits.sign_ins_per_handle), limits.sign_ins_per_handle),
            fields: Rate::new(Quota::per_second(positive(limits.fields_per_second)), fields_burst),
        }
    }

    /// Counts a message, a redaction, or a change of a conversation's title or metadata.
    pub fn send(&self, user: UserId) -> Result<(), Error> {
        self.check(&self.sends, &user, 1)
    }

    /// Counts a mark, that a user leaves a conversation, or a change of what they keep for themselves of it.
    pub fn mark(&self, user: UserId) -> Result<(), Error> {
        self.check(&self.marks, &user, 1)
    }

    /// Counts the start of a conversation with `others` other people.
    pub fn start(&self, user: UserId, others: usize) -> Result<(), Error> {
        self.check(&self.conversations, &user, 1)?;
        self.invite(user, others)
    }

    /// Counts an invitation of `people` handles, or their removal, whether or not users with these handles exist.
    pub fn invite(&self, user: UserId, people: usize) -> Result<(), Error> {
        self.check(&self.invitations, &user, people)
    }

    /// Counts an invitation of each of these people by this user. The user's own id is not counted.
    pub fn invite_each(&self, user: UserId, people: &[UserId]) -> Result<(), Error> {
        people
            .iter()
            .filter(|person| **person != user)
            .try_for_each(|person| self.check(&self.pairs, &(user, *person), 1))
    }

    /// Counts a registration.
    pub fn register(&self, address: IpAddr) -> Result<(), Error> {
        self.check(&self.networks, &Network::of(address), 1)
    }

    /// Counts a sign-in.
    pub fn sign_in(&self, address: IpAddr, handle: &str) -> Result<(), Error> {
        let network = Network::of(address);
        self.check(&self.networks, &network, 1)?;
        // A handle has at most 32 bytes. The rest of a longer text would only fill memory.
        let handle: String = handle.chars().take(32).collect();
        self.check(&self.handles, &(network, handle), 1)
    }

    /// Counts the reading of a document of so many bytes, each as a field. It takes less time, but a document that is
    /// refused costs its sender nothing more.
    pub fn read(&self, owner: Owner, bytes: usize) -> Result<(), Error> {
        self.execute(owner, self.leaving_room(bytes as u64))
    }

    /// Counts an answer about the schema.
    pub fn introspect(&self, owner: Owner) -> Result<(), Error> {
        self.execute(owner, self.leaving_room(INTROSPECTED_FIELDS))
    }

    /// At most half of what may be counted at once, so that the request can be executed as well, however low the rate is.
    fn leaving_room(&self, fields: u64) -> u64 {
        fields.min(u64::from(self.fields.burst.get()) / 2)
    }

    /// Counts an execution of `fields` fields.
    pub fn execute(&self, owner: Owner, fields: u64) -> Result<(), Error> {
        match owner {
            Owner::Service(_) => Ok(()),
            Owner::User(_) | Owner::Network(_) => {
                self.check(&self.fields, &owner, usize::try_from(fields).unwrap_or(usize::MAX))
            }
        }
    }

    /// Counts an event that a subscription executes, with `fields` fields. Waits until the rate allows it. A
    /// subscription that waits loses nothing: it goes on from its own position.
    pub async fn render(&self, owner: Owner, fields: u64) {
        while let Err(Error::RateLimited { .. }) = self.execute(owner, fields) {
            tokio::time::sleep(RENDER_RETRY_PAUSE).await;
        }
    }

    /// Counts `weight` at once. A weight above the burst counts as the burst.
    fn check<K: Hash + Eq + Clone>(&self, rate: &Rate<K>, key: &K, weight: usize) -> Result<(), Error> {
        if self.checks.fetch_add(1, Ordering::Relaxed).is_multiple_of(CHECKS_PER_SWEEP) {
            self.remove_idle();
        }
        let Some(weight) = NonZeroU32::new(u32::try_from(weight).unwrap_or(u32::MAX)) else { return Ok(()) };
        match rate.limiter.check_key_n(key, weight.min(rate.burst)) {
            Ok(Err(not_until)) => {
                let wait: Duration = not_until.wait_time_from(self.clock.now());
                Err(Error::RateLimited { seconds: wait.as_secs() + 1 })
            }
            // `Err` means that the weight is above the burst, which `min` rules out.
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    fn remove_idle(&self) {
        for users in [&self.sends, &self.marks, &self.conversations, &self.invitations] {
            users.limiter.retain_recent();
        }
        self.pairs.limiter.retain_recent();
        self.networks.limiter.retain_recent();
        self.handles.limiter.retain_recent();
        self.fields.limiter.retain_recent();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServeArgs;
    use crate::random;

    fn somebody() -> UserId {
        UserId(random::id())
    }

    #[test]
    fn a_conversation_costs_as_much_as_it_has_people() {
        let rates = Rates::new(&ServeArgs::default().limits);
        let (many, few) = (somebody(), somebody());
        let started = |user, others| (0..200).take_while(|_| rates.start(user, others).is_ok()).count();
        assert!((1..=5).contains(&started(many, 500)));
        assert!(started(few, 1) >= 100);
        let largest = rates.start(somebody(), 1_000_000);
        assert_eq!(largest, Ok(()), "the largest conversation that is allowed can be started");
    }

    #[test]
    fn repeated_invitations_of_one_person_are_counted_for_each_user_who_invites() {
        let rates = Rates::new(&ServeArgs::default().limits);
        let (user, victim) = (somebody(), somebody());
        let invited = (0..100).take_while(|_| rates.invite_each(user, &[victim, user]).is_ok()).count();
        assert_eq!(invited, 10);
        let refused = rates.invite_each(user, &[victim]);
        assert!(matches!(refused, Err(Error::RateLimited { seconds: 1..=10 })), "{refused:?}");
        assert_eq!(rates.invite_each(user, &[somebody()]), Ok(()));
        assert_eq!(rates.invite_each(somebody(), &[victim]), Ok(()));
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let rates = Rates::new(&ServeArgs::default().limits);
        let registered = (0_u16..)
            .map(|host| IpAddr::from([0x2001, 0xdb8, 0, 0, host, host, host, host]))
            .take_while(|address| rates.register(*address).is_ok())
            .take(1_000)
            .count();
        assert!(registered < 1_000);
        assert_eq!(rates.register("2001:db8:0:1::1".parse().unwrap()), Ok(()));
    }
}
