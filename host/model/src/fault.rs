//! How a session ends by its guest's doing.
//!
//! A fault is the guest's fault, and ends the session: its instance is gone,
//! the call that it happened in gets the code and a sentence, and so does each
//! later request. The codes are a closed list, meant for programs; the
//! sentence is ours, meant for people. The guest's own last words are kept
//! apart from both, since they are for the session's owner alone: whoever
//! shows a fault elsewhere, in a log or to others, shows it without them.

use std::fmt;

use super::quoted;

/// Names that are written on the wire and in the log.
macro_rules! names {
    (
        $(#[$about:meta])* $type:ident;
        $($(#[$doc:meta])* $variant:ident = $name:literal,)+
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type {
            $($(#[$doc])* $variant,)+
        }

        impl $type {
            /// Every one.
            pub const ALL: &[$type] = &[$($type::$variant),+];

            /// The name on the wire and in the log.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($type::$variant => $name,)+
                }
            }
        }
    };
}

names! {
    /// What ended a session or refused a result.
    FaultCode;
    /// The CPU time of one call was used up.
    LimitCpu = "limit_cpu",
    /// The wall time of one call was used up.
    LimitWall = "limit_wall",
    /// The guest asked for more memory than it may have, or for larger tables,
    /// and gave up.
    LimitMemory = "limit_memory",
    /// The guest held more handles than it may, or was refused a file because
    /// it had too many open, and gave up.
    LimitHandles = "limit_handles",
    /// More was handed over, as a result or to the host, than may be.
    LimitOutput = "limit_output",
    /// The guest wrote more into files than it may, and gave up.
    LimitDisk = "limit_disk",
    /// The guest trapped.
    EnvTrap = "env_trap",
    /// The guest ended its own program.
    EnvExit = "env_exit",
    /// The guest gave a result that is none: a reward that is not finite, text
    /// that is not the JSON it should be.
    EnvInvalidOutput = "env_invalid_output",
    /// The host stopped before the call was through.
    Interrupted = "interrupted",
    /// The host had no room to run the guest.
    Overloaded = "overloaded",
    /// The host failed. Details are in its log.
    Internal = "internal",
}

impl FaultCode {
    /// Whether the host is to blame, and not the guest.
    pub fn is_ours(self) -> bool {
        matches!(
            self,
            FaultCode::Interrupted | FaultCode::Overloaded | FaultCode::Internal
        )
    }
}

names! {
    /// What a guest trapped on.
    TrapKind;
    /// It said so itself: a panic, an abort, a failed assertion.
    Unreachable = "unreachable",
    /// It called too deep.
    StackOverflow = "stack_overflow",
    /// It reached outside of its memory.
    MemoryOutOfBounds = "memory_out_of_bounds",
    /// It reached outside of a table.
    TableOutOfBounds = "table_out_of_bounds",
    /// It called a function that is not there.
    NullCall = "null_call",
    /// It called a function as one of another type.
    BadSignature = "bad_signature",
    /// A division had no result that fits.
    IntegerOverflow = "integer_overflow",
    /// It divided by zero.
    DivideByZero = "divide_by_zero",
    /// It made an integer of a number that has none.
    BadConversion = "bad_conversion",
    /// It broke a rule of the component model: it came back where it may not,
    /// or called out where it may not.
    Component = "component",
    /// It asked something of the host that the host ends guests for.
    HostCall = "host_call",
    /// Anything else.
    Other = "other",
}

/// What ended a session: `code: sentence`, or `env_trap: kind: sentence`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// For programs.
    pub code: FaultCode,
    /// What the guest trapped on, if it did; goes with [`FaultCode::EnvTrap`]
    /// alone.
    pub trap: Option<TrapKind>,
    /// For people; one line.
    pub message: String,
    /// The last that the guest said on its standard error, at most half a
    /// kilobyte of anything. For the session's owner alone.
    pub words: Option<String>,
}

impl Fault {
    /// A fault in our own words.
    pub fn new(code: FaultCode, message: impl Into<String>) -> Fault {
        Fault {
            code,
            trap: None,
            message: message.into(),
            words: None,
        }
    }

    /// A trap, in our own words.
    pub fn trap(kind: TrapKind, message: impl Into<String>) -> Fault {
        Fault {
            trap: Some(kind),
            ..Fault::new(FaultCode::EnvTrap, message)
        }
    }

    /// The fault as the session's owner is told it, in one line: with `more`
    /// that we have to say, and with the guest's last words in quotes.
    pub fn for_owner(&self, more: &str) -> String {
        let mut told = format!("{self}{more}");
        if let Some(words) = &self.words {
            told.push_str("; its last words: ");
            told.push_str(&quoted(words));
        }
        told
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
    fn the_guests_words_are_for_the_owner_and_one_line() {
        let mut fault = Fault::trap(TrapKind::Unreachable, "it panicked");
        assert_eq!(fault.to_string(), "env_trap: unreachable: it panicked");
        assert_eq!(fault.for_owner(""), fault.to_string());
        fault.words = Some("a\r\nevent: end\u{1b}[2J\u{2028}'".to_owned());
        assert_eq!(fault.to_string(), "env_trap: unreachable: it panicked");
        assert_eq!(
            fault.for_owner("; over"),
            "env_trap: unreachable: it panicked; over; its last words: \
             \"a\\r\\nevent: end\\x1b[2J\\u2028'\""
        );
    }

    #[test]
    fn names_are_words_that_differ() {
        let codes = FaultCode::ALL.iter().map(|code| code.as_str());
        let kinds = TrapKind::ALL.iter().map(|kind| kind.as_str());
        let names: Vec<&str> = codes.chain(kinds).collect();
        for name in &names {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1);
        }
    }
}
