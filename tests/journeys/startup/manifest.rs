//! `orwd.toml`: its keys, and the errors for invalid ones.

use orwd_tests::artifacts::fixture;
use orwd_tests::expect::assert_json;
use orwd_tests::ors::TaskSelector;
use orwd_tests::test_dir::TestDir;
use serde_json::json;

use crate::support::{environment_dir, serve};

#[test]
fn an_invalid_manifest_is_reported_with_its_line() {
    let scratch = TestDir::new();
    let check = |manifest: &str, parts: &[&str]| {
        scratch.write("bad/orwd.toml", manifest);
        let folder = scratch.at("bad");
        let ended = serve(&folder).command().run();
        ended.expect_failure(&[&[folder.as_str(), "orwd.toml"], parts].concat());
    };
    check(
        "name = \"good\"\ndta = \"x\"\n",
        &["dta", "`data`", "orwd.toml:2:"],
    );
    check(
        "name = \"good\"\n[limits]\nmemroy = \"64MiB\"\n",
        &["memroy", "memory", "orwd.toml:3:"],
    );
    check("name = \"good\n", &["orwd.toml:1:"]);
    check("description = \"no name\"\n", &["name"]);
    check("name = \"ab\"\n", &["ab", "3 to 64"]);
    check("name = \"with space\"\n", &["with space"]);
    check("name = \"health\"\n", &["health"]);
    check("name = \"good\"\ndata = 3\n", &["data", "orwd.toml:2:"]);
    check(
        "name = \"good\"\n[limits]\ncall-cpu = 5\n",
        &["call-cpu", "5s"],
    );
    check("", &["name"]);
}

#[test]
fn the_manifest_names_the_environment_and_the_paths_give_the_order() {
    let scratch = TestDir::new();
    let second = environment_dir(&scratch, "Zweite", "chat", "", "");
    let first = environment_dir(&scratch, "erste", "alpha", "", "");
    let server = serve(first).and_path(second).start();
    let ors = server.ors();
    let listed = ors.get("/list_environments").json();
    assert_eq!(listed, json!(["erste", "zweite"]));
    let answer = ors.get("/tools");
    assert_eq!(answer.header("location"), Some("/erste/tools"));
    let session = ors.open("zweite", TaskSelector::At("train", 0));
    assert_eq!(session.call("look", json!({})).text(), "looked");
}

#[test]
fn a_folder_of_environments_serves_each() {
    let scratch = TestDir::new();
    environment_dir(&scratch, "bravo", "chat", "", "");
    environment_dir(&scratch, "able", "alpha", "", "");
    scratch.write("README.md", "not an environment");
    let server = serve(scratch.path()).start();
    let listed = server.ors().get("/list_environments").json();
    assert_eq!(listed, json!(["able", "bravo"]));
}

#[test]
fn a_component_alone_is_named_after_its_file() {
    let scratch = TestDir::new();
    let bytes = std::fs::read(orwd_tests::artifacts::component("alpha")).unwrap();
    let file = scratch.write("my-maths.wasm", bytes);
    let server = serve(file).start();
    let listed = server.ors().get("/list_environments").json();
    assert_eq!(listed, json!(["my-maths"]));
}

#[test]
fn required_secrets_are_listed() {
    let scratch = TestDir::new();
    let keyed = environment_dir(
        &scratch,
        "keyed",
        "alpha",
        "secrets = [\"JUDGE_KEY\", \"OTHER\"]",
        "",
    );
    let server = serve(keyed)
        .and_path(fixture("chat"))
        .flag("--no-build")
        .start();
    let ors = server.ors();
    let check = |path: &str, secrets: serde_json::Value| {
        let answer = ors.get(&format!("/v1/environments/{path}/required-secrets"));
        assert_json(&answer, 200, &json!({ "secrets": secrets }));
    };
    check("team/keyed", json!(["JUDGE_KEY", "OTHER"]));
    check("other-team/KEYED", json!(["JUDGE_KEY", "OTHER"]));
    check("team/chat", json!([]));
}

#[test]
fn a_manifest_lowers_limits_and_does_not_raise_them() {
    let scratch = TestDir::new();
    let narrow = environment_dir(
        &scratch,
        "narrow",
        "alpha",
        "",
        "[limits]\ncall-wall = \"700ms\"",
    );
    let wide = environment_dir(
        &scratch,
        "wide",
        "alpha",
        "",
        "[limits]\ncall-wall = \"1h\"",
    );
    let server = serve(narrow)
        .and_path(wide)
        .set("--call-wall", "5s")
        .start();
    let ors = server.ors();
    let sleep = |environment: &str, ms: u64| {
        let session = ors.open(environment, TaskSelector::At("train", 0));
        session.call("sleep", json!({ "ms": ms }))
    };
    let cut = sleep("narrow", 3000);
    assert!(cut.error().starts_with("limit_wall: "), "{}", cut.error());
    assert!(sleep("wide", 1500).text().contains("\"end\": 2"));
    let cut = sleep("wide", 20_000);
    assert!(cut.error().starts_with("limit_wall: "), "{}", cut.error());
}
