//! Faults: how a guest ends its session.
//!
//! A fault ends the session and drops its instance. The call in which it
//! happened, and every later request, gets the code and a sentence. Codes are a
//! closed list for programs; the sentence is the host's, for people. The end of
//! the guest's standard error is separate, since only the session's owner may
//! see it: a fault in a log or for others is shown without it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::python_repr::python_repr;

named_enum! {
    /// The reason for which a session ended or a result was refused.
    FaultCode;
    /// The call used up its CPU time.
    LimitCpu = "limit_cpu",
    /// The call used up its wall-clock time.
    LimitWall = "limit_wall",
    /// The call used up its wall-clock time, most of it waiting for HTTP requests.
    LimitNetwork = "limit_network",
    /// The guest was refused memory or table elements over its limit, and gave
    /// up.
    LimitMemory = "limit_memory",
    /// The guest held more handles than its limit, or was refused a file because
    /// too many were open, and gave up.
    LimitHandles = "limit_handles",
    /// A result, or the arguments of a host call, exceeded the size limit.
    LimitOutput = "limit_output",
    /// The guest wrote more into files than its limit, and gave up.
    LimitDisk = "limit_disk",
    /// The guest trapped.
    EnvTrap = "env_trap",
    /// The guest exited.
    EnvExit = "env_exit",
    /// The guest returned an invalid result: a reward that is not finite, or
    /// text that is not the expected JSON.
    EnvInvalidOutput = "env_invalid_output",
    /// The host stopped before the call completed.
    Interrupted = "interrupted",
    /// The host had no capacity to run the guest.
    Overloaded = "overloaded",
    /// The host failed. Details are in its log.
    Internal = "internal",
}

impl FaultCode {
    /// Whether the host caused the fault, and not the guest.
    pub fn is_host_fault(self) -> bool {
        matches!(
            self,
            FaultCode::Interrupted | FaultCode::Overloaded | FaultCode::Internal
        )
    }
}

named_enum! {
    /// The kind of a trap.
    TrapKind;
    /// The guest aborted: a panic, an abort or a failed assertion.
    Unreachable = "unreachable",
    /// The call stack was exhausted.
    StackOverflow = "stack_overflow",
    /// An access was outside of memory.
    MemoryOutOfBounds = "memory_out_of_bounds",
    /// An access was outside of a table.
    TableOutOfBounds = "table_out_of_bounds",
    /// The table entry of a call was null.
    NullCall = "null_call",
    /// A function was called with the wrong type.
    BadSignature = "bad_signature",
    /// The result of a division does not fit.
    IntegerOverflow = "integer_overflow",
    /// Division by zero.
    DivideByZero = "divide_by_zero",
    /// A number was converted to an integer that cannot represent it.
    BadConversion = "bad_conversion",
    /// A rule of the component model was violated: a re-entrance or a call out
    /// that is not allowed.
    Component = "component",
    /// The guest made a host call that the host ends guests for.
    HostCall = "host_call",
    /// Any other trap.
    Other = "other",
}

/// The reason for which a session ended. Shown as `code: sentence`, or as
/// `env_trap: kind: sentence`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The code, for programs.
    pub code: FaultCode,
    /// The kind of trap; only with [`FaultCode::EnvTrap`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trap: Option<TrapKind>,
    /// One line for people.
    pub message: String,
    /// The end of the guest's standard error, at most half a kilobyte of
    /// arbitrary text, for the session's owner only. It is not in the serde
    /// form: journals are copied, exported and shown.
    #[serde(skip)]
    pub stderr_tail: Option<String>,
}

impl Fault {
    /// Creates a fault with a sentence of the host's.
    pub fn new(code: FaultCode, message: impl Into<String>) -> Fault {
        Fault {
            code,
            trap: None,
            message: message.into(),
            stderr_tail: None,
        }
    }

    /// Creates a trap with a sentence of the host's.
    pub fn trap(kind: TrapKind, message: impl Into<String>) -> Fault {
        Fault {
            trap: Some(kind),
            ..Fault::new(FaultCode::EnvTrap, message)
        }
    }

    /// Returns the line that the session's owner gets: the fault, then `more`,
    /// then the end of the guest's standard error in quotes.
    pub fn owner_message(&self, more: &str) -> String {
        let mut message = format!("{self}{more}");
        if let Some(stderr) = &self.stderr_tail {
            message.push_str("; its last words: ");
            message.push_str(&python_repr(stderr));
        }
        message
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.code.as_str())?;
        if let Some(kind) = self.trap {
            write!(f, "{}: ", kind.as_str())?;
        }
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_sees_standard_error_and_as_one_line() {
        let mut fault = Fault::trap(TrapKind::Unreachable, "it panicked");
        assert_eq!(fault.to_string(), "env_trap: unreachable: it panicked");
        assert_eq!(fault.owner_message(""), fault.to_string());
        fault.stderr_tail = Some("a\r\nevent: end\u{1b}[2J\u{2028}'".to_owned());
        assert_eq!(fault.to_string(), "env_trap: unreachable: it panicked");
        assert_eq!(
            fault.owner_message("; over"),
            "env_trap: unreachable: it panicked; over; its last words: \
             \"a\\r\\nevent: end\\x1b[2J\\u2028'\""
        );
    }

    #[test]
    fn names_are_unique_words() {
        let codes = FaultCode::ALL.iter().map(|code| code.as_str());
        let kinds = TrapKind::ALL.iter().map(|kind| kind.as_str());
        let names: Vec<&str> = codes.chain(kinds).collect();
        for name in &names {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1);
        }
    }
}
