//! Outcomes of runs, and faults.

mod fault;
mod python_repr;
mod run;

pub use fault::{Fault, FaultCode, TrapKind};
pub use python_repr::python_repr;
pub use run::{NonFiniteReward, Refusal, RefusalReason, Reward, RunOutcome, Score, ToolOutput};
