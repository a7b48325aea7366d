//! How many instances this process can hold.
//!
//! Each memory of an instance reserves gigabytes of addresses, and each
//! instance takes several memory mappings, of which the system allows a process
//! a number. Both are known before the first session, so a server offers no
//! more sessions than it can hold, and refuses further ones by their number.

use std::fmt;
use std::fs;

use rustix::process::{Resource, getrlimit};

use crate::settings::{Allocation, MEMORY_GUARD, MEMORY_RESERVATION};

/// Addresses of a process on all supported processors.
const ADDRESSES: u64 = 1 << 47;

/// Addresses that one memory takes.
const MEMORY_ADDRESSES: u64 = MEMORY_RESERVATION + MEMORY_GUARD;

/// Mappings of one memory: what lies before its initial content, that content,
/// what lies behind it, and what it may still grow by.
const MEMORY_MAPPINGS: u64 = 4;

/// Mappings of a stack: it and its guard page.
const STACK_MAPPINGS: u64 = 2;

/// Mappings of an instance outside of the pool, in addition to those of its
/// stack and its memories: tables and allocations.
const OTHER_MAPPINGS: u64 = 2;

/// The default of Linux.
const USUAL_MAPPINGS: u64 = 65_530;

/// Instances in addition to the sessions: those that serve task queries, and
/// those still being dropped while their successors start.
const SPARE_INSTANCES: u64 = 256;

/// What the system allows this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Bytes of address space.
    pub addresses: u64,
    /// Memory mappings; none where the system does not limit them.
    pub mappings: Option<u64>,
}

/// For how many instances space is reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) allocation: Allocation,
    pub(crate) sessions: u32,
    /// Instances that are no sessions.
    spare: u64,
}

impl Capacity {
    /// Reads the limits of this process. Call it before hardening, which hides
    /// them.
    pub(crate) fn of_process() -> Capacity {
        let mappings = fs::read_to_string("/proc/sys/vm/max_map_count");
        let mappings = mappings.ok().and_then(|text| text.trim().parse().ok());
        Capacity {
            addresses: getrlimit(Resource::As)
                .current
                .map_or(ADDRESSES, |limit| limit.min(ADDRESSES)),
            mappings: match mappings {
                // A service manager may hide it.
                None if cfg!(target_os = "linux") => Some(USUAL_MAPPINGS),
                mappings => mappings,
            },
        }
    }

    /// Returns the reservation for this many sessions, or as many as fit.
    pub(crate) fn reservation(&self, sessions: u32, pooled: bool) -> Reservation {
        let fit = self.instances(1, pooled);
        let wanted = u64::from(sessions);
        let spare = SPARE_INSTANCES.min((fit / 8).max(1));
        let sessions = wanted.min(fit.saturating_sub(spare));
        let instances = sessions.saturating_add(spare);
        Reservation {
            allocation: match pooled {
                true => Allocation::Pooled {
                    instances: count(instances),
                },
                false => Allocation::OnDemand,
            },
            sessions: count(sessions),
            spare,
        }
    }

    /// Returns for how many sessions a reservation is enough if each instance
    /// has this many memories. A pool has a number of memories, and refuses more.
    pub(crate) fn sessions(&self, reservation: &Reservation, memories: u64) -> u32 {
        match reservation.allocation {
            Allocation::Pooled { .. } => reservation.sessions,
            Allocation::OnDemand => {
                let instances = self.instances(memories.max(1), false);
                let spare = reservation.spare.min(instances / 8 + 1);
                count(instances.saturating_sub(spare)).min(reservation.sessions)
            }
        }
    }

    /// Returns how many instances with this many memories fit.
    fn instances(&self, memories: u64, pooled: bool) -> u64 {
        // An eighth is for everything else.
        let by_addresses = self.addresses / 8 * 7 / MEMORY_ADDRESSES / memories;
        let other = if pooled { 0 } else { OTHER_MAPPINGS };
        let mappings = STACK_MAPPINGS + other + MEMORY_MAPPINGS * memories;
        by_addresses.min(self.available_mappings() / mappings)
    }

    /// Returns the mappings for instances. A fifth is for everything else:
    /// code, threads, and large allocations of the host.
    fn available_mappings(&self) -> u64 {
        self.mappings.map_or(u64::MAX, |mappings| mappings / 5 * 4)
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of addresses", self.addresses)?;
        match self.mappings {
            Some(mappings) => write!(f, ", {mappings} memory mappings"),
            None => Ok(()),
        }
    }
}

fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Capacity = Capacity {
        addresses: ADDRESSES,
        mappings: Some(USUAL_MAPPINGS),
    };

    fn sessions(capacity: Capacity, wanted: u32, pooled: bool) -> u32 {
        capacity.reservation(wanted, pooled).sessions
    }

    #[test]
    fn the_default_number_of_sessions_fits_an_ordinary_system() {
        assert_eq!(sessions(USUAL, 8192, true), 8192);
    }

    #[test]
    fn what_does_not_fit_is_lowered() {
        let many = Capacity {
            mappings: Some(1_000_000),
            ..USUAL
        };
        let small = Capacity {
            addresses: 32 << 30,
            ..USUAL
        };
        for (capacity, pooled, least, most) in [
            (USUAL, true, 8_300, 8_800),
            (USUAL, false, 5_000, 8_000),
            // The addresses decide.
            (many, true, 27_000, 32_000),
            (small, true, 5, 6),
        ] {
            let sessions = sessions(capacity, 1_000_000, pooled);
            assert!((least..=most).contains(&sessions), "{capacity}: {sessions}");
        }
        let none = Capacity {
            addresses: 4 << 30,
            ..USUAL
        };
        assert_eq!(sessions(none, 1, true), 0);
    }

    #[test]
    fn several_memories_leave_space_for_fewer_sessions() {
        let pooled = USUAL.reservation(100_000, true);
        assert_eq!(USUAL.sessions(&pooled, 4), pooled.sessions);
        let on_demand = USUAL.reservation(100_000, false);
        let one = USUAL.sessions(&on_demand, 1);
        assert_eq!(one, on_demand.sessions);
        let four = USUAL.sessions(&on_demand, 4);
        assert!((one / 5..=one / 2).contains(&four), "{one} {four}");
        let few = USUAL.reservation(10, false);
        assert_eq!(USUAL.sessions(&few, 4), 10);
    }

    #[test]
    fn the_limits_of_this_process_are_known() {
        let capacity = Capacity::of_process();
        assert!(capacity.addresses > 1 << 30);
        #[cfg(target_os = "linux")]
        assert!(capacity.mappings > Some(1000));
    }
}
