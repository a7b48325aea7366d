//! The connections of one address, and of one API key.
//!
//! One client must not take all connections of the server. Until a connection has
//! sent a valid API key it counts for its address, and then for the key: the
//! machines of one owner, or many of them behind one address, share a limit. As the
//! server's connections become few, none of them takes the last: an address or a
//! key may hold a multiple of those that are free, so the first gets four fifths of
//! all, a second one four fifths of the rest.
//! Clients on this machine share one address, as do all clients behind a local
//! proxy, so loopback addresses are exempt unless the operator says otherwise.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use orwd_limiter::{KeyedPermit, KeyedSemaphore};
use orwd_session::Principal;

use super::client_network::client_network;

/// The number of connections from one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerAddressLimit {
    /// The connections at once; a further one is closed.
    pub connections: usize,
    /// Whether the addresses of this machine are limited, too.
    pub count_loopback: bool,
}

/// How many connections an address or a key may hold for each that is free.
const PER_FREE_CONNECTION: usize = 4;

/// The connections of the server.
#[derive(Debug)]
struct ServerConnections {
    most: usize,
    open: AtomicUsize,
}

impl ServerConnections {
    /// Returns how many a client may hold that wants another one, of which there are
    /// `own` open already.
    fn share(&self, own: usize) -> usize {
        let others = self.open.load(Ordering::Relaxed).saturating_sub(own);
        let free = self.most.saturating_sub(others);
        free.saturating_mul(PER_FREE_CONNECTION)
    }
}

/// Counts the open connections of each address and of each key.
#[derive(Debug)]
pub(crate) struct ConnectionLimiter {
    server: Arc<ServerConnections>,
    count_loopback: bool,
    of_address: Arc<KeyedSemaphore<IpAddr>>,
    of_key: Arc<KeyedSemaphore<Arc<str>>>,
}

/// The place of an open connection.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    server: Arc<ServerConnections>,
    of_key: Arc<KeyedSemaphore<Arc<str>>>,
    counted: Mutex<CountedFor>,
}

/// Whom a connection counts for.
#[derive(Debug)]
enum CountedFor {
    /// Nobody: its address is exempt.
    Nobody,
    /// Its address.
    Address { _permit: KeyedPermit<IpAddr> },
    /// The key of its requests.
    Key {
        name: Arc<str>,
        _permit: KeyedPermit<Arc<str>>,
    },
}

/// An address has reached its limit, or its share of what is left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AddressLimitReached;

/// An API key has reached its limit, or its share of what is left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeyLimitReached;

impl ConnectionLimiter {
    /// Limits the connections of a server that has at most `most`.
    pub(crate) fn new(most: usize, limit: PerAddressLimit, per_key: usize) -> ConnectionLimiter {
        ConnectionLimiter {
            server: Arc::new(ServerConnections {
                most,
                open: AtomicUsize::new(0),
            }),
            count_loopback: limit.count_loopback,
            of_address: KeyedSemaphore::new(limit.connections),
            of_key: KeyedSemaphore::new(per_key),
        }
    }

    /// Takes the permit for a connection from this address.
    pub(crate) fn admit(&self, address: IpAddr) -> Result<ConnectionPermit, AddressLimitReached> {
        let address = client_network(address);
        let counted = if address.is_loopback() && !self.count_loopback {
            CountedFor::Nobody
        } else {
            let share = self.server.share(0);
            let permit = self.of_address.try_acquire_below(address, share);
            CountedFor::Address {
                _permit: permit.ok_or(AddressLimitReached)?,
            }
        };
        self.server.open.fetch_add(1, Ordering::Relaxed);
        Ok(ConnectionPermit {
            server: self.server.clone(),
            of_key: self.of_key.clone(),
            counted: Mutex::new(counted),
        })
    }
}

impl ConnectionPermit {
    /// Counts the connection for the key of a request, and no more for its
    /// address. Without keys nothing changes.
    pub(crate) fn count_for(&self, principal: &Principal) -> Result<(), KeyLimitReached> {
        let Principal::Named(key) = principal else {
            return Ok(());
        };
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*counted, CountedFor::Key { name, .. } if name == key) {
            return Ok(());
        }
        let share = self.server.share(1);
        let permit = self.of_key.try_acquire_below(key.clone(), share);
        *counted = CountedFor::Key {
            name: key.clone(),
            _permit: permit.ok_or(KeyLimitReached)?,
        };
        Ok(())
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.server.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(connections: usize, count_loopback: bool) -> ConnectionLimiter {
        let limit = PerAddressLimit {
            connections,
            count_loopback,
        };
        ConnectionLimiter::new(10_000, limit, 2)
    }

