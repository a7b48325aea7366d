//! The per-address connection limit.
//!
//! One client must not take all connections of the server. Clients on this
//! machine share one address, as do all clients behind a local proxy, so loopback
//! addresses are exempt unless the operator says otherwise.

use std::net::IpAddr;
use std::sync::Arc;

use orwd_limiter::{KeyedPermit, KeyedSemaphore};

use super::client_network::client_network;

/// The number of connections from one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerAddressLimit {
    /// The connections at once; a further one is closed.
    pub connections: usize,
    /// Whether the addresses of this machine are limited, too.
    pub count_loopback: bool,
}

/// Counts the open connections of each address.
#[derive(Debug)]
pub(crate) struct ConnectionLimiter {
    count_loopback: bool,
    open: Arc<KeyedSemaphore<IpAddr>>,
}

/// Held while a connection is open; `None` for an exempt address.
pub(crate) type ConnectionPermit = Option<KeyedPermit<IpAddr>>;

/// An address has reached its limit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AddressLimitReached;

impl ConnectionLimiter {
    pub(crate) fn new(limit: PerAddressLimit) -> ConnectionLimiter {
        ConnectionLimiter {
            count_loopback: limit.count_loopback,
            open: KeyedSemaphore::new(limit.connections),
        }
    }

    /// Takes the permit for a connection from this address.
    pub(crate) fn admit(&self, address: IpAddr) -> Result<ConnectionPermit, AddressLimitReached> {
        let address = client_network(address);
        if address.is_loopback() && !self.count_loopback {
            return Ok(None);
        }
        let permit = self.open.try_acquire(address);
        permit.map(Some).ok_or(AddressLimitReached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(connections: usize, count_loopback: bool) -> ConnectionLimiter {
        ConnectionLimiter::new(PerAddressLimit {
            connections,
            count_loopback,
        })
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
        assert!(limiter.open.is_unused());
    }

    #[test]
    fn loopback_is_exempt_unless_counted() {
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            let address: IpAddr = address.parse().unwrap();
            let exempt = limiter(1, false);
            let permits: Vec<_> = (0..100).map(|_| exempt.admit(address).unwrap()).collect();
            assert!(permits.iter().all(Option::is_none));
            let counted = limiter(1, true);
            let _permit = counted.admit(address).unwrap();
            assert!(counted.admit(address).is_err());
        }
    }
}
