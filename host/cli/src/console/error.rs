//! Why a command failed.

use std::error::Error;
use std::fmt;

/// Message for people, and exit code for programs.
#[derive(Debug, PartialEq, Eq)]
pub struct CommandError {
    message: String,
    code: u8,
    is_labelled: bool,
}

impl CommandError {
    /// Creates the error of a command that failed (exit code 1).
    pub fn new(message: impl Into<String>) -> CommandError {
        CommandError {
            message: message.into(),
            code: 1,
            is_labelled: true,
        }
    }

    /// Creates the error of a command line that is wrong (exit code 2).
    pub fn usage(message: impl Into<String>) -> CommandError {
        CommandError {
            message: message.into(),
            code: 2,
            is_labelled: true,
        }
    }

    /// Creates the error of a command that failed, whose message begins with its
    /// own label.
    pub(crate) fn unlabelled(message: impl Into<String>) -> CommandError {
        CommandError {
            is_labelled: false,
            ..CommandError::new(message)
        }
    }

    /// Returns whether it is shown below the label `error:`.
    pub(crate) fn is_labelled(&self) -> bool {
        self.is_labelled
    }

    /// Returns the exit code.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Converts an error with its chain of causes. Many messages already include
/// their cause, which is then not repeated.
impl<E: Error> From<E> for CommandError {
    fn from(error: E) -> CommandError {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let text = inner.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = inner.source();
        }
        CommandError::new(message)
    }
}
