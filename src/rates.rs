//! How often someone may do what: counted on this node, per user and per address.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::error::Error;
use crate::messaging::UserId;

/// Checks after which keys that are long idle are forgotten.
const SWEEP: usize = 4_096;

/// The rates that are enforced.
#[derive(Debug)]
pub struct Rates {
    clock: DefaultClock,
    checks: AtomicUsize,
    sends: DefaultKeyedRateLimiter<UserId>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    handles: DefaultKeyedRateLimiter<(IpAddr, String)>,
}

impl Rates {
    /// Messages per second and user, sign-ins per minute and address, and of these to one handle.
    pub fn new(sends_per_second: u32, sign_ins_per_minute: u32, sign_ins_per_handle: u32) -> Self {
        let n = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let sends =
            Quota::per_second(n(sends_per_second)).allow_burst(n(sends_per_second.saturating_mul(10)));
        let addresses =
            Quota::per_minute(n(sign_ins_per_minute)).allow_burst(n(sign_ins_per_minute.saturating_mul(2)));
        Self {
            clock: DefaultClock::default(),
            checks: AtomicUsize::new(1),
            sends: RateLimiter::keyed(sends),
            addresses: RateLimiter::keyed(addresses),
            handles: RateLimiter::keyed(Quota::per_minute(n(sign_ins_per_handle))),
        }
    }

    /// Counts a message.
    pub fn send(&self, user: UserId) -> Result<(), Error> {
        self.check(&self.sends, &user)
    }

    /// Counts a registration.
    pub fn register(&self, address: IpAddr) -> Result<(), Error> {
        self.check(&self.addresses, &address)
    }

    /// Counts a sign-in.
    pub fn sign_in(&self, address: IpAddr, handle: &str) -> Result<(), Error> {
        self.check(&self.addresses, &address)?;
        // A handle is at most 32 bytes; more of a wrong one would only fill memory.
        let handle: String = handle.chars().take(32).collect();
        self.check(&self.handles, &(address, handle))
    }

    fn check<K>(&self, limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), Error>
    where
        K: std::hash::Hash + Eq + Clone,
    {
        if self.checks.fetch_add(1, Ordering::Relaxed).is_multiple_of(SWEEP) {
            limiter.retain_recent();
        }
        limiter.check_key(key).map_err(|not_until| {
            let wait: Duration = not_until.wait_time_from(self.clock.now());
            Error::RateLimited { seconds: wait.as_secs() + 1 }
        })
    }
}
