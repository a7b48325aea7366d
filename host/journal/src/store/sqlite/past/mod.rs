//! Pasts that several episodes share, and how long their records stay.
//!
//! A fork stores its first record and refers to its parent for the others. The
//! records of an episode stay until it is purged and no fork refers to them.

pub(super) mod fork;
pub(super) mod forks;
pub(super) mod purge;
