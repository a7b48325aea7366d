//! The way of a new environment: `new`, `cargo test`, `build`, `play`, `serve`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use orwd_tests::artifacts::{binary, target_dir, workbench};
use orwd_tests::background::wait_until;
use orwd_tests::model_server::ModelServer;
use orwd_tests::ors::TaskSelector;
use orwd_tests::process::{OrwdCommand, ServeCommand};
use orwd_tests::test_dir::TestDir;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::TIMEOUT;

/// The limit for a clean build on a busy machine.
const BUILD: Duration = Duration::from_secs(540);

/// Creates an environment from a template, tests, builds, plays and serves it.
fn create_and_serve(name: &str, flags: &[&str]) {
    let scratch = TestDir::new();
    let made = OrwdCommand::new([&["new", name], flags].concat());
    made.current_dir(scratch.path()).run().expect_success();
    let folder = scratch.path().join(name);
    for file in ["orwd.toml", "Cargo.toml", "src/lib.rs"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    passes_its_tests(&folder);

    let built = OrwdCommand::new(["build"])
        .current_dir(&folder)
        .timeout(BUILD)
        .run();
    let said = built.expect_success();
    assert!(said.contains(".wasm"), "{said}");
    let mut words = said.split(|c: char| !c.is_ascii_hexdigit());
    assert!(words.any(|word| word.len() == 64), "no digest in {said}");

    serves_without_cargo(&scratch, &folder, name);

    let mut play =
        OrwdCommand::new(["play", ".", "--script", "transcript.jsonl"]).current_dir(&folder);
    play = play.timeout(BUILD);
    play.run().expect_success();

    let server = ServeCommand::path(&folder).start();
    let ors = server.ors();
    assert_eq!(ors.get("/list_environments").json(), json!([name]));
    let splits = ors.get(&format!("/{name}/splits")).json();
    assert_eq!(splits[0]["name"], "train");
    let prompt = ors
        .open(name, TaskSelector::At("train", 0))
        .get("prompt")
        .json();
    assert!(prompt[0]["text"].is_string(), "{prompt}");
}

/// Asserts that what `orwd build` leaves serves at another place, without cargo,
/// and so does the whole folder where cargo is missing.
fn serves_without_cargo(scratch: &TestDir, folder: &Path, name: &str) {
    let moved = scratch.path().join("elsewhere").join(name);
    std::fs::create_dir_all(moved.parent().unwrap()).unwrap();
    let copied = Command::new("cp")
        .arg("-r")
        .args([&folder.join("dist"), &moved])
        .status();
    assert!(copied.unwrap().success(), "dist was not copied");
    for (path, flags) in [
        (moved.as_path(), &["--no-build"][..]),
        (moved.as_path(), &[]),
        (moved.parent().unwrap(), &["--no-build"]),
        (folder, &[]),
    ] {
        let command = ServeCommand::path(path).env("PATH", "/nonexistent");
        let command = flags
            .iter()
            .fold(command, |command, flag| command.flag(flag));
        let server = command.start();
        let session = server.ors().open(name, TaskSelector::At("train", 0));
        assert!(session.get("prompt").json()[0]["text"].is_string());
    }
}

/// Asserts that `cargo test` runs at least one test there, and that all pass.
fn passes_its_tests(folder: &Path) {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .arg("test")
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target_dir())
        .output()
        .expect("cargo can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{error}");
    let some = said.lines().any(|line| {
        line.starts_with("test result: ok.") && !line.starts_with("test result: ok. 0 passed")
    });
    assert!(some, "{said}");
}

#[test]
fn a_new_environment_passes_its_tests_builds_plays_and_serves() {
    create_and_serve("my-first", &[]);
}

#[test]
fn a_new_environment_from_the_dataset_template_does_too() {
    create_and_serve("my-quiz", &["--template", "dataset"]);
}

#[test]
fn a_new_environment_from_the_shell_template_builds_and_plays() {
    // The same dependencies as those of the example, which is built for other tests.
    let example = workbench();
    let scratch = TestDir::new();
    let made = OrwdCommand::new(["new", "my-desk", "--template", "shell"]);
    made.current_dir(scratch.path()).run().expect_success();
    let folder = scratch.path().join("my-desk");
    let lock = std::fs::read_to_string(example.join("Cargo.lock")).unwrap();
    let lock = lock.replace("name = \"workbench\"", "name = \"my-desk\"");
    std::fs::write(folder.join("Cargo.lock"), lock).unwrap();
    let play = OrwdCommand::new(["play", ".", "--script", "transcript.jsonl"]);
    let played = play.current_dir(&folder).timeout(BUILD).run();
    played.expect_success();
}

