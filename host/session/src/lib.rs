//! Sessions: each has an actor that owns one guest, and a handle for clients.
//!
//! * `api` is what the protocol sees: traits, requests and errors.
//! * `lifecycle` creates, finds, expires and removes sessions.
//! * `actor` is the task of one session; `handle` sends it commands.
//! * `episode` is a guest together with its journal, and its replay.
//! * `runs` keeps tool calls and scorings, and recognises repeated requests.
//! * `limits` holds quotas, eviction and the memory monitor.
//! * `admin` lists, inspects and forks sessions.
//! * `metrics` counts for the operator.
//!
//! A session is created in two steps: its id is reserved, then its guest is
//! opened and its creation journaled. It ends when the client deletes it, when
//! it has been idle for too long, or when the server stops.
//!
//! Requests and results are journaled before the response is sent. From the
//! journal a session is resumed after a restart, after hibernation, and after a
//! failed journal write.

mod actor;
mod admin;
mod api;
mod context;
mod episode;
mod handle;
mod lifecycle;
mod limits;
mod metrics;
mod runs;
mod versions;

pub use admin::steps::{history_detail, step_page};
pub use api::charged::Charged;
pub use api::content::{
    BlockContent, CandidateContent, MessageContent, ScoreContent, StepContent, StepCursor,
    StepError, StepInput, StepOutput, StepPage,
};
pub use api::create::{CreatedSession, DeliveryFlag, NewSession, Resumability};
pub use api::error::{AdminError, CatalogError, CreateError, SessionError};
pub use api::principal::Principal;
pub use api::request::{RequestFingerprint, RunRequest};
pub use api::service::{AdminApi, Conversation, Readiness, Session, SessionService};
pub use api::summary::{
    EndedPage, ForkParent, SessionDetail, SessionList, SessionPage, SessionSummary, StepRange,
    StepSummary,
};
pub use context::{MemoryLimits, SessionSettings};
pub use episode::replay_report::{
    DataDifference, ReplayRequests, StepComparison, StepReplay, replay_history,
};
pub use handle::session_handle::SessionHandle;
pub use lifecycle::manager::SessionManager;
pub use limits::guest_memory::default_guest_memory;
pub use limits::memory_pressure::MemoryMonitor;
pub use limits::quota::KeyQuota;
pub use orwd_catalog::{ListingLimits, TaskList};
pub use runs::run::{HeldOutcome, IdOrder, OutcomeReader, OutcomeSender, Run, StartSignal};
pub use versions::{OlderVersion, VersionData, VersionError, VersionKey};

pub use orwd_journal::{DiskLimits, DiskRefusal};
