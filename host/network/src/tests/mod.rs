//! Requests to servers of this machine.

mod destinations;
mod responses;
mod restart;
mod secrets;
mod sharing;
mod support;
