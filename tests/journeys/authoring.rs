//! From nothing to a served environment: `new`, its own tests, `build`,
//! `serve`.

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

#[test]
fn a_new_environment_passes_its_tests_builds_and_serves() {
    let scratch = Scratch::new();
    let made = Orwd::new(["new", "my-first"]).inside(scratch.path()).run();
    made.succeeds();
    let folder = scratch.path().join("my-first");
    for file in ["orwd.toml", "Cargo.toml", "src/lib.rs"] {
        assert!(folder.join(file).is_file(), "{file}");
    }

    let tested = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .arg("test")
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", target_dir())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tested.stdout);
    assert!(
        tested.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&tested.stderr)
    );
    assert!(said.contains("test result: ok"), "{said}");
    let nothing = said.contains("running 0 tests") && !said.contains(" passed; 0 failed");
    assert!(!nothing, "{said}");

    let built = Orwd::new(["build"]).inside(&folder).patience(BUILD).run();
    built.succeeds();
    let said = format!("{}{}", built.stdout, built.stderr);
    assert!(said.contains(".wasm"), "{said}");
    // The digest, in hexadecimal.
    let digest = said
        .split(|c: char| !c.is_ascii_hexdigit())
        .any(|word| word.len() >= 32);
    assert!(digest, "{said}");

    let server = Serve::path(&folder).start();
    let ors = server.ors();
    assert_eq!(ors.get("/list_environments").json(), json!(["my-first"]));
    let splits = ors.get("/my-first/splits").json();
    assert!(
        splits.as_array().is_some_and(|splits| !splits.is_empty()),
        "{splits}"
    );
    let session = ors.open("my-first", Task::At("train", 0));
    let prompt = session.get("prompt").json();
    assert!(prompt[0]["text"].is_string(), "{prompt}");
}

#[test]
fn what_is_there_is_not_overwritten() {
    let scratch = Scratch::new();
    let mine = scratch.write("taken/notes.txt", "mine");
    let ended = Orwd::new(["new", "taken"]).inside(scratch.path()).run();
    ended.refuses(&["taken"]);
    assert_eq!(std::fs::read_to_string(mine).unwrap(), "mine");
    let ended = Orwd::new(["new", "no/name"]).inside(scratch.path()).run();
    ended.refuses(&["no/name"]);
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
