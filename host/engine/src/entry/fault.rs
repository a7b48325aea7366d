//! Maps guest failures to the fault codes that clients see.
//!
//! The message is our own. The engine's message, which may contain addresses,
//! goes only to the log.
//!
//! A refused growth (memory, tables, files) ends nothing by itself. Most guests
//! abort when refused, though, and then the trap only says `unreachable`. Such
//! a trap is attributed to the limit that was refused in the same entry.

use std::time::Duration;

use wasmtime::component::ResourceTableError;
use wasmtime::{Error, Trap};
use wasmtime_wasi::I32Exit;

use orwd_model::{Budget, Fault, FaultCode, TrapKind};
use orwd_sandbox::{
    GuestState, HostOutOfMemory, MemoryRefusal, QuotaRefusal, RandomRequestTooLarge,
    SleepExceedsBudget,
};

/// How an entry into the guest failed.
pub(crate) enum EntryFailure {
    /// The wall time limit was reached, and the call was dropped.
    Timeout,
    /// The engine returned an error.
    Error(Error),
}

/// Returns the fault, with the guest's last output on standard error.
pub(crate) fn classify(failure: &EntryFailure, state: &mut GuestState, budget: Budget) -> Fault {
    Fault {
        stderr_tail: state.log.take_last_stderr(),
        ..name(failure, state, budget)
    }
}

fn name(failure: &EntryFailure, state: &mut GuestState, budget: Budget) -> Fault {
    let refused = refused(state);
    let error = match failure {
        EntryFailure::Timeout => {
            let message = format!("no answer within {} of wall time", seconds(budget.wall));
            return Fault::new(FaultCode::LimitWall, message);
        }
        EntryFailure::Error(error) => error,
    };
    if std::mem::take(&mut state.out_of_cpu) {
        let message = format!("more than {} of CPU time used", seconds(budget.cpu));
        return Fault::new(FaultCode::LimitCpu, message);
    }
    if error.is::<SleepExceedsBudget>() {
        let message = "a replay slept for longer than the call may take";
        return Fault::new(FaultCode::LimitWall, message);
    }
    if error.is::<HostOutOfMemory>() {
        tracing::error!(
            error = format!("{error:#}"),
            "cannot grow a session's memory"
        );
        return Fault::new(FaultCode::Overloaded, "no memory left for the session");
    }
    if error.is::<RandomRequestTooLarge>() {
        return Fault::trap(TrapKind::HostCall, "more asked of the host than it gives");
    }
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        let message = format!("the environment exited with status {}", exit.0);
        return Fault::new(FaultCode::EnvExit, message);
    }
    match error.downcast_ref::<ResourceTableError>() {
        Some(ResourceTableError::Full) => return out_of_handles(),
        Some(_) => return Fault::trap(TrapKind::HostCall, "a handle was misused"),
        None => {}
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return match (trap, refused) {
            (Trap::UnreachableCodeReached, Some(refused)) => refused,
            (trap, _) => trapped(*trap),
        };
    }
    // wasmtime has no type for these errors.
    let text = format!("{error:#}");
    if text.contains("fuel allocated for hostcalls") {
        return Fault::new(
            FaultCode::LimitOutput,
            "more handed to the host at once than may be",
        );
    }
    if text.contains("store handle limit exceeded") {
        return out_of_handles();
    }
    if text.contains("maximum concurrent") {
        return Fault::new(FaultCode::Overloaded, "no room for another instance");
    }
    refused.unwrap_or_else(invalid_output)
}

/// Returns the limit that refused something in this entry.
fn refused(state: &mut GuestState) -> Option<Fault> {
    let files = state.take_file_refusal().map(|refused| match refused {
        QuotaRefusal::Space => Fault::new(
            FaultCode::LimitDisk,
            "more written into files than the session may",
        ),
        QuotaRefusal::Handle => Fault::new(FaultCode::LimitHandles, "too many files open"),
    });
    let memory = state.memory.take_refused().map(|refused| {
        let message = match refused {
            MemoryRefusal::Memory => "more memory asked for than the session may have",
            MemoryRefusal::Tables => "larger tables asked for than the session may have",
        };
        Fault::new(FaultCode::LimitMemory, message)
    });
    memory.or(files)
}

fn out_of_handles() -> Fault {
    Fault::new(FaultCode::LimitHandles, "too many handles held at once")
}

fn invalid_output() -> Fault {
    Fault::new(
        FaultCode::EnvInvalidOutput,
        "the environment handed over something that is no valid value",
    )
}

/// Describes a trap in our own words.
fn trapped(trap: Trap) -> Fault {
    let (kind, sentence) = match trap {
        // An invalid value of its type, passed in either direction.
        Trap::InvalidChar
        | Trap::StringOutOfBounds
        | Trap::ListOutOfBounds
        | Trap::InvalidDiscriminant
        | Trap::UnalignedPointer => return invalid_output(),
        Trap::UnreachableCodeReached => {
            (TrapKind::Unreachable, "the environment panicked or aborted")
        }
        Trap::StackOverflow => (TrapKind::StackOverflow, "its calls went too deep"),
        Trap::MemoryOutOfBounds => (
            TrapKind::MemoryOutOfBounds,
            "it reached outside of its memory, which too deep a recursion also does",
        ),
        Trap::TableOutOfBounds => (
            TrapKind::TableOutOfBounds,
            "it called or looked beyond the end of a table",
        ),
        Trap::IndirectCallToNull | Trap::NullReference => {
            (TrapKind::NullCall, "it called a function that is not there")
        }
        Trap::BadSignature => (
            TrapKind::BadSignature,
            "it called a function as one of another type",
        ),
        Trap::IntegerOverflow => (TrapKind::IntegerOverflow, "an integer overflowed"),
        Trap::IntegerDivisionByZero => (TrapKind::DivideByZero, "an integer was divided by zero"),
        Trap::BadConversionToInteger => (
            TrapKind::BadConversion,
            "a number was converted that no integer can hold",
        ),
        Trap::CannotEnterComponent | Trap::CannotLeaveComponent | Trap::CannotBlockSyncTask => (
            TrapKind::Component,
            "it called out or was called back where neither may be",
        ),
        _ => (TrapKind::Other, "the engine stopped it"),
    };
    Fault::trap(kind, sentence)
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trap_has_a_kind_or_is_invalid_output() {
        // The engine's list has no names to iterate over, only numbers.
        let traps: Vec<Trap> = (0..=u8::MAX).filter_map(Trap::from_u8).collect();
        assert!(traps.len() > 20);
        let faults: Vec<Fault> = traps.iter().map(|trap| trapped(*trap)).collect();
        for fault in &faults {
            assert_eq!(fault.trap.is_some(), fault.code == FaultCode::EnvTrap);
            assert!(!fault.message.contains("wasm"), "{fault}");
        }
        for kind in TrapKind::ALL {
            let named = faults.iter().any(|fault| fault.trap == Some(*kind));
            assert_eq!(named, *kind != TrapKind::HostCall, "{kind:?}");
        }
    }
}
