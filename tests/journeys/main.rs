//! Tests from an operator's point of view: what `orwd` prints and does when it
//! is started, used, attacked and stopped.
//!
//! Each test starts its own server, with the flags that it is about. Timeouts
//! are generous, since the machine may be busy: a test shows that a limit is
//! enforced, not how fast.

mod commands;
mod durability;
mod http;
mod limits;
mod operations;
mod sandbox;
mod startup;
mod support;
