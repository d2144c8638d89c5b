//! What each address holds: connections, sockets on which nobody is signed in, and bytes of what is not whole yet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::config::Limits;
use crate::network::Network;

/// The share of all connections that one address may have when no number is given: three of four.
const SHARE: (usize, usize) = (3, 4);

/// What an address may hold.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    connections: usize,
    anonymous: usize,
    bytes: usize,
}

/// Accounts of the addresses that hold something.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    bounds: Bounds,
    // A `std` mutex: held for one look, never across an await.
    accounts: Arc<Mutex<HashMap<Network, Weak<Account>>>>,
}

impl Addresses {
    pub(super) fn new(limits: &Limits) -> Self {
        let (some, of) = SHARE;
        let share = limits.max_connections.saturating_mul(some).div_ceil(of);
        let bounds = Bounds {
            connections: limits.max_connections_per_address.unwrap_or(share),
            anonymous: limits.max_anonymous_sockets,
            // One message is always let in.
            bytes: limits.max_unfinished_bytes.max(limits.max_body_bytes + limits.max_header_bytes),
        };
        Self { bounds, accounts: Arc::default() }
    }

    /// The account of a network. It is kept for as long as something is on it.
    pub(super) fn account(&self, network: Network) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(&network).and_then(Weak::upgrade) {
            return account;
        }
        let account = Arc::new(Account {
            network,
            addresses: self.clone(),
            connections: AtomicUsize::new(0),
            anonymous: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        });
        accounts.insert(network, Arc::downgrade(&account));
        account
    }
}

/// What one address holds.
#[derive(Debug)]
pub(super) struct Account {
    network: Network,
    addresses: Addresses,
    connections: AtomicUsize,
    anonymous: AtomicUsize,
    bytes: AtomicUsize,
}

/// What a [`Place`] is among.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Connection,
    Anonymous,
}

/// A place on an address's account. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    account: Arc<Account>,
    kind: Kind,
}

impl Account {
    /// A place for a connection; `None` when the address has as many as it may.
    pub(super) fn connection(self: &Arc<Self>) -> Option<Place> {
        self.place(Kind::Connection, self.addresses.bounds.connections)
    }

    /// A place for a socket on which nobody is signed in; `None` when the address has as many as it may.
    pub(super) fn anonymous(self: &Arc<Self>) -> Option<Place> {
        self.place(Kind::Anonymous, self.addresses.bounds.anonymous)
    }

    fn place(self: &Arc<Self>, kind: Kind, most: usize) -> Option<Place> {
        let one_more = |count: usize| (count < most).then_some(count + 1);
        self.count(kind).fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Place { account: Arc::clone(self), kind })
    }

    fn count(&self, kind: Kind) -> &AtomicUsize {
        match kind {
            Kind::Connection => &self.connections,
            Kind::Anonymous => &self.anonymous,
        }
    }

    /// Counts bytes in; whether there are no more than there may be.
    pub(super) fn add_bytes(&self, bytes: usize) -> bool {
        self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.addresses.bounds.bytes
    }

    /// Counts bytes out again.
    pub(super) fn remove_bytes(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let mut accounts = self.addresses.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have opened a new account between the last place and this.
        if accounts.get(&self.network).is_some_and(|account| account.strong_count() == 0) {
            accounts.remove(&self.network);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.account.count(self.kind).fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServeArgs;

    #[test]
    fn an_address_has_so_many_places_and_leaves_nothing_behind() {
        let limits = Limits { max_connections: 4, max_anonymous_sockets: 1, ..ServeArgs::default().limits };
        let addresses = Addresses::new(&limits);
        let network = |last: u8| Network::of([192, 0, 2, last].into());
        let account = addresses.account(network(1));
        let places: Vec<_> = (0..4).map_while(|_| account.connection()).collect();
        assert_eq!(places.len(), 3, "three of four");
        let anonymous = account.anonymous();
        assert!(anonymous.is_some() && addresses.account(network(1)).anonymous().is_none());
        assert!(addresses.account(network(2)).anonymous().is_some());
        drop((account, anonymous));
        assert!(addresses.account(network(1)).connection().is_none());
        drop(places);
        assert!(addresses.accounts.lock().unwrap().is_empty());
    }
}
