//! The places of open connections.
//!
//! A connection whose requests have named nobody can be ended at any time: if
//! its address or all such have too many, the oldest of the address with the most
//! makes room. A client that signs in needs its place for a moment only, so it
//! gets in beside any number that send nothing.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use orwd_limiter::{KeyedPermit, KeyedSemaphore};
use tokio::sync::oneshot;

/// How many connections may be open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    /// All of them.
    pub(crate) total: usize,
    /// Those that have named nobody.
    pub(crate) anonymous: usize,
    /// Those that have named nobody, of one address.
    pub(crate) per_address: usize,
    /// Those of one user or organisation.
    pub(crate) per_user: usize,
}

impl ConnectionLimits {
    /// Returns shares of this many connections.
    pub(crate) fn of(total: usize) -> ConnectionLimits {
        ConnectionLimits {
            total,
            anonymous: total / 4,
            per_address: total / 8,
            per_user: total / 4,
        }
    }
}

/// The open connections.
pub(crate) struct Connections {
    limits: ConnectionLimits,
    of_user: Arc<KeyedSemaphore<Arc<str>>>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    open: usize,
    next: u64,
    anonymous: usize,
    /// What ends them, by address and in the order in which they came.
    by_address: HashMap<IpAddr, BTreeMap<u64, oneshot::Sender<()>>>,
}

/// The place of an open connection.
pub(crate) struct Connection {
    connections: Arc<Connections>,
    address: IpAddr,
    counted: Mutex<CountedFor>,
}

enum CountedFor {
    /// Its address, with this number.
    Address(u64),
    /// The user or organisation of its last request.
    User {
        name: Arc<str>,
        _permit: KeyedPermit<Arc<str>>,
    },
}

/// A user or an organisation has too many connections.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyConnections;

/// Tells a connection that it makes room.
pub(crate) type Ended = oneshot::Receiver<()>;

impl Connections {
    pub(crate) fn new(limits: ConnectionLimits) -> Arc<Connections> {
        Arc::new(Connections {
            limits,
            of_user: KeyedSemaphore::new(limits.per_user),
            table: Mutex::default(),
        })
    }

    /// Takes a place; `None` if all are those of users.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<(Connection, Ended)> {
        let address = network_of(address);
        let (sender, ended) = oneshot::channel();
        let mut table = self.table();
        let of_address = table.by_address.get(&address).map_or(0, BTreeMap::len);
        if of_address >= self.limits.per_address {
            table.end_oldest_of(address);
        } else if table.anonymous >= self.limits.anonymous || table.open >= self.limits.total {
            let most = table.by_address.iter().max_by_key(|(_, open)| open.len());
            let most = most.map(|(address, _)| *address)?;
            table.end_oldest_of(most);
        }
        let number = table.next;
        table.next += 1;
        table.open += 1;
        table.anonymous += 1;
        let of_address = table.by_address.entry(address).or_default();
        of_address.insert(number, sender);
        drop(table);
        let connection = Connection {
            connections: self.clone(),
            address,
            counted: Mutex::new(CountedFor::Address(number)),
        };
        Some((connection, ended))
    }

    /// Returns how many are open.
    pub(crate) fn open(&self) -> usize {
        self.table().open
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn end_oldest_of(&mut self, address: IpAddr) {
        let oldest = self.by_address.get(&address);
        let number = oldest.and_then(|open| open.keys().next().copied());
        if let Some(ended) = number.and_then(|number| self.remove(address, number)) {
            // It may end by itself at the same time.
            let _ = ended.send(());
            self.open -= 1;
        }
    }

    fn remove(&mut self, address: IpAddr, number: u64) -> Option<oneshot::Sender<()>> {
        let open = self.by_address.get_mut(&address)?;
        let ended = open.remove(&number)?;
        if open.is_empty() {
            self.by_address.remove(&address);
        }
        self.anonymous -= 1;
        Some(ended)
    }
}

