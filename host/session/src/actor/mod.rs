//! The task of one session, which alone enters its guest.

pub(crate) mod command;
mod command_loop;
pub(crate) mod data_wait;
mod end;
mod resume;
pub(crate) mod session_actor;
pub(crate) mod state;
