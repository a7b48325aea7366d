//! From the ways in which a guest can fail to the codes that clients see.
//!
//! The sentence is ours; the guest's own words, and the engine's, go to the
//! log alone.

use std::time::Duration;

use wasmtime::component::ResourceTableError;
use wasmtime::{Error, Trap};
use wasmtime_wasi::I32Exit;

use crate::model::{Budget, Fault, FaultCode};
use crate::sandbox::{GuestState, Overslept};

/// How an entry into the guest failed.
pub(super) enum Failure {
    /// The wall time was up, and the call was dropped where it stood.
    Timeout,
    /// The engine gave up on it.
    Error(Error),
}

/// Names the fault.
pub(super) fn classify(failure: &Failure, state: &mut GuestState, budget: Budget) -> Fault {
    let refused_memory = state.memory.take_refused();
    let error = match failure {
        Failure::Timeout => {
            let message = format!("no answer within {} of wall time", seconds(budget.wall));
            return Fault::new(FaultCode::LimitWall, message);
        }
        Failure::Error(error) => error,
    };
    if std::mem::take(&mut state.out_of_cpu) {
        let message = format!("more than {} of CPU time used", seconds(budget.cpu));
        return Fault::new(FaultCode::LimitCpu, message);
    }
    if error.is::<Overslept>() {
        let message = "a replay slept for longer than the call may take";
        return Fault::new(FaultCode::LimitWall, message);
    }
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        let message = format!("the environment exited with status {}", exit.0);
        return Fault::new(FaultCode::EnvExit, message);
    }
    if matches!(
        error.downcast_ref::<ResourceTableError>(),
        Some(ResourceTableError::Full)
    ) {
        return Fault::new(FaultCode::LimitHandles, "too many files or streams open");
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return match trap {
            Trap::InvalidChar => invalid_output(),
            // Most guests abort when an allocation fails, and all that the
            // trap says then is `unreachable`.
            Trap::UnreachableCodeReached if refused_memory => out_of_memory(),
            trap => Fault::new(FaultCode::EnvTrap, trap_text(*trap)),
        };
    }
    // The engine gives these no type of their own.
    let text = format!("{error:#}");
    if text.contains("fuel allocated for hostcalls") {
        return Fault::new(
            FaultCode::LimitOutput,
            "more handed over than a result may hold",
        );
    }
    if text.contains("store handle limit exceeded") {
        return Fault::new(FaultCode::LimitHandles, "too many component handles held");
    }
    if text.contains("maximum concurrent") {
        return Fault::new(FaultCode::Overloaded, "no room for another instance");
    }
    if refused_memory {
        return out_of_memory();
    }
    invalid_output()
}

fn out_of_memory() -> Fault {
    Fault::new(
        FaultCode::LimitMemory,
        "more memory asked for than the session may have",
    )
}

fn invalid_output() -> Fault {
    Fault::new(
        FaultCode::EnvInvalidOutput,
        "the environment handed over something that is no valid value",
    )
}

fn trap_text(trap: Trap) -> String {
    let text = trap.to_string();
    match trap {
        Trap::UnreachableCodeReached => {
            "the environment panicked or aborted (wasm trap: unreachable)".to_owned()
        }
        Trap::StackOverflow => "stack overflow (wasm trap: call stack exhausted)".to_owned(),
        _ => text,
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
