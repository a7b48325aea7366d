//! How a session ends by its guest's doing.
//!
//! A fault is the guest's fault, and ends the session: its instance is gone,
//! the call that it happened in gets the code and a sentence, and so does each
//! later request. The codes are a closed list, meant for programs; the
//! sentence is ours, meant for people, and holds no text of the guest's.

use std::fmt;

/// What ended a session or refused a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultCode {
    /// The CPU time of one call was used up.
    LimitCpu,
    /// The wall time of one call was used up.
    LimitWall,
    /// The guest asked for more memory than it may have, and gave up.
    LimitMemory,
    /// The guest held more handles than it may.
    LimitHandles,
    /// A result was larger than it may be.
    LimitOutput,
    /// The guest trapped.
    EnvTrap,
    /// The guest ended its own program.
    EnvExit,
    /// The guest gave a result that is none: a reward that is not finite, text
    /// that is not the JSON it should be.
    EnvInvalidOutput,
    /// The host stopped before the call was through.
    Interrupted,
    /// The host had no room to run the guest.
    Overloaded,
    /// The host failed. Details are in its log.
    Internal,
}

impl FaultCode {
    /// Every code.
    pub const ALL: [FaultCode; 11] = [
        FaultCode::LimitCpu,
        FaultCode::LimitWall,
        FaultCode::LimitMemory,
        FaultCode::LimitHandles,
        FaultCode::LimitOutput,
        FaultCode::EnvTrap,
        FaultCode::EnvExit,
        FaultCode::EnvInvalidOutput,
        FaultCode::Interrupted,
        FaultCode::Overloaded,
        FaultCode::Internal,
    ];

    /// The code on the wire and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            FaultCode::LimitCpu => "limit_cpu",
            FaultCode::LimitWall => "limit_wall",
            FaultCode::LimitMemory => "limit_memory",
            FaultCode::LimitHandles => "limit_handles",
            FaultCode::LimitOutput => "limit_output",
            FaultCode::EnvTrap => "env_trap",
            FaultCode::EnvExit => "env_exit",
            FaultCode::EnvInvalidOutput => "env_invalid_output",
            FaultCode::Interrupted => "interrupted",
            FaultCode::Overloaded => "overloaded",
            FaultCode::Internal => "internal",
        }
    }

    /// Whether the host is to blame, and not the guest.
    pub fn is_ours(self) -> bool {
        matches!(
            self,
            FaultCode::Interrupted | FaultCode::Overloaded | FaultCode::Internal
        )
    }
}

/// What ended a session: `code: sentence`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// For programs.
    pub code: FaultCode,
    /// For people; one line.
    pub message: String,
}

impl Fault {
    /// A fault in our own words.
    pub fn new(code: FaultCode, message: impl Into<String>) -> Fault {
        Fault {
            code,
            message: message.into(),
        }
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}
