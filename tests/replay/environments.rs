//! The environments that are played: all of the project, with what a player needs
//! to know besides their listings.
//!
//! A directory of `examples/` or `tests/fixtures/` that is neither here nor among
//! the exceptions fails a test, so that every new environment is replayed.

use std::path::PathBuf;

use orwd_tests::artifacts::{component, workspace_dir};
use orwd_tests::test_dir::TestDir;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::{Value, json};

/// An environment and how to play it.
pub struct EnvironmentProfile {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its directory, relative to the workspace.
    pub folder: &'static str,
    /// The keys of a generated manifest for the directory's component; none to
    /// serve the directory itself.
    pub manifest: Option<&'static str>,
    /// Tools that it does not list.
    pub unlisted: &'static [&'static str],
    /// Tools whose results depend on time or on the speed of the machine.
    pub time_dependent: &'static [&'static str],
    /// Secrets of its sessions.
    pub secrets: &'static [&'static str],
    /// Draws a task spec.
    pub spec: Option<fn(&mut StdRng) -> Value>,
}

/// The defaults.
const DEFAULT: EnvironmentProfile = EnvironmentProfile {
    name: "",
    folder: "",
    manifest: None,
    unlisted: &[],
    time_dependent: &[],
    secrets: &[],
    spec: None,
};

/// Every environment that is played; some several times, with other data.
pub const ENVIRONMENTS: &[EnvironmentProfile] = &[
    EnvironmentProfile {
        name: "counter",
        folder: "examples/counter",
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "gsm8k",
        folder: "examples/gsm8k",
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "minesweeper",
        folder: "examples/minesweeper",
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "wordle",
        folder: "examples/wordle",
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "alpha",
        folder: "tests/fixtures/alpha",
        unlisted: &["hidden"],
        secrets: &["K", "L"],
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "broken",
        folder: "tests/fixtures/broken",
        spec: Some(|rng| {
            let place = pick(rng, &["setup", "prompt", "teardown", "nowhere"]);
            json!({"where": place})
        }),
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "chain",
        folder: "tests/fixtures/chain",
        spec: Some(|rng| json!({"setup_ms": rng.random_range(0..20)})),
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "determinism",
        folder: "tests/fixtures/determinism",
        manifest: Some("data = \"data\""),
        time_dependent: &["clocks", "sleep", "listing"],
        spec: Some(|rng| json!({"setup_ms": rng.random_range(0..20)})),
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "chat",
        folder: "tests/fixtures/chat",
        spec: Some(|rng| {
            let mode = pick(rng, &["single", "rich"]);
            let score = pick(rng, &["length", "rich", "fail", "short"]);
            json!({"mode": mode, "score": score})
        }),
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "disk",
        folder: "tests/fixtures/disk",
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "files",
        folder: "tests/fixtures/files",
        manifest: Some("data = \"data\""),
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "files-read-only",
        folder: "tests/fixtures/files",
        manifest: Some("data = \"data\"\ndata-mode = \"read-only\""),
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "files-without-data",
        folder: "tests/fixtures/files",
        manifest: Some(""),
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "consumer",
        folder: "tests/fixtures/consumer",
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "hostile",
        folder: "tests/fixtures/hostile",
        unlisted: &["extra"],
        time_dependent: &["act"],
        spec: Some(|rng| {
            let places = ["setup", "prompt", "task_tools", "score_group", "teardown"];
            json!({"where": pick(rng, &places), "how": pick(rng, &HOW)})
        }),
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "indexed",
        folder: "tests/fixtures/indexed",
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "kit",
        folder: "tests/fixtures/kit",
        unlisted: &["special"],
        spec: Some(|rng| json!({"id": "own", "extra": rng.random_bool(0.5)})),
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "secret-leak",
        folder: "tests/fixtures/secret-leak",
        secrets: &["CANARY", "KEYFILE"],
        spec: Some(|rng| {
            let place = pick(rng, &["", "setup", "prompt", "teardown"]);
            json!({"where": place})
        }),
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "catalog-faults",
        folder: "tests/fixtures/catalog-faults",
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "caller",
        folder: "tests/fixtures/caller",
        secrets: &["KEY"],
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "slow",
        folder: "tests/fixtures/slow",
        spec: Some(|rng| {
            let fail = rng.random_bool(0.3).then_some("late boom");
            json!({"setup_ms": rng.random_range(0..40), "fail": fail})
        }),
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "termarg",
        folder: "tests/fixtures/termarg",
        unlisted: &["submit"],
        ..DEFAULT
    },
    EnvironmentProfile {
        name: "termnone",
        folder: "tests/fixtures/termnone",
        unlisted: &["stop"],
        ..DEFAULT
    },
];

/// Directories that are not played, and why.
pub const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "examples/python",
        "a folder of environments in Python, which the target `python` plays",
    ),
    (
        "examples/transcript",
        "a library for the tests of the other examples",
    ),
    (
        "examples/workbench",
        "the target `shell` kills and replays its episodes",
    ),
    (
        "tests/fixtures/remote-ref",
        "refused at admission, so it has no sessions",
    ),
];

