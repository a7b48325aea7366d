//! orwd serves the Open Reward Standard from WebAssembly components.
//!
//! The life of a call: [`ors`] reads the request and finds the session, which
//! one task of [`session`] owns; that task enters the component instance
//! through [`engine`], whose guest sees the world that [`sandbox`] gives it,
//! and the answer goes back the same way. [`catalog`] knows the environments.
//! Arrows point one way: cli → ors → session → engine → sandbox, and
//! [`model`] holds the words that all of them share. [`walls`] stands apart: what
//! the kernel keeps from the process, should a guest ever get out. `ARCHITECTURE.md`
//! in this crate is the map.

pub mod catalog;
pub mod cli;
pub mod config;
pub mod engine;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod journal;
pub mod model;
pub mod ors;
pub mod sandbox;
pub mod session;
pub mod walls;
