//! Memory that several sessions share.

use std::any::Any;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

/// The memory of one guest, which its owner shares with its other guests.
pub trait MemoryBudget: Debug + Send + Sync {
    /// Charges bytes by which the guest has grown. They are returned when the
    /// budget is dropped, with the guest.
    fn charge(&self, bytes: usize);

    /// Asked before each turn of the guest: returns how to wait while its owner
    /// has more than its share; none if it has not.
    fn wait(&self) -> Option<MemoryWait>;
}

/// A wait for memory. None means that there is some.
pub type MemoryWait = Pin<Box<dyn Future<Output = Option<MemoryTurn>> + Send>>;

/// The permission to run although there is none, until the end of the entry.
pub type MemoryTurn = Box<dyn Any + Send>;