impl Connection {
    /// Counts the connection for a user or an organisation, whose request it
    /// carries.
    pub(crate) fn count_for(&self, name: &Arc<str>) -> Result<(), TooManyConnections> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*counted, CountedFor::User { name: before, .. } if before == name) {
            return Ok(());
        }
        let permit = self.connections.of_user.try_acquire(name.clone());
        let permit = permit.ok_or(TooManyConnections)?;
        if let CountedFor::Address(number) = *counted {
            let mut table = self.connections.table();
            if table.remove(self.address, number).is_none() {
                // It was told to end, and its place is taken.
                return Ok(());
            }
        }
        *counted = CountedFor::User {
            name: name.clone(),
            _permit: permit,
        };
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let counted = self.counted.get_mut();
        let counted = counted.unwrap_or_else(PoisonError::into_inner);
        let mut table = self.connections.table();
        let is_open = match counted {
            CountedFor::Address(number) => table.remove(self.address, *number).is_some(),
            CountedFor::User { .. } => true,
        };
        if is_open {
            table.open -= 1;
        }
    }
}

/// Returns what counts as one address: an IPv4 address, or the /64 network that
/// an IPv6 host usually has to itself.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
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

    const LIMITS: ConnectionLimits = ConnectionLimits {
        total: 6,
        anonymous: 4,
        per_address: 3,
        per_user: 2,
    };

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn is_ended(ended: &mut Ended) -> bool {
        ended.try_recv().is_ok()
    }

    #[test]
    fn the_oldest_connection_of_the_address_with_the_most_makes_room() {
        let connections = Connections::new(LIMITS);
        let mut attack: Vec<_> = (0..3)
            .map(|_| connections.admit(address(1)).unwrap())
            .collect();
        let (_other, mut other) = connections.admit(address(2)).unwrap();
        let (_new, mut new) = connections.admit(address(3)).unwrap();
        let ended: Vec<bool> = attack.iter_mut().map(|(_, e)| is_ended(e)).collect();
        assert_eq!(ended, [true, false, false]);
        assert!(!is_ended(&mut other) && !is_ended(&mut new));
        // More of the attack end its own only.
        let _more = [(); 5].map(|()| connections.admit(address(1)).unwrap());
        assert!(!is_ended(&mut other) && !is_ended(&mut new));
        drop(attack);
        assert_eq!(connections.table().anonymous, 4);
    }

    #[test]
    fn a_connection_that_has_signed_in_is_not_ended_and_counts_for_its_user() {
        let connections = Connections::new(LIMITS);
        let alice: Arc<str> = "alice".into();
        let (first, mut ended) = connections.admit(address(1)).unwrap();
        assert_eq!(first.count_for(&alice), Ok(()));
        assert_eq!(first.count_for(&alice), Ok(()), "the next request");
        let attack: Vec<_> = (0..10).map(|_| connections.admit(address(1))).collect();
        assert!(!is_ended(&mut ended));
        let (second, _ended) = connections.admit(address(1)).unwrap();
        let (third, _ended) = connections.admit(address(1)).unwrap();
        assert_eq!(second.count_for(&alice), Ok(()));
        assert_eq!(third.count_for(&alice), Err(TooManyConnections));
        assert_eq!(third.count_for(&"bob".into()), Ok(()));
        drop((first, second, third, attack));
        assert_eq!(connections.open(), 0);
        assert!(connections.of_user.is_unused() && connections.table().by_address.is_empty());
    }

    #[test]
    fn a_connection_is_refused_if_all_places_are_those_of_users() {
        let connections = Connections::new(LIMITS);
        let held: Vec<_> = (0..6)
            .map(|number| {
                let (connection, ended) = connections.admit(address(1)).unwrap();
                let name = format!("user{}", number / 2).into();
                assert_eq!(connection.count_for(&name), Ok(()));
                (connection, ended)
            })
            .collect();
        assert!(connections.admit(address(2)).is_none());
        drop(held);
        assert!(connections.admit(address(2)).is_some());
    }
}
