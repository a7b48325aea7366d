//! `orwd.toml`: what it may say, and what happens when it says something
//! else.

use orwd_tests::artifacts::fixture;
use orwd_tests::expect::is_json;
use orwd_tests::ors::Task;
use orwd_tests::scratch::Scratch;
use serde_json::json;

use crate::{folder, serve};

#[test]
fn a_broken_manifest_is_told_with_its_place() {
    let scratch = Scratch::new();
    let check = |manifest: &str, parts: &[&str]| {
        scratch.write("bad/orwd.toml", manifest);
        let folder = scratch.at("bad");
        let ended = serve(&folder).command().run();
        ended.refuses(&[&[folder.as_str(), "orwd.toml"], parts].concat());
    };
    check(
        "name = \"good\"\ndta = \"x\"\n",
        &["dta", "`data`", "line 2"],
    );
    check(
        "name = \"good\"\n[limits]\nmemroy = \"64MiB\"\n",
        &["memroy", "memory", "line 3"],
    );
    check("name = \"good\n", &["line 1"]);
    check("description = \"no name\"\n", &["name"]);
    check("name = \"ab\"\n", &["ab", "3 to 64"]);
    check("name = \"with space\"\n", &["with space"]);
    check("name = \"health\"\n", &["health"]);
    check("name = \"good\"\ndata = 3\n", &["data", "line 2"]);
    check(
        "name = \"good\"\n[limits]\ncall-cpu = 5\n",
        &["call-cpu", "5s"],
    );
    check("", &["name"]);
}

#[test]
fn the_name_is_what_clients_use_and_the_order_is_that_of_the_paths() {
    let scratch = Scratch::new();
    let second = folder(&scratch, "Zweite", "chat", "", "");
    let first = folder(&scratch, "erste", "alpha", "", "");
    let server = serve(first).and(second).start();
    let ors = server.ors();
    let listed = ors.get("/list_environments").json();
    assert_eq!(listed, json!(["erste", "zweite"]));
    let answer = ors.get("/tools");
    assert_eq!(answer.header("location"), Some("/erste/tools"));
    let session = ors.open("zweite", Task::At("train", 0));
    assert_eq!(session.call("look", json!({})).text(), "looked");
}

#[test]
fn a_folder_of_environments_serves_each() {
    let scratch = Scratch::new();
    folder(&scratch, "bravo", "chat", "", "");
    folder(&scratch, "able", "alpha", "", "");
    scratch.write("README.md", "not an environment");
    let server = serve(scratch.path()).start();
    let listed = server.ors().get("/list_environments").json();
    assert_eq!(listed, json!(["able", "bravo"]));
}

#[test]
fn a_component_alone_is_named_after_its_file() {
    let scratch = Scratch::new();
    let bytes = std::fs::read(orwd_tests::artifacts::component("alpha")).unwrap();
    let file = scratch.write("my-maths.wasm", bytes);
    let server = serve(file).start();
    let listed = server.ors().get("/list_environments").json();
    assert_eq!(listed, json!(["my-maths"]));
}

#[test]
fn required_secrets_are_told_to_who_asks() {
    let scratch = Scratch::new();
    let keyed = folder(
        &scratch,
        "keyed",
        "alpha",
        "secrets = [\"JUDGE_KEY\", \"OTHER\"]",
        "",
    );
    let server = serve(keyed).and(fixture("chat")).flag("--no-build").start();
    let ors = server.ors();
    let check = |path: &str, secrets: serde_json::Value| {
        let answer = ors.get(&format!("/v1/environments/{path}/required-secrets"));
        is_json(&answer, 200, &json!({ "secrets": secrets }));
    };
    check("team/keyed", json!(["JUDGE_KEY", "OTHER"]));
    check("other-team/KEYED", json!(["JUDGE_KEY", "OTHER"]));
    check("team/chat", json!([]));
}

#[test]
fn a_manifest_narrows_limits_and_does_not_widen_them() {
    let scratch = Scratch::new();
    let narrow = folder(
        &scratch,
        "narrow",
        "alpha",
        "",
        "[limits]\ncall-wall = \"700ms\"",
    );
    let wide = folder(
        &scratch,
        "wide",
        "alpha",
        "",
        "[limits]\ncall-wall = \"1h\"",
    );
    let server = serve(narrow).and(wide).set("--call-wall", "5s").start();
    let ors = server.ors();
    let sleep = |environment: &str, ms: u64| {
        let session = ors.open(environment, Task::At("train", 0));
        session.call("sleep", json!({ "ms": ms }))
    };
    let cut = sleep("narrow", 3000);
    assert!(cut.error().starts_with("limit_wall: "), "{}", cut.error());
    assert!(sleep("wide", 1500).text().contains("\"end\": 2"));
    let cut = sleep("wide", 20_000);
    assert!(cut.error().starts_with("limit_wall: "), "{}", cut.error());
}