    #[test]
    fn one_address_or_key_leaves_connections_for_others() {
        let limit = PerAddressLimit {
            connections: 1000,
            count_loopback: false,
        };
        let limiter = ConnectionLimiter::new(100, limit, 1000);
        let fill = |address: &str, key: Option<&str>| {
            let mut held = Vec::new();
            while let Ok(permit) = limiter.admit(address.parse().unwrap()) {
                let principal = Principal::of(key);
                if held.len() == 100 || permit.count_for(&principal).is_err() {
                    break;
                }
                held.push(permit);
            }
            held
        };
        let first = fill("10.0.0.1", None);
        let second = fill("10.0.0.2", None);
        assert_eq!((first.len(), second.len()), (80, 16));
        assert!(limiter.admit("10.0.0.3".parse().unwrap()).is_ok());
        drop((first, second));
        let key = fill("10.0.0.1", Some("mallory"));
        assert_eq!(key.len(), 80, "it is the same for a key");
        drop(key);
        assert_eq!(fill("127.0.0.1", None).len(), 100, "this machine is exempt");
        assert_eq!(limiter.server.open.load(Ordering::Relaxed), 0);
        let only = ConnectionLimiter::new(1, limit, 1000);
        let permit = only.admit("10.0.0.1".parse().unwrap()).unwrap();
        permit.count_for(&Principal::of(Some("alice"))).unwrap();
    }

    #[test]
    fn addresses_of_one_network_share_a_limit() {
        for (one, other, same) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("2001:db8::1", "2001:db8::ffff", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("127.0.0.1", "::1", false),
        ] {
            let limiter = limiter(1, true);
            let _permit = limiter.admit(one.parse().unwrap()).unwrap();
            let second = limiter.admit(other.parse().unwrap());
            assert_eq!(second.is_err(), same, "{one} and {other}");
        }
    }

    #[test]
    fn a_closed_connection_releases_its_permit() {
        let limiter = limiter(2, false);
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        let first = limiter.admit(address).unwrap();
        let second = limiter.admit(address).unwrap();
        assert_eq!(limiter.admit(address).unwrap_err(), AddressLimitReached);
        drop(first);
        let third = limiter.admit(address).unwrap();
        assert!(limiter.admit(address).is_err());
        drop((second, third));
        assert!(limiter.of_address.is_unused());
    }

    #[test]
    fn loopback_is_exempt_unless_counted() {
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            let address: IpAddr = address.parse().unwrap();
            let exempt = limiter(1, false);
            let permits: Vec<_> = (0..100).map(|_| exempt.admit(address).unwrap()).collect();
            assert!(exempt.of_address.is_unused());
            drop(permits);
            let counted = limiter(1, true);
            let _permit = counted.admit(address).unwrap();
            assert!(counted.admit(address).is_err());
        }
    }

    #[test]
    fn a_connection_with_a_key_counts_for_the_key() {
        let limiter = limiter(1, true);
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        let [alice, bob] = ["alice", "bob"].map(|name| Principal::Named(name.into()));
        // More than the address may have, since each moves on to its key.
        let mut open: Vec<ConnectionPermit> = (0..2)
            .map(|_| {
                let permit = limiter.admit(address).unwrap();
                permit.count_for(&alice).unwrap();
                permit.count_for(&alice).unwrap();
                permit
            })
            .collect();
        let third = limiter.admit(address).unwrap();
        assert_eq!(third.count_for(&alice), Err(KeyLimitReached));
        assert!(limiter.admit(address).is_err(), "it counts for its address");
        third.count_for(&Principal::Anyone).unwrap();
        third.count_for(&bob).unwrap();
        open.pop();
        third.count_for(&alice).unwrap();
        drop((open, third));
        assert!(limiter.of_address.is_unused() && limiter.of_key.is_unused());
    }
}
