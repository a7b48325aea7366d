//! Whether the host has room for what a guest is about to return.
//!
//! A result comes into the host's memory at the end of a turn, and only the guest
//! knows which one. So the room is asked for at the beginning of each turn: a
//! guest whose host has none does not run, and what it would return stays in its
//! own memory. At most the results of the turns at once exceed the room.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// Asked before each turn of an entry that returns something.
pub trait ResultGate: fmt::Debug + Send + Sync {
    /// Returns how to wait for room; none if there is some.
    fn wait(&self) -> Option<RoomWait>;
}

/// A wait for room.
pub type RoomWait = Pin<Box<dyn Future<Output = Room> + Send>>;

/// Room that was waited for. It is kept until the end of the turn.
pub type Room = Box<dyn Any + Send>;
