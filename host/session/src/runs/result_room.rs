//! The room for the results of one session.
//!
//! A call runs only while its owner has room for a result, and the result is
//! charged as it comes out of the guest. The guest of an owner without room waits:
//! the readers of its other results make room by reading, or by being cut off.

use std::fmt;
use std::sync::Arc;

use orwd_engine::{ResultGate, Room, RoomWait};
use orwd_limiter::BytePermit;

use crate::api::principal::Principal;
use crate::runs::result_memory::ResultMemory;

/// Where the results of a session are charged.
pub(crate) struct ResultRoom {
    memory: Arc<ResultMemory>,
    owner: Principal,
    /// The largest result of the session.
    largest: usize,
}

impl ResultRoom {
    pub(crate) fn new(memory: &Arc<ResultMemory>, owner: &Principal, largest: usize) -> ResultRoom {
        ResultRoom {
            memory: memory.clone(),
            owner: owner.clone(),
            largest,
        }
    }

    /// Charges what came out of the guest.
    pub(crate) fn charge(&self, bytes: usize) -> BytePermit<Principal> {
        self.memory.charge(&self.owner, bytes)
    }
}

impl ResultGate for ResultRoom {
    fn wait(&self) -> Option<RoomWait> {
        let room = self.memory.wait_for_room(&self.owner, self.largest)?;
        Some(Box::pin(async move { Box::new(room.await) as Room }))
    }
}

impl fmt::Debug for ResultRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResultRoom")
            .field("owner", &self.owner)
            .field("largest", &self.largest)
            .finish_non_exhaustive()
    }
}
