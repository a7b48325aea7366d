//! From nothing to a served environment: `new`, its own tests, `build`,
//! `play`, `serve`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use orwd_tests::artifacts::target_dir;
use orwd_tests::command::Orwd;
use orwd_tests::ors::Task;
use orwd_tests::scratch::Scratch;
use orwd_tests::server::Serve;
use serde_json::json;

/// A build from nothing, on a machine with other things to do.
const BUILD: Duration = Duration::from_secs(540);

/// The whole way of an environment that starts from a template.
fn from_nothing(name: &str, flags: &[&str]) {
    let scratch = Scratch::new();
    let made = Orwd::new([&["new", name], flags].concat());
    made.inside(scratch.path()).run().succeeds();
    let folder = scratch.path().join(name);
    for file in ["orwd.toml", "Cargo.toml", "src/lib.rs"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    passes_its_tests(&folder);

    let built = Orwd::new(["build"]).inside(&folder).patience(BUILD).run();
    let said = built.succeeds();
    assert!(said.contains(".wasm"), "{said}");
    let mut words = said.split(|c: char| !c.is_ascii_hexdigit());
    assert!(words.any(|word| word.len() == 64), "no digest in {said}");

    let mut play = Orwd::new(["play", ".", "--script", "transcript.jsonl"]).inside(&folder);
    play = play.patience(BUILD);
    play.run().succeeds();

    let server = Serve::path(&folder).start();
    let ors = server.ors();
    assert_eq!(ors.get("/list_environments").json(), json!([name]));
    let splits = ors.get(&format!("/{name}/splits")).json();
    assert_eq!(splits[0]["name"], "train");
    let prompt = ors.open(name, Task::At("train", 0)).get("prompt").json();
    assert!(prompt[0]["text"].is_string(), "{prompt}");
}

/// `cargo test` runs some tests there, and they pass.
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
    from_nothing("my-first", &[]);
}

#[test]
fn so_does_one_that_starts_from_data() {
    from_nothing("my-quiz", &["--template", "dataset"]);
}

#[test]
fn what_is_there_is_not_overwritten() {
    let scratch = Scratch::new();
    let mine = scratch.write("taken/notes.txt", "mine");
    let ended = Orwd::new(["new", "taken"]).inside(scratch.path()).run();
    ended.refuses(&["taken"]);
    assert_eq!(std::fs::read_to_string(mine).unwrap(), "mine");
    for name in ["no name", "ab", "health"] {
        let ended = Orwd::new(["new", name]).inside(scratch.path()).run();
        ended.refuses(&[name]);
        assert!(!scratch.path().join(name).exists(), "{name}");
    }
}

#[test]
fn a_build_that_fails_shows_what_the_compiler_said() {
    let scratch = Scratch::new();
    Orwd::new(["new", "faulty"])
        .inside(scratch.path())
        .run()
        .succeeds();
    let source = scratch.path().join("faulty/src/lib.rs");
    let mut text = std::fs::read_to_string(&source).unwrap();
    text.push_str("\nfn broken() -> u32 { \"no number\" }\n");
    std::fs::write(&source, text).unwrap();
    let folder = scratch.at("faulty");
    let built = Orwd::new(["build", &folder]).patience(BUILD).run();
    built.refuses(&["mismatched types", "src/lib.rs"]);
    let served = Serve::path(&folder).command().patience(BUILD).run();
    served.refuses(&["mismatched types", "faulty"]);
}

#[test]
fn a_folder_without_a_manifest_is_not_built() {
    let scratch = Scratch::new();
    let ended = Orwd::new(["build"]).inside(scratch.path()).run();
    ended.refuses(&["orwd.toml"]);
}
