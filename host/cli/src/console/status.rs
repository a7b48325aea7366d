//! How a command ended that did not fail.

/// Result of a command that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandStatus {
    /// It succeeded.
    Success,
    /// An environment was checked and cannot run.
    Unsuitable,
    /// The episode was played and did not finish.
    Unfinished,
    /// A replay differs from the original.
    Different,
}

impl CommandStatus {
    /// Returns the exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            CommandStatus::Success => 0,
            CommandStatus::Unsuitable => 1,
            CommandStatus::Unfinished => 3,
            CommandStatus::Different => 4,
        }
    }
}
