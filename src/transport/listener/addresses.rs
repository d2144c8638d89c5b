//! What each address holds at present: connections, sockets on which nobody is signed in, and the bytes of messages and
//! requests that have arrived only in part.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::config::Limits;
use crate::network::Network;

/// The share of all connections that one address may hold by default: three quarters.
const DEFAULT_SHARE: (usize, usize) = (3, 4);

/// The most that one address may hold.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    connections: usize,
    anonymous_sockets: usize,
    bytes: usize,
}

/// The accounts of all addresses that hold something. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    bounds: Bounds,
    // This is a `std` mutex because nobody holds it across an await.
    accounts: Arc<Mutex<HashMap<Network, Weak<Account>>>>,
}

impl Addresses {
    pub(in crate::transport) fn new(limits: &Limits) -> Self {
        let (numerator, denominator) = DEFAULT_SHARE;
        let default_connections = limits.max_connections.saturating_mul(numerator).div_ceil(denominator);
        let bounds = Bounds {
            connections: limits.max_connections_per_address.unwrap_or(default_connections),
            anonymous_sockets: limits.max_anonymous_sockets,
            // One message of the largest size always fits.
            bytes: limits.max_unfinished_bytes.max(limits.max_body_bytes + limits.max_header_bytes),
        };
        Self { bounds, accounts: Arc::default() }
    }

    /// The account of a network. It exists for as long as somebody holds it or a place on it.
    pub(in crate::transport) fn account(&self, network: Network) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(&network).and_then(Weak::upgrade) {
            return account;
        }
        let account = Arc::new(Account {
            network,
            addresses: self.clone(),
            connections: AtomicUsize::new(0),
            anonymous_sockets: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        });
        accounts.insert(network, Arc::downgrade(&account));
        account
    }
}

/// What one address holds.
#[derive(Debug)]
pub(in crate::transport) struct Account {
    network: Network,
    addresses: Addresses,
    connections: AtomicUsize,
    anonymous_sockets: AtomicUsize,
    bytes: AtomicUsize,
}

/// What a [`Place`] counts as.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Connection,
    AnonymousSocket,
}

/// A place on an address's account. Dropping it frees the place.
#[derive(Debug)]
pub(in crate::transport) struct Place {
    account: Arc<Account>,
    kind: Kind,
}

impl Account {
    /// Takes a place for a connection, or for a request behind a proxy. `None` means that the address has no place
    /// left.
    pub(in crate::transport) fn take_connection(self: &Arc<Self>) -> Option<Place> {
        self.take(Kind::Connection, self.addresses.bounds.connections)
    }

    /// Takes a place for a socket on which nobody is signed in. `None` means that the address has no place left.
    pub(in crate::transport) fn take_anonymous_socket(self: &Arc<Self>) -> Option<Place> {
        self.take(Kind::AnonymousSocket, self.addresses.bounds.anonymous_sockets)
    }

    fn take(self: &Arc<Self>, kind: Kind, max: usize) -> Option<Place> {
        let one_more = |count: usize| (count < max).then_some(count + 1);
        self.count(kind).fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Place { account: Arc::clone(self), kind })
    }

    fn count(&self, kind: Kind) -> &AtomicUsize {
        match kind {
            Kind::Connection => &self.connections,
            Kind::AnonymousSocket => &self.anonymous_sockets,
        }
    }

    /// Adds bytes to the account, and tells whether the sum is within the bound. Whoever adds bytes removes them again.
    pub(super) fn add_bytes(&self, bytes: usize) -> bool {
        self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.addresses.bounds.bytes
    }

    /// Removes bytes that [`Self::add_bytes`] added.
    pub(super) fn remove_bytes(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let mut accounts = self.addresses.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        // Another task may have opened a new account since the last place was dropped.
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
    fn an_address_has_a_bounded_number_of_places_and_its_account_ends_with_them() {
        let limits = Limits { max_connections: 4, max_anonymous_sockets: 1, ..ServeArgs::default().limits };
        let addresses = Addresses::new(&limits);
        let network = |last: u8| Network::of([192, 0, 2, last].into());
        let account = addresses.account(network(1));
        let places: Vec<_> = (0..4).map_while(|_| account.take_connection()).collect();
        assert_eq!(places.len(), 3, "three quarters of four");
        let anonymous = account.take_anonymous_socket();
        assert!(anonymous.is_some() && addresses.account(network(1)).take_anonymous_socket().is_none());
        assert!(addresses.account(network(2)).take_anonymous_socket().is_some());
        drop((account, anonymous));
        assert!(addresses.account(network(1)).take_connection().is_none());
        drop(places);
        assert!(addresses.accounts.lock().unwrap().is_empty());
    }
}
