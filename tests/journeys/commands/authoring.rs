//! The way of a new environment: `new`, `cargo test`, `build`, `play`, `serve`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use orwd_tests::artifacts::target_dir;
use orwd_tests::ors::TaskSelector;
use orwd_tests::process::{OrwdCommand, ServeCommand};
use orwd_tests::test_dir::TestDir;
use serde_json::json;

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
fn a_folder_without_a_manifest_is_not_built() {
    let scratch = TestDir::new();
    let ended = OrwdCommand::new(["build"])
        .current_dir(scratch.path())
        .run();
    ended.expect_failure(&["orwd.toml"]);
}
