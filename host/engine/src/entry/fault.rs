//! Maps guest failures to the fault codes that clients see; no other code
//! decides whose fault a failure is.
//!
//! The guest's failures are known one by one: traps, refusals of its limits,
//! and values that the engine cannot accept. Everything else is the host's: a
//! resource that the system has refused, or an error that nobody foresaw. It is
//! logged with its whole cause, and a client only learns that the host failed.
//!
//! The message is our own. The engine's message, which may contain addresses,
//! goes only to the log.
//!
//! A refused growth (memory, tables, files) ends nothing by itself. Most guests
//! abort when refused, though, and then the trap only says `unreachable`. Such
//! a trap is attributed to the limit that was refused in the same entry.

use std::char::{CharTryFromError, DecodeUtf16Error};
use std::str::Utf8Error;
use std::time::Duration;

use wasmtime::component::ResourceTableError;
use wasmtime::{Error, OutOfMemory, PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

use crate::entry::scheduled_guest::Overrun;
use orwd_model::{Budget, Fault, FaultCode, TrapKind};
use orwd_sandbox::{
    GuestState, HostOutOfMemory, HttpFault, MemoryRefusal, QuotaRefusal, RandomRequestTooLarge,
    SleepExceedsBudget,
};

/// Parts of the engine's messages about a guest that passes what is no valid
/// value, or asks for what no guest may. The engine has no types for them.
const GUEST_MESSAGES: &[&str] = &[
    // Strings, lists, records and variants in the guest's memory.
    "out of bounds",
    "not aligned",
    "realloc return: ",
    "invalid utf8 encoding",
    "invalid utf16 encoding",
    "discriminant",
    "size overflow",
    "byte length ",
    "too large to copy into wasm",
    // Handles.
    "unknown handle index",
    "is not a resource",
    "is not an own resource",
    "resource type mismatch",
    "mismatched resource types",
    "handle index ",
    "cannot lift own resource from a borrow",
    "cannot remove owned resource while borrowed",
    "cannot lend resource: too many active lends",
    "borrow handles still remain",
    "host resource already consumed",
    "already de-allocated",
    "cannot allocate another handle: index overflow",
    // The shape of a component.
    "resource limit exceeded: ",
    "exceeds memory limits",
    "exceeds table limits",
    "exceeds the configured maximum",
    // Streams and pollables.
    "Buffer too large for ",
    "cannot write more zeroes than ",
    "write exceeded budget",
    "write not permitted while flush pending",
    "poll of an empty list",
    "empty poll list",
];

/// How an entry into the guest failed.
pub(crate) enum EntryFailure {
    /// The guest was stopped, and the call dropped.
    Overrun(Overrun),
    /// The engine returned an error.
    Error(Error),
}

/// Returns the fault, with the guest's last output on standard error. Logs the
/// cause of a failure; `what` names the entry.
pub(crate) fn classify(
    failure: &EntryFailure,
    state: &mut GuestState,
    budget: Budget,
    what: &'static str,
) -> Fault {
    let refused = refused(state);
    let fault = match failure {
        EntryFailure::Overrun(Overrun::WallTime) => out_of_wall_time(state, budget),
        EntryFailure::Overrun(Overrun::Host) => Fault::new(
            FaultCode::Overloaded,
            "the host took too long to answer the environment",
        ),
        EntryFailure::Error(_) if std::mem::take(&mut state.out_of_cpu) => {
            let message = format!("more than {} of CPU time used", seconds(budget.cpu));
            Fault::new(FaultCode::LimitCpu, message)
        }
        EntryFailure::Error(error) => of_error(error, refused),
    };
    let cause = match failure {
        EntryFailure::Overrun(_) => None,
        EntryFailure::Error(error) => Some(format!("{error:#}")),
    };
    if fault.code.is_host_fault() {
        let code = fault.code.as_str();
        tracing::error!(
            entry = what,
            code,
            cause,
            "the host failed a guest: {}",
            fault.message
        );
    } else {
        tracing::debug!(entry = what, cause, "guest failed");
    }
    Fault {
        stderr_tail: state.log.take_last_stderr(),
        ..fault
    }
}

/// Returns the fault of an instance that could not be created.
pub(crate) fn of_creation(error: &Error) -> Fault {
    let cause = format!("{error:#}");
    tracing::error!(cause, "cannot create a store");
    lacks_resource()
}

/// Returns the fault of an error of the engine. `refused` is the limit that
/// refused something in the same entry.
fn of_error(error: &Error, refused: Option<Fault>) -> Fault {
    if is_lack_of_resource(error) {
        return lacks_resource();
    }
    if error.is::<SleepExceedsBudget>() {
        let message = "a replay slept for longer than the call may take";
        return Fault::new(FaultCode::LimitWall, message);
    }
    match error.downcast_ref::<HttpFault>() {
        Some(HttpFault::Diverged) => {
            let message = "a replay made another HTTP request than the recorded one";
            return Fault::trap(TrapKind::HostCall, message);
        }
        Some(HttpFault::NotRecorded) => return lacks_resource(),
        Some(HttpFault::Unavailable) => {
            let message = "the host cannot send requests at the moment";
            return Fault::new(FaultCode::Overloaded, message);
        }
        None => {}
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
    if let Some(refused) = refused {
        return refused;
    }
    if is_invalid_text(error) || GUEST_MESSAGES.iter().any(|part| text.contains(part)) {
        return invalid_output();
    }
    Fault::new(FaultCode::Internal, "the host failed")
}

/// Returns whether the system has refused memory, address space, a mapping, a
/// descriptor or another resource, or the instance pool is full.
fn is_lack_of_resource(error: &Error) -> bool {
    error.is::<HostOutOfMemory>()
        || error.is::<PoolConcurrencyLimitError>()
        || error.is::<OutOfMemory>()
        || error
            .chain()
            .any(|cause| cause.is::<std::io::Error>() || cause.is::<rustix::io::Errno>())
}

/// Returns whether text of the guest is not Unicode.
fn is_invalid_text(error: &Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Utf8Error>() || cause.is::<DecodeUtf16Error>() || cause.is::<CharTryFromError>()
    })
}

