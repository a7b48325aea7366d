//! Running guests: the engine, the instance that holds one session, and the
//! one way into it.
//!
//! This room turns bytes of a component into something that can be called
//! under a budget, and everything that can go wrong in a guest into a
//! [`orwd_model::Fault`]. It names no HTTP and no table of sessions.

mod cache;
mod check;
mod compiler;
mod component;
mod enter;
mod escapes;
mod fair;
mod fault;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod instance;
mod lift;
mod lower;
mod runtime;
mod scan;
mod schema;
mod settings;
mod ticker;

pub use cache::{Cache, CacheError};
pub use check::{Import, Mismatch};
pub use compiler::{CompileError, Compiler, WorkerError, work};
pub use component::{Component, ComponentError, FileError};
pub use instance::{CallError, EntryError, Instance, TaskLookup};
pub use runtime::{ENGINE, Engine, EngineError};
pub use scan::Excess;
pub use settings::{EngineSettings, LINE};
