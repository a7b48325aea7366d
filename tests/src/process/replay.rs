//! Runs `orwd replay`.

use std::time::Duration;

use super::command::{CommandResult, OrwdCommand};
use crate::artifacts;

/// A replay of an episode, with the compiled code of the tests.
pub struct ReplayCommand {
    arguments: Vec<String>,
    seal_key: Option<String>,
    timeout: Duration,
}

impl ReplayCommand {
    /// Replays a session of a state directory.
    pub fn new(session: &str, state: &str) -> Self {
        Self {
            arguments: [session, "--state", state].map(str::to_owned).into(),
            seal_key: None,
            timeout: Duration::from_secs(120),
        }
    }

    /// Replays all sessions of a state directory.
    pub fn all(state: &str) -> Self {
        Self::new("--all", state)
    }

    /// Replaces the default timeout of two minutes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Opens what is sealed.
    pub fn seal_key(mut self, key: &str) -> Self {
        self.seal_key = Some(key.to_owned());
        self
    }

    /// Adds a flag with its value.
    pub fn set(mut self, flag: &str, value: &str) -> Self {
        self.arguments.extend([flag.to_owned(), value.to_owned()]);
        self
    }

    /// Adds a flag.
    pub fn flag(mut self, flag: &str) -> Self {
        self.arguments.push(flag.to_owned());
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> CommandResult {
        let arguments = std::iter::once("replay".to_owned()).chain(self.arguments);
        let mut command = OrwdCommand::new(arguments)
            .env("ORWD_CACHE", artifacts::target_dir().join("orwd-cache"))
            .timeout(self.timeout);
        if let Some(key) = self.seal_key {
            command = command.env("ORWD_SEAL_KEY", key);
        }
        command.run()
    }

    /// Runs it, and panics if an outcome differs from the recorded one.
    pub fn expect_no_difference(self) {
        let replayed = self.run();
        assert!(
            replayed.expect_success().contains(" 0 different"),
            "{replayed}"
        );
    }
}

/// Replays a session of a state directory; panics if an outcome differs.
pub fn replay_without_difference(session: &str, state: &str) {
    ReplayCommand::new(session, state).expect_no_difference();
}