fn lacks_resource() -> Fault {
    Fault::new(
        FaultCode::Overloaded,
        "the host has no memory or other resource left for the session",
    )
}

fn out_of_wall_time(state: &GuestState, budget: Budget) -> Fault {
    let wall = seconds(budget.wall);
    if state.clock.waited_for_requests() > budget.wall / 2 {
        let message =
            format!("no answer within {wall} of wall time, most of it waiting for HTTP requests");
        return Fault::new(FaultCode::LimitNetwork, message);
    }
    let message = format!("no answer within {wall} of wall time");
    Fault::new(FaultCode::LimitWall, message)
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

    fn code(error: impl Into<Error>) -> FaultCode {
        of_error(&error.into(), None).code
    }

    #[test]
    fn what_the_system_refuses_is_never_the_guests_fault() {
        use std::io::ErrorKind;
        for kind in [
            ErrorKind::OutOfMemory,
            ErrorKind::StorageFull,
            ErrorKind::WouldBlock,
            ErrorKind::PermissionDenied,
        ] {
            assert_eq!(code(std::io::Error::from(kind)), FaultCode::Overloaded);
        }
        for errno in [
            rustix::io::Errno::NOMEM,
            rustix::io::Errno::AGAIN,
            rustix::io::Errno::MFILE,
        ] {
            let error = Error::new(errno).context("mmap failed to reserve 0x1000 bytes");
            assert_eq!(code(error), FaultCode::Overloaded);
        }
        let error = wasmtime::format_err!("no pages").context(HostOutOfMemory);
        assert_eq!(code(error), FaultCode::Overloaded);
        assert_eq!(code(OutOfMemory::new(1)), FaultCode::Overloaded);
    }

    #[test]
    fn a_limit_that_was_refused_does_not_hide_what_the_host_lacks() {
        let refused = || Some(Fault::new(FaultCode::LimitMemory, ""));
        let lack = Error::new(rustix::io::Errno::NOMEM);
        assert_eq!(of_error(&lack, refused()).code, FaultCode::Overloaded);
        let limit = wasmtime::format_err!("memory minimum size of 9 pages exceeds memory limits");
        assert_eq!(of_error(&limit, refused()).code, FaultCode::LimitMemory);
        let panicked = Error::new(Trap::UnreachableCodeReached);
        assert_eq!(of_error(&panicked, refused()).code, FaultCode::LimitMemory);
        assert_eq!(code(panicked), FaultCode::EnvTrap);
    }

    #[test]
    fn an_unknown_error_is_the_hosts() {
        let error = wasmtime::format_err!("something that nobody foresaw");
        let fault = of_error(&error, None);
        assert_eq!(fault.code, FaultCode::Internal);
        assert!(!fault.message.contains("foresaw"));
    }

    #[test]
    fn the_guests_failures_are_known_one_by_one() {
        for message in GUEST_MESSAGES {
            let error = wasmtime::format_err!("{message}");
            assert_eq!(code(error), FaultCode::EnvInvalidOutput, "{message}");
        }
        let invalid = String::from_utf8(vec![0xff]).unwrap_err().utf8_error();
        assert_eq!(code(Error::new(invalid)), FaultCode::EnvInvalidOutput);
        let surrogate = char::decode_utf16([0xd800]).next().unwrap().unwrap_err();
        assert_eq!(code(Error::new(surrogate)), FaultCode::EnvInvalidOutput);
        let no_char = char::try_from(0xd800_u32).unwrap_err();
        assert_eq!(code(Error::new(no_char)), FaultCode::EnvInvalidOutput);
        for (error, expected) in [
            (Error::new(I32Exit(3)), FaultCode::EnvExit),
            (Error::new(SleepExceedsBudget), FaultCode::LimitWall),
            (
                Error::new(ResourceTableError::Full),
                FaultCode::LimitHandles,
            ),
            (
                Error::new(ResourceTableError::NotPresent),
                FaultCode::EnvTrap,
            ),
            (
                wasmtime::format_err!("cannot lend resource: store handle limit exceeded"),
                FaultCode::LimitHandles,
            ),
            (
                wasmtime::format_err!("too much fuel allocated for hostcalls"),
                FaultCode::LimitOutput,
            ),
        ] {
            assert_eq!(code(error), expected);
        }
    }
}
