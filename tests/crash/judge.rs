//! A model that the calls of a run ask, with texts that name the calls.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use orwd_tests::artifacts::component;
use orwd_tests::model_server::ModelServer;
use orwd_tests::process::{ReplayCommand, ServeCommand};
use orwd_tests::test_dir::TestDir;

use crate::tally::CrashTally;

/// The limit for replaying all episodes.
const REPLAY: Duration = Duration::from_secs(1800);

/// The model, and the environment that may ask it.
pub(crate) struct Judge {
    model: ModelServer,
    scratch: TestDir,
}

impl Judge {
    pub(crate) fn start() -> Judge {
        let model = ModelServer::start();
        let scratch = TestDir::new();
        scratch.copy("chain/env.wasm", component("chain"));
        scratch.write("chain/data/.keep", "");
        let manifest = format!(
            "name = \"chain\"\ndata = \"data\"\n[build]\ncomponent = \"env.wasm\"\n\
             [network]\nallow = [{:?}]\n",
            model.url()
        );
        scratch.write("chain/orwd.toml", manifest);
        Judge { model, scratch }
    }

    /// Returns the base URL of the model.
    pub(crate) fn api(&self) -> String {
        self.model.api()
    }

    /// Serves the environment.
    pub(crate) fn serve(&self) -> ServeCommand {
        ServeCommand::path(self.scratch.path().join("chain"))
            .set("--allow-network", format!("chain={}", self.model.url()))
    }

    /// Checks that no call asked twice.
    pub(crate) fn count(&self, tally: &CrashTally) {
        let mut times: HashMap<String, u64> = HashMap::new();
        for asked in self.model.asked() {
            *times.entry(asked.text().to_owned()).or_default() += 1;
        }
        for (call, times) in times {
            tally.asked.add(times);
            if times > 1 {
                tally.asked_twice.one();
                tally.describe(format!("{call}: asked {times} times"));
            }
        }
    }

    /// Replays all episodes of a state directory, which asks nothing.
    pub(crate) fn replay(&self, state: &Path, tally: &CrashTally) {
        let before = self.model.asked().len();
        let replay = ReplayCommand::all(&state.display().to_string()).timeout(REPLAY);
        let replayed = replay.run();
        let is_equal = replayed.stdout.contains(" 0 different");
        if replayed.code != Some(0) || !is_equal || self.model.asked().len() != before {
            tally.other_replays.one();
            let last = replayed.stdout.lines().last().unwrap_or_default();
            tally.describe(format!("a replay ended with {last:?} {}", replayed.stderr));
        }
    }
}
