//! A server of all environments on one state directory, which can be restarted.

use std::path::{Path, PathBuf};

use orwd_tests::artifacts::components;
use orwd_tests::process::{ServeCommand, ServerProcess};
use orwd_tests::test_dir::TestDir;

use crate::environments::{ENVIRONMENTS, EnvironmentProfile, FLAGS, with_long_limits};
use crate::script::{EnvironmentListing, EpisodeScript};

/// A server on its own state directory, which can be restarted.
pub(crate) struct ReplayServer {
    pub(crate) scratch: TestDir,
    binary: PathBuf,
    address: String,
    environments: Vec<&'static EnvironmentProfile>,
    /// Whether time limits are raised, to compare it with another server.
    with_long_limits: bool,
}

impl ReplayServer {
    pub(crate) fn new(
        binary: &Path,
        environments: Vec<&'static EnvironmentProfile>,
    ) -> ReplayServer {
        components();
        let scratch = TestDir::new();
        scratch.write("seal.key", "5a".repeat(32));
        ReplayServer {
            scratch,
            binary: binary.to_owned(),
            address: "127.0.0.1:0".to_owned(),
            environments,
            with_long_limits: false,
        }
    }

    pub(crate) fn with_long_limits(mut self) -> ReplayServer {
        self.with_long_limits = true;
        self
    }

    pub(crate) fn start(&mut self) -> ServerProcess {
        let mut paths = self
            .environments
            .iter()
            .map(|profile| profile.path(&self.scratch));
        let first = paths.next().expect("at least one environment");
        let mut serve = paths
            .fold(ServeCommand::path(first), ServeCommand::and_path)
            .binary(&self.binary);
        for (flag, value) in FLAGS {
            let value = if self.with_long_limits {
                with_long_limits(flag, value)
            } else {
                value
            };
            serve = serve.set(flag, value);
        }
        serve = serve
            .set("--state", self.state())
            .set("--seal-key", self.scratch.at("seal.key"));
        let server = serve.start_at(&self.address);
        self.address = server.address().to_owned();
        server
    }

    pub(crate) fn state(&self) -> String {
        self.scratch.at("state")
    }

    fn listings(&self, server: &ServerProcess) -> Vec<EnvironmentListing> {
        let ors = server.ors();
        self.environments
            .iter()
            .map(|profile| EnvironmentListing::of(&ors, profile))
            .collect()
    }

    /// Draws this number of scripts of each environment.
    pub(crate) fn scripts(
        &self,
        server: &ServerProcess,
        each: u64,
        deterministic: bool,
    ) -> Vec<EpisodeScript> {
        let listings = self.listings(server);
        let seed = number("ORWD_REPLAY_SEED", 1);
        let numbers = (0..each).flat_map(|number| {
            let pairs = self.environments.iter().zip(&listings);
            pairs
                .map(move |(profile, listing)| listing.script(profile, seed, number, deterministic))
        });
        numbers.collect()
    }
}

/// Returns the number of episodes per environment.
pub(crate) fn episodes() -> u64 {
    number("ORWD_REPLAY_EPISODES", 200)
}

/// Returns the number in an environment variable, or the default.
fn number(variable: &str, usual: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number: {text}")),
        Err(_) => usual,
    }
}

/// Returns all environments, or the one that `ORWD_REPLAY_ONLY` names.
pub(crate) fn selected_environments() -> Vec<&'static EnvironmentProfile> {
    let only = std::env::var("ORWD_REPLAY_ONLY").ok();
    let fits =
        |profile: &&EnvironmentProfile| only.as_deref().is_none_or(|only| only == profile.name);
    let environments: Vec<&EnvironmentProfile> = ENVIRONMENTS.iter().filter(fits).collect();
    assert!(
        !environments.is_empty(),
        "ORWD_REPLAY_ONLY names no environment"
    );
    environments
}
