//! Limits how often each user and each address may do something. Every node counts for itself.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::config::Limits;
use crate::error::Error;
use crate::messaging::UserId;
use crate::network::Network;

/// The pause before a subscription that has used up its rate tries again.
const RENDER_RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The number of checks between two sweeps that remove idle keys.
const CHECKS_PER_SWEEP: usize = 4_096;

/// The counts of one kind, and how much may be counted at once.
#[derive(Debug)]
struct Rate<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    at_once: NonZeroU32,
}

impl<K: Hash + Eq + Clone> Rate<K> {
    fn new(quota: Quota, at_once: u32) -> Self {
        let at_once = positive(at_once);
        Self { limiter: RateLimiter::keyed(quota.allow_burst(at_once)), at_once }
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
    /// The network of the address, where nobody is signed in.
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
    pairs: Rate<(UserId, UserId)>,
    addresses: Rate<Network>,
    handles: Rate<(Network, String)>,
    fields: Rate<Owner>,
}

impl Rates {
    /// Builds the rates that these limits set.
    pub fn new(limits: &Limits) -> Self {
        let per_second = |n: u32| Rate::new(Quota::per_second(positive(n)), n.saturating_mul(10));
        let per_minute = |n: u32, at_once: u32| (Quota::per_minute(positive(n)), at_once);
        let twice = |n: u32| per_minute(n, n.saturating_mul(2));
        // A user with an unused rate can start the largest conversation that is allowed.
        let (invitations, at_once) = twice(limits.invitations_per_minute);
        let at_once = at_once.max(limits.max_participants);
        let (conversations, conversations_at_once) = twice(limits.conversations_per_minute);
        let (addresses, addresses_at_once) = twice(limits.sign_ins_per_minute);
        // A user with an unused rate can execute the dearest operation that is allowed.
        let fields = Quota::per_second(positive(limits.fields_per_second));
        let dearest = u32::try_from(limits.max_complexity).unwrap_or(u32::MAX);
        let fields_at_once = limits.fields_per_second.saturating_mul(10).max(dearest);
        let each = |n: u32| per_minute(n, n);
        let (pairs, pairs_at_once) = each(limits.invitations_per_person);
        let (handles, handles_at_once) = each(limits.sign_ins_per_handle);
        Self {
            clock: DefaultClock::default(),
            checks: AtomicUsize::new(1),
            sends: per_second(limits.sends_per_second),
            marks: per_second(limits.marks_per_second),
            conversations: Rate::new(conversations, conversations_at_once),
            invitations: Rate::new(invitations, at_once),
            pairs: Rate::new(pairs, pairs_at_once),
            addresses: Rate::new(addresses, addresses_at_once),
            handles: Rate::new(handles, handles_at_once),
            fields: Rate::new(fields, fields_at_once),
        }
    }

    /// Counts a message.
    pub fn send(&self, user: UserId) -> Result<(), Error> {
        self.check(&self.sends, &user, 1)
    }

    /// Counts a mark, or a leaving.
    pub fn mark(&self, user: UserId) -> Result<(), Error> {
        self.check(&self.marks, &user, 1)
    }

    /// Counts the start of a conversation with `others` other people.
    pub fn start(&self, user: UserId, others: usize) -> Result<(), Error> {
        self.check(&self.conversations, &user, 1)?;
        self.invite(user, others)
    }

    /// Counts an invitation of `people` handles, whether or not somebody has them.
    pub fn invite(&self, user: UserId, people: usize) -> Result<(), Error> {
        self.check(&self.invitations, &user, people)
    }

    /// Counts for each of these people that this user invites them, into a new conversation or into one that they left.
    pub fn invite_each(&self, user: UserId, people: &[UserId]) -> Result<(), Error> {
        people
            .iter()
            .filter(|person| **person != user)
            .try_for_each(|person| self.check(&self.pairs, &(user, *person), 1))
    }

    /// Counts a registration.
    pub fn register(&self, address: IpAddr) -> Result<(), Error> {
        self.check(&self.addresses, &Network::of(address), 1)
    }

    /// Counts a sign-in.
    pub fn sign_in(&self, address: IpAddr, handle: &str) -> Result<(), Error> {
        let network = Network::of(address);
        self.check(&self.addresses, &network, 1)?;
        // A handle has at most 32 bytes. The rest of a longer text would only fill memory.
        let handle: String = handle.chars().take(32).collect();
        self.check(&self.handles, &(network, handle), 1)
    }

    /// Counts an execution of `fields` fields.
    pub fn execute(&self, owner: Owner, fields: u64) -> Result<(), Error> {
        self.check(&self.fields, &owner, usize::try_from(fields).unwrap_or(usize::MAX))
    }

    /// Counts an event that a subscription executes, with `fields` fields. Waits until the rate allows it. A
    /// subscription that waits loses nothing: it goes on from its own position.
    pub async fn render(&self, user: UserId, fields: u64) {
        while let Err(Error::RateLimited { .. }) = self.execute(Owner::User(user), fields) {
            tokio::time::sleep(RENDER_RETRY_PAUSE).await;
        }
    }

    /// Counts `weight` at once. A weight above the most that may be counted at once counts as that much.
    fn check<K: Hash + Eq + Clone>(&self, rate: &Rate<K>, key: &K, weight: usize) -> Result<(), Error> {
        if self.checks.fetch_add(1, Ordering::Relaxed).is_multiple_of(CHECKS_PER_SWEEP) {
            self.forget_the_idle();
        }
        let Some(weight) = NonZeroU32::new(u32::try_from(weight).unwrap_or(u32::MAX)) else { return Ok(()) };
        match rate.limiter.check_key_n(key, weight.min(rate.at_once)) {
            Ok(Err(not_until)) => {
                let wait: Duration = not_until.wait_time_from(self.clock.now());
                Err(Error::RateLimited { seconds: wait.as_secs() + 1 })
            }
            // `Err` means that the weight is above the most at once, which `min` rules out.
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    fn forget_the_idle(&self) {
        for users in [&self.sends, &self.marks, &self.conversations, &self.invitations] {
            users.limiter.retain_recent();
        }
        self.pairs.limiter.retain_recent();
        self.addresses.limiter.retain_recent();
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
        assert_eq!(largest, Ok(()), "the largest that is allowed can be started");
    }

    #[test]
    fn whoever_is_invited_again_and_again_is_counted_by_who_invites_them() {
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
