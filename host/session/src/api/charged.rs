//! A value from a guest, with its charge.

use orwd_limiter::BytePermit;

use crate::api::principal::Principal;

/// A value that is charged to the owner of its session until it is dropped.
#[derive(Debug)]
pub struct Charged<T> {
    value: T,
    memory: Option<BytePermit<Principal>>,
}

impl<T> Charged<T> {
    pub(crate) fn new(value: T, memory: BytePermit<Principal>) -> Charged<T> {
        Charged {
            value,
            memory: Some(memory),
        }
    }

    /// Returns the value, and what to keep as long as it is in memory.
    pub fn into_parts(self) -> (T, Option<BytePermit<Principal>>) {
        (self.value, self.memory)
    }
}

/// A value that is charged to nobody.
impl<T> From<T> for Charged<T> {
    fn from(value: T) -> Charged<T> {
        Charged {
            value,
            memory: None,
        }
    }
}