#[test]
fn a_new_environment_from_the_judge_template_passes_its_tests_and_asks_its_model() {
    let scratch = TestDir::new();
    let made = OrwdCommand::new(["new", "my-exam", "--template", "judge"]);
    made.current_dir(scratch.path()).run().expect_success();
    let folder = scratch.path().join("my-exam");
    passes_its_tests(&folder);
    let model = ModelServer::with_key("kanarienvogel-key");
    for file in ["src/lib.rs", "orwd.toml"] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let text = text.replace("https://api.openai.com/v1", &model.api());
        std::fs::write(folder.join(file), text).unwrap();
    }
    let play = |flags: &[&str]| {
        let script = ["play", ".", "--script", "transcript.jsonl"];
        OrwdCommand::new([&script[..], flags].concat())
            .env("JUDGE_KEY", "kanarienvogel-key")
            .current_dir(&folder)
            .timeout(BUILD)
            .run()
    };
    let allowed = format!("my-exam={}", model.api());
    play(&["--allow-network", &allowed, "--secret", "JUDGE_KEY"]).expect_success();
    assert_eq!(model.asked().len(), 1);
    // Without the grant there is no grade, and no reward of 0.
    let refused = play(&["--secret", "JUDGE_KEY"]);
    assert!(refused.to_string().contains("--allow-network"), "{refused}");
    assert_eq!(model.asked().len(), 1);
}

#[test]
fn new_does_not_overwrite_a_directory() {
    let scratch = TestDir::new();
    let mine = scratch.write("taken/notes.txt", "mine");
    let ended = OrwdCommand::new(["new", "taken"])
        .current_dir(scratch.path())
        .run();
    ended.expect_failure(&["taken"]);
    assert_eq!(std::fs::read_to_string(mine).unwrap(), "mine");
    for name in ["no name", "ab", "health"] {
        let ended = OrwdCommand::new(["new", name])
            .current_dir(scratch.path())
            .run();
        ended.expect_failure(&[name]);
        assert!(!scratch.path().join(name).exists(), "{name}");
    }
}

#[test]
fn a_failed_build_shows_the_compilers_errors() {
    let scratch = TestDir::new();
    OrwdCommand::new(["new", "faulty"])
        .current_dir(scratch.path())
        .run()
        .expect_success();
    let source = scratch.path().join("faulty/src/lib.rs");
    let mut text = std::fs::read_to_string(&source).unwrap();
    text.push_str("\nfn broken() -> u32 { \"no number\" }\n");
    std::fs::write(&source, text).unwrap();
    let folder = scratch.at("faulty");
    let built = OrwdCommand::new(["build", &folder]).timeout(BUILD).run();
    built.expect_failure(&["mismatched types", "src/lib.rs"]);
    let served = ServeCommand::path(&folder).command().timeout(BUILD).run();
    served.expect_failure(&["mismatched types", "faulty"]);
}

#[test]
fn a_build_without_the_environment_is_an_error() {
    let scratch = TestDir::new();
    OrwdCommand::new(["new", "forgetful"])
        .current_dir(scratch.path())
        .run()
        .expect_success();
    let source = scratch.path().join("forgetful/src/lib.rs");
    let text = std::fs::read_to_string(&source).unwrap();
    let without: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("export!"))
        .collect();
    assert_ne!(without.len(), text.lines().count());
    std::fs::write(&source, without.join("\n")).unwrap();
    let folder = scratch.at("forgetful");
    let built = OrwdCommand::new(["build", &folder]).timeout(BUILD).run();
    built.expect_failure(&["forgetful", "orwd-catalog", "export!"]);
    assert!(!scratch.path().join("forgetful/dist").exists());
}

/// Returns whether a program started here ignores SIGINT, as the background jobs
/// of a shell do.
fn is_interrupt_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & (1 << (Signal::INT.as_raw() - 1)) != 0)
}

/// A stopped `orwd` leaves no compiler behind.
#[test]
fn what_a_build_started_ends_with_it() {
    for signal in [Signal::TERM, Signal::INT, Signal::KILL] {
        if signal == Signal::INT && is_interrupt_ignored() {
            eprintln!("skipped: this process was started with SIGINT ignored");
            continue;
        }
        let scratch = TestDir::new();
        let manifest = "name = \"endless\"\n[build]\ncommand = [\"sh\", \"-c\", \"sleep 600 & echo $! > pid.new; mv pid.new pid; wait\"]\ncomponent = \"x.wasm\"\n";
        scratch.write("endless/orwd.toml", manifest);
        let mut build = Command::new(binary())
            .args(["build", &scratch.at("endless")])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = scratch.path().join("endless/pid");
        wait_until("the build runs", TIMEOUT, || pid.exists());
        let pid = std::fs::read_to_string(pid).unwrap();
        let grandchild = Path::new("/proc").join(pid.trim());
        assert!(grandchild.exists());
        kill_process(Pid::from_child(&build), signal).unwrap();
        build.wait().unwrap();
        // A zombie that nobody waits for has no program.
        let ended = || {
            std::fs::read(grandchild.join("cmdline"))
                .unwrap_or_default()
                .is_empty()
        };
        wait_until("what the build started ends", TIMEOUT, ended);
    }
}

#[test]
fn a_folder_without_a_manifest_is_not_built() {
    let scratch = TestDir::new();
    let ended = OrwdCommand::new(["build"])
        .current_dir(scratch.path())
        .run();
    ended.expect_failure(&["orwd.toml"]);
}
