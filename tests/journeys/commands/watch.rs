//! `orwd serve --watch`: new versions are served as sources change.

use std::path::Path;
use std::time::Duration;

use orwd_tests::background::wait_until;
use orwd_tests::ors::TaskSelector;
use orwd_tests::process::{OrwdCommand, ServeCommand};
use orwd_tests::test_dir::TestDir;
use serde_json::json;

/// The limit for a build on a busy machine.
const BUILD: Duration = Duration::from_secs(540);

/// Replaces a text in the source of an environment.
fn edit(folder: &Path, from: &str, to: &str) {
    let file = folder.join("src/lib.rs");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "no {from:?} in {text}");
    std::fs::write(&file, text.replace(from, to)).unwrap();
}

#[test]
fn a_change_is_served_to_new_sessions_and_a_failed_build_is_not() {
    let scratch = TestDir::new();
    OrwdCommand::new(["new", "watched"])
        .current_dir(scratch.path())
        .run()
        .expect_success();
    let folder = scratch.path().join("watched");
    let server = ServeCommand::path(&folder).flag("--watch").start();
    let ors = server.ors();
    let old = ors.open("watched", TaskSelector::At("train", 0));
    let prompt = |session: &orwd_tests::ors::SessionClient| session.get("prompt").text().to_owned();
    let before = prompt(&old);
    assert!(before.contains("A counter stands"), "{before}");

    edit(&folder, "A counter stands", "This counter stands");
    wait_until("the new version is served", BUILD, || {
        let session = ors.open("watched", TaskSelector::At("train", 0));
        prompt(&session).contains("This counter stands")
    });
    // A session stays on the version that it began with.
    assert_eq!(prompt(&old), before);
    let call = old.call("add", json!({"by": 1}));
    assert_eq!(call.text(), "1");

    edit(&folder, "fn prompt", "fn no_prompt");
    wait_until("the build fails", BUILD, || {
        server.log().contains("the old version stays")
    });
    let session = ors.open("watched", TaskSelector::At("train", 0));
    assert!(prompt(&session).contains("This counter stands"));
}

#[test]
fn watching_is_refused_where_it_would_break_a_promise() {
    for (flags, part) in [
        (["--hardening", "required"], "--hardening required"),
        (["--durability", "none"], "--durability none"),
    ] {
        let arguments = [&["serve", "--watch", "x.wasm"], &flags[..]].concat();
        OrwdCommand::new(arguments).run().expect_failure(&[part]);
    }
}