/// Server flags: limits that are low enough to be reached, and fewer slots than
/// sessions, so that sessions hibernate and resume all the time.
pub const FLAGS: &[(&str, &str)] = &[
    ("--call-cpu", "1s"),
    ("--call-wall", "2s"),
    ("--setup-cpu", "1s"),
    ("--setup-wall", "2s"),
    ("--memory", "48MiB"),
    ("--disk", "1MiB"),
    ("--files", "200"),
    ("--open-files", "40"),
    ("--guest-log-limit", "1KiB"),
    ("--guest-log-total", "4KiB"),
    ("--max-sessions", "48"),
    ("--hibernate-after", "2s"),
    ("--idle-timeout", "1h"),
    ("--create-rate", "100000"),
];

/// Misbehavior that ends by itself.
const HOW: [&str; 7] = [
    "panic",
    "abort",
    "exit",
    "nan_reward",
    "bad_json",
    "overflow_stack",
    "huge_output",
];

/// Misbehavior that may run until a limit.
const LONG: [&str; 4] = ["eat_memory", "loop", "sleep_forever", "flood_stdout"];

const PATHS: [&str; 16] = [
    "/orwd_data",
    "/orwd_data/a.txt",
    "/orwd_data/a.txt",
    "/orwd_data/deep/b.txt",
    "/orwd_data/deep/c.txt",
    "/orwd_data/deep",
    "/orwd_data/new.txt",
    "/orwd_data/new/d.txt",
    "/tmp",
    "/tmp/x",
    "/tmp/y",
    "/tmp/folder",
    "/tmp/folder/z",
    "/tmp/../etc/passwd",
    "nowhere",
    "",
];

/// Raises the time limits for two servers that are compared, because when a time
/// limit applies differs between runs.
pub fn with_long_limits(flag: &str, value: &'static str) -> &'static str {
    match flag {
        "--call-cpu" | "--setup-cpu" | "--call-wall" | "--setup-wall" => "60s",
        _ => value,
    }
}

/// Returns a useful value for an input member of this name, if there is one; it
/// also keeps calls short.
pub fn typical_value(rng: &mut StdRng, environment: &str, member: &str) -> Option<Value> {
    Some(match (environment, member) {
        ("hostile", "how") if rng.random_bool(0.2) => json!(pick(rng, &LONG)),
        ("hostile", "how") => json!(pick(rng, &HOW)),
        (_, "path" | "from" | "to") => json!(pick(rng, &PATHS)),
        (_, "ms") => json!(pick(rng, &[0, 0, 1, 3, 8])),
        (_, "mib") => json!(pick(rng, &[0, 1, 3, 100])),
        (_, "millions") => json!(pick(rng, &[0, 1, 5])),
        (_, "levels") => json!(pick(rng, &[1, 2, 20, 100])),
        (_, "piece") => json!(pick(rng, &[0, 1, 100, 5000])),
        (_, "buffer") => json!(pick(rng, &[1, 7, 4096])),
        (_, "count") => json!(pick(rng, &[0, 1, 3, 9, 30, 300])),
        (_, "unit") => json!(pick(rng, &["a", "h\u{e9}", "words "])),
        (_, "row" | "column") => json!(rng.random_range(-1..10)),
        (_, "reward") => json!(pick(rng, &[0.0, 0.1, 1.0, -3.5, 1e300])),
        (_, "name") => json!(pick(rng, &["K", "L", "api_key", "nobody"])),
        (_, "word") => json!(pick(
            rng,
            &[
                "crane", "SLATE", "about", "mount", "zzzzz", "abc", "ghost", "fancy"
            ]
        )),
        (_, "answer") => json!(pick(
            rng,
            &["4", "6", "72", "#### 18", "1,000", "12 or 13", "?"]
        )),
        _ => return None,
    })
}

/// Picks one of these.
pub fn pick<T: Copy>(rng: &mut StdRng, of: &[T]) -> T {
    *of.choose(rng).expect("there is something to choose from")
}

impl EnvironmentProfile {
    /// Returns the path to serve, and writes a generated manifest first.
    pub fn path(&self, scratch: &TestDir) -> PathBuf {
        let Some(keys) = self.manifest else {
            return workspace_dir().join(self.folder);
        };
        for (name, text) in [("a.txt", "a"), ("deep/b.txt", "bb"), ("deep/c.txt", "")] {
            scratch.write(&format!("{}/data/{name}", self.name), text);
        }
        let fixture = self.folder.rsplit('/').next().expect("a name");
        let name = self.name;
        scratch.copy(&format!("{name}/{name}.wasm"), component(fixture));
        scratch.write(
            &format!("{name}/orwd.toml"),
            format!("name = \"{name}\"\n{keys}\n"),
        );
        scratch.path().join(name)
    }
}
