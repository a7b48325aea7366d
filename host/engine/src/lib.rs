//! Runs guests: admits and compiles components, creates instances and enters
//! them under budgets.
//!
//! Turns the bytes of a component into something that can be called under a
//! budget, and every guest failure into an [`orwd_model::Fault`]. The crate
//! knows neither HTTP nor sessions.

mod admission;
mod capacity;
mod compile;
mod convert;
mod engine;
mod entry;
mod episode;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod instance;
mod schedule;
mod session_shares;
mod settings;
mod ticker;

pub use admission::component::{Component, ComponentError, ComponentFileError};
pub use admission::scan::LimitExceeded;
pub use admission::world::{ComponentImport, WorldMismatch};
pub use capacity::Capacity;
pub use compile::cache::{CodeCache, CodeCacheError};
pub use compile::compiler::Compiler;
pub use compile::error::CompileError;
pub use compile::worker::{WorkerError, run_worker};
pub use engine::{ENGINE_VERSION, Engine, EngineError, SessionPermit};
pub use entry::error::{CallError, EntryError, TaskLookupError};
pub use entry::result_gate::{ResultGate, Room, RoomWait};
pub use episode::Episode;
pub use instance::Instance;
pub use orwd_sandbox::{ExchangeToRecord, HttpMode, LiveHttp, NetworkAccess};
pub use schedule::account::Owner;
pub use session_shares::leaves_a_share;
pub use settings::{ENGINE_SERIES, EngineSettings};
