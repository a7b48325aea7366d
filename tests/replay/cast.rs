//! Who plays: every environment of the project, and what is to be known of it
//! beyond what it says of itself.
//!
//! A folder of `examples/` or `tests/fixtures/` that is neither here nor among
//! the exceptions fails a test, so that a new environment is replayed from its
//! first day.

use std::path::PathBuf;

use orwd_tests::artifacts::{component, workspace};
use orwd_tests::scratch::Scratch;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::{Value, json};

/// An environment and how it is played.
pub struct Role {
    /// Its name on the wire.
    pub name: &'static str,
    /// Where its sources are, from the workspace on.
    pub folder: &'static str,
    /// Plain keys of a manifest of its own; the component is that of the
    /// folder. None where the folder is served as it is.
    pub manifest: Option<&'static str>,
    /// Tools that it has and does not list.
    pub unlisted: &'static [&'static str],
    /// Tools whose answers depend on when they are called or on how fast the
    /// machine is, so that two runs differ.
    pub timely: &'static [&'static str],
    /// Secrets that its sessions get.
    pub secrets: &'static [&'static str],
    /// A task of the client's own making.
    pub spec: Option<fn(&mut StdRng) -> Value>,
}

/// What is like in most of them.
const PLAIN: Role = Role {
    name: "",
    folder: "",
    manifest: None,
    unlisted: &[],
    timely: &[],
    secrets: &[],
    spec: None,
};

/// Every environment that is played. Some are there twice, over other data.
pub const CAST: &[Role] = &[
    Role {
        name: "counter",
        folder: "examples/counter",
        ..PLAIN
    },
    Role {
        name: "gsm8k",
        folder: "examples/gsm8k",
        ..PLAIN
    },
    Role {
        name: "minesweeper",
        folder: "examples/minesweeper",
        ..PLAIN
    },
    Role {
        name: "wordle",
        folder: "examples/wordle",
        ..PLAIN
    },
    Role {
        name: "alpha",
        folder: "tests/fixtures/alpha",
        unlisted: &["hidden"],
        secrets: &["K", "L"],
        ..PLAIN
    },
    Role {
        name: "broken",
        folder: "tests/fixtures/broken",
        spec: Some(|rng| {
            let place = pick(rng, &["setup", "prompt", "teardown", "nowhere"]);
            json!({"where": place})
        }),
        ..PLAIN
    },
    Role {
        name: "chain",
        folder: "tests/fixtures/chain",
        spec: Some(|rng| json!({"setup_ms": rng.random_range(0..20)})),
        ..PLAIN
    },
    Role {
        name: "chance",
        folder: "tests/fixtures/chance",
        manifest: Some("data = \"../data\""),
        timely: &["clocks", "sleep"],
        spec: Some(|rng| json!({"setup_ms": rng.random_range(0..20)})),
        ..PLAIN
    },
    Role {
        name: "chat",
        folder: "tests/fixtures/chat",
        spec: Some(|rng| {
            let mode = pick(rng, &["single", "rich"]);
            let score = pick(rng, &["length", "rich", "fail", "short"]);
            json!({"mode": mode, "score": score})
        }),
        ..PLAIN
    },
    Role {
        name: "disk",
        folder: "tests/fixtures/disk",
        ..PLAIN
    },
    Role {
        name: "files",
        folder: "tests/fixtures/files",
        manifest: Some("data = \"../data\""),
        ..PLAIN
    },
    Role {
        name: "files-read-only",
        folder: "tests/fixtures/files",
        manifest: Some("data = \"../data\"\ndata-mode = \"read-only\""),
        ..PLAIN
    },
    Role {
        name: "files-without-data",
        folder: "tests/fixtures/files",
        manifest: Some(""),
        ..PLAIN
    },
    Role {
        name: "greedy",
        folder: "tests/fixtures/greedy",
        ..PLAIN
    },
    Role {
        name: "hostile",
        folder: "tests/fixtures/hostile",
        unlisted: &["extra"],
        timely: &["act"],
        spec: Some(|rng| {
            let places = ["setup", "prompt", "task_tools", "score_group", "teardown"];
            json!({"where": pick(rng, &places), "how": pick(rng, &HOW)})
        }),
        ..PLAIN
    },
    Role {
        name: "indexed",
        folder: "tests/fixtures/indexed",
        ..PLAIN
    },
    Role {
        name: "kit",
        folder: "tests/fixtures/kit",
        unlisted: &["special"],
        spec: Some(|rng| json!({"id": "own", "extra": rng.random_bool(0.5)})),
        ..PLAIN
    },
    Role {
        name: "leaky",
        folder: "tests/fixtures/leaky",
        secrets: &["CANARY", "KEYFILE"],
        spec: Some(|rng| {
            let place = pick(rng, &["", "setup", "prompt", "teardown"]);
            json!({"where": place})
        }),
        ..PLAIN
    },
    Role {
        name: "moody",
        folder: "tests/fixtures/moody",
        ..PLAIN
    },
    Role {
        name: "slow",
        folder: "tests/fixtures/slow",
        spec: Some(|rng| {
            let fail = rng.random_bool(0.3).then_some("late boom");
            json!({"setup_ms": rng.random_range(0..40), "fail": fail})
        }),
        ..PLAIN
    },
    Role {
        name: "termarg",
        folder: "tests/fixtures/termarg",
        unlisted: &["submit"],
        ..PLAIN
    },
    Role {
        name: "termnone",
        folder: "tests/fixtures/termnone",
        unlisted: &["stop"],
        ..PLAIN
    },
];

/// Folders that nobody plays, and why.
pub const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "examples/transcript",
        "a library for the tests of the other examples",
    ),
    (
        "tests/fixtures/outward",
        "made to be refused when it is admitted, so that it has no sessions",
    ),
];

/// Flags of the server: limits that bite early enough to be met, and fewer
/// places than there are sessions, so that they sleep and wake all along.
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

/// Ways to misbehave that come to an end by themselves.
const HOW: [&str; 7] = [
    "panic",
    "abort",
    "exit",
    "nan_reward",
    "bad_json",
    "overflow_stack",
    "huge_output",
];

/// Ways that may take until a limit strikes, and so long.
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

/// The same for two servers that are held against each other: no limit on time
/// strikes, which is nothing that two runs have in common.
pub fn patient(flag: &str, value: &'static str) -> &'static str {
    match flag {
        "--call-cpu" | "--setup-cpu" | "--call-wall" | "--setup-wall" => "60s",
        _ => value,
    }
}

/// Values that get somewhere, for the members of tools' inputs that have such a
/// name; they also keep a call from taking all day.
pub fn word(rng: &mut StdRng, environment: &str, member: &str) -> Option<Value> {
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

/// One of these.
pub fn pick<T: Copy>(rng: &mut StdRng, of: &[T]) -> T {
    *of.choose(rng).expect("there is something to choose from")
}

impl Role {
    /// What is served for it; manifests of its own are written first.
    pub fn path(&self, scratch: &Scratch) -> PathBuf {
        let Some(keys) = self.manifest else {
            return workspace().join(self.folder);
        };
        for (name, text) in [("a.txt", "a"), ("deep/b.txt", "bb"), ("deep/c.txt", "")] {
            scratch.write(&format!("data/{name}"), text);
        }
        let fixture = self.folder.rsplit('/').next().expect("a name");
        let component = json!(component(fixture).to_str().expect("a UTF-8 path"));
        let name = self.name;
        scratch.write(
            &format!("{name}/orwd.toml"),
            format!("name = \"{name}\"\n{keys}\n[build]\ncomponent = {component}\n"),
        );
        scratch.path().join(name)
    }
}
