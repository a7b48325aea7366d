//! Bytes that uploads in progress may still bring.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The reserved bytes of each owner.
#[derive(Clone, Default)]
pub(crate) struct Reservations(Arc<Mutex<HashMap<String, u64>>>);

/// Bytes that an upload may bring, until it is dropped.
pub(super) struct Reservation {
    all: Reservations,
    owner: String,
    bytes: u64,
}

impl Reservations {
    /// Reserves the announced bytes of an upload, out of those that its owner has
    /// left; without an announcement all that no other upload has reserved.
    pub(super) fn reserve(&self, owner: &str, announced: Option<u64>, left: u64) -> Reservation {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_owner = all.entry(owner.to_owned()).or_default();
        let free = left.saturating_sub(*of_owner);
        let bytes = announced.unwrap_or(free).min(free);
        *of_owner += bytes;
        Reservation {
            all: self.clone(),
            owner: owner.to_owned(),
            bytes,
        }
    }
}

impl Reservation {
    /// Returns how many bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_owner) = all.get_mut(&self.owner) {
            *of_owner -= self.bytes;
            if *of_owner == 0 {
                all.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_at_once_share_what_is_left() {
        let all = Reservations::default();
        let first = all.reserve("alice", Some(60), 100);
        let second = all.reserve("alice", Some(60), 100);
        assert_eq!((first.bytes(), second.bytes()), (60, 40));
        assert_eq!(all.reserve("alice", None, 100).bytes(), 0);
        assert_eq!(all.reserve("bob", Some(60), 100).bytes(), 60);
        drop(first);
        assert_eq!(all.reserve("alice", None, 100).bytes(), 60);
        drop(second);
        assert!(all.0.lock().unwrap().is_empty());
    }
}
