//! How many connections come from one address.
//!
//! One client must not take all the connections that there may be. What counts
//! as one is an IPv4 address, or the /64 network that an IPv6 host has to
//! itself. Clients on this machine share one address, as do all behind a proxy
//! here, so loopback addresses are not counted unless the operator says so.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The number of connections from one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerAddress {
    /// From any address.
    Any(usize),
    /// From any address but those of this machine, which are not counted.
    Remote(usize),
}

impl PerAddress {
    /// The limit for an address, if there is one.
    fn limit(self, address: IpAddr) -> Option<usize> {
        match self {
            PerAddress::Any(limit) => Some(limit),
            PerAddress::Remote(limit) => (!address.is_loopback()).then_some(limit),
        }
    }
}

/// The connections that are open, by address.
#[derive(Clone, Debug)]
pub(super) struct Crowd {
    limit: PerAddress,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// Held for as long as a connection is open.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Crowd,
    address: IpAddr,
}

impl Crowd {
    pub(super) fn new(limit: PerAddress) -> Crowd {
        Crowd {
            limit,
            counts: Arc::default(),
        }
    }

    /// A place for one more connection from this address, if there is one.
    pub(super) fn enter(&self, address: IpAddr) -> Result<Option<Place>, Full> {
        let address = network(address);
        let Some(limit) = self.limit.limit(address) else {
            return Ok(None);
        };
        let mut counts = self.counts();
        let count = counts.entry(address).or_default();
        if *count >= limit {
            return Err(Full);
        }
        *count += 1;
        Ok(Some(Place {
            crowd: self.clone(),
            address,
        }))
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As many connections of one address are open as may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts();
        if let Entry::Occupied(mut count) = counts.entry(self.address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// What counts as one address.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        canonical => canonical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_as_one_address() {
        for (one, other, same) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("2001:db8::1", "2001:db8::ffff", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("127.0.0.1", "::1", false),
        ] {
            let crowd = Crowd::new(PerAddress::Any(1));
            let _place = crowd.enter(one.parse().unwrap()).unwrap();
            let second = crowd.enter(other.parse().unwrap());
            assert_eq!(second.is_err(), same, "{one} and {other}");
        }
    }

    #[test]
    fn a_place_is_free_again_and_its_address_forgotten() {
        let crowd = Crowd::new(PerAddress::Remote(2));
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        let first = crowd.enter(address).unwrap();
        let second = crowd.enter(address).unwrap();
        assert_eq!(crowd.enter(address).unwrap_err(), Full);
        drop(first);
        let third = crowd.enter(address).unwrap();
        assert!(crowd.enter(address).is_err());
        drop((second, third));
        assert!(crowd.counts().is_empty());
    }

    #[test]
    fn this_machine_is_counted_only_where_it_is_meant() {
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            let address: IpAddr = address.parse().unwrap();
            let crowd = Crowd::new(PerAddress::Remote(1));
            let places: Vec<_> = (0..100).map(|_| crowd.enter(address).unwrap()).collect();
            assert!(places.iter().all(Option::is_none));
            let crowd = Crowd::new(PerAddress::Any(1));
            let _place = crowd.enter(address).unwrap();
            assert!(crowd.enter(address).is_err());
        }
    }
}
