//! From the ways in which a guest can fail to the codes that clients see.
//!
//! The sentence is ours; the engine's own, which may name addresses, goes to
//! the log alone.
//!
//! A limit that only refuses (memory, tables, files) ends nothing by itself.
//! Most guests give up when they are refused, though, and all that a trap says
//! then is `unreachable`: such a trap is named for the limit that was refused
//! in the same entry.

use std::time::Duration;

use wasmtime::component::ResourceTableError;
use wasmtime::{Error, Trap};
use wasmtime_wasi::I32Exit;

use orwd_model::{Budget, Fault, FaultCode, TrapKind};
use orwd_sandbox::{GuestState, Overslept, RefusedFiles, RefusedMemory, Starved, TooMuchChance};

/// How an entry into the guest failed.
pub(super) enum Failure {
    /// The wall time was up, and the call was dropped where it stood.
    Timeout,
    /// The engine gave up on it.
    Error(Error),
}

/// Names the fault, and adds the guest's last words.
pub(super) fn classify(failure: &Failure, state: &mut GuestState, budget: Budget) -> Fault {
    Fault {
        stderr_tail: state.log.take_words(),
        ..name(failure, state, budget)
    }
}

fn name(failure: &Failure, state: &mut GuestState, budget: Budget) -> Fault {
    let refused = refused(state);
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
    if error.is::<Starved>() {
        tracing::error!("a session could not grow: {error:#}");
        return Fault::new(FaultCode::Overloaded, "no memory left for the session");
    }
    if error.is::<TooMuchChance>() {
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
    // The engine gives these no type of their own.
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

/// What a limit refused in this entry.
fn refused(state: &mut GuestState) -> Option<Fault> {
    let files = state.take_refused_by_files().map(|refused| match refused {
        RefusedFiles::Space => Fault::new(
            FaultCode::LimitDisk,
            "more written into files than the session may",
        ),
        RefusedFiles::Handle => Fault::new(FaultCode::LimitHandles, "too many files open"),
    });
    let memory = state.memory.take_refused().map(|refused| {
        let message = match refused {
            RefusedMemory::Memory => "more memory asked for than the session may have",
            RefusedMemory::Tables => "larger tables asked for than the session may have",
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

/// A trap in our words.
fn trapped(trap: Trap) -> Fault {
    let (kind, sentence) = match trap {
        // What is no valid value of its type, whoever was to get it.
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
