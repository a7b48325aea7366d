//! What is refused at the start, before anything is served: one message that
//! names what is wrong and where, and an exit code that says so.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use orwd_tests::artifacts::{component, fixture};
use orwd_tests::command::Orwd;
use orwd_tests::scratch::Scratch;
use orwd_tests::server::Serve;
use serde_json::json;

use crate::{folder, serve};

/// Serving this path fails, and the message names the path and each of these.
#[track_caller]
fn refused(path: &Path, parts: &[&str]) {
    let ended = serve(path).command().run();
    ended.refuses(&[&[path.to_str().unwrap()], parts].concat());
}

#[test]
fn a_path_that_is_not_there() {
    let scratch = Scratch::new();
    refused(&scratch.path().join("nowhere"), &[]);
    refused(&scratch.path().join("nowhere.wasm"), &[]);
}

#[test]
fn a_folder_without_an_environment() {
    let scratch = Scratch::new();
    scratch.write("empty/README.md", "nothing to serve here");
    refused(&scratch.path().join("empty"), &["orwd.toml"]);
}

#[test]
fn a_file_that_is_no_component() {
    let scratch = Scratch::new();
    let whole = fs::read(component("alpha")).unwrap();
    let noise: Vec<u8> = (0u32..4096)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let check = |name: &str, bytes: &[u8], parts: &[&str]| {
        refused(&scratch.write(name, bytes), parts);
    };
    check("empty.wasm", b"", &["empty"]);
    check("text.wasm", b"(component)", &["component"]);
    check("noise.wasm", &noise, &["component"]);
    check(
        "core.wasm",
        b"\0asm\x01\0\0\0",
        &["core", "module", "component"],
    );
    check("half.wasm", &whole[..whole.len() / 2], &["component"]);
    // Precompiled code is an ELF file, and loading one would be to run it.
    let mut elf = b"\x7fELF\x02\x01\x01\0".to_vec();
    elf.extend_from_slice(&noise);
    check("precompiled.cwasm", &elf, &["component"]);
}

#[test]
fn a_component_of_another_world() {
    let scratch = Scratch::new();
    // A component, and an empty one.
    let empty = scratch.write("other.wasm", b"\0asm\x0d\0\x01\0");
    refused(&empty, &["orwd-catalog", "orwd-episode"]);
}

/// A component that differs from `alpha` in one name of the same length.
fn renamed(scratch: &Scratch, file: &str, from: &str, to: &str) -> std::path::PathBuf {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(component("alpha")).unwrap();
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, window)| *window == from.as_bytes())
        .map(|(place, _)| place)
        .collect();
    assert!(!places.is_empty(), "{from} does not occur in alpha");
    for place in places {
        bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
    }
    scratch.write(file, bytes)
}

#[test]
fn a_component_for_a_newer_version_of_the_package() {
    let scratch = Scratch::new();
    let newer = renamed(
        &scratch,
        "newer.wasm",
        "/orwd-episode@0.1.0",
        "/orwd-episode@0.9.0",
    );
    refused(&newer, &["orwd-episode", "0.9.0"]);
}

#[test]
fn a_component_that_wants_what_is_not_granted() {
    let scratch = Scratch::new();
    let greedy = renamed(
        &scratch,
        "greedy.wasm",
        "wasi:cli/stderr@",
        "wasi:cli/remote@",
    );
    refused(&greedy, &["wasi:cli/remote"]);
}

#[test]
fn an_environment_that_does_not_describe_itself() {
    let scratch = Scratch::new();
    for (mood, parts) in [
        ("panic", &["describe", "env_trap"][..]),
        ("loop", &["describe", "limit_cpu"]),
        ("empty", &["describe", "no split"]),
    ] {
        scratch.write(&format!("{mood}/mood"), mood);
        let ended = Serve::fixtures(&["moody"])
            .set("--data", scratch.path().join(mood))
            .set("--call-cpu", "500ms")
            // The guest's own last words are not what this is about.
            .set("--log", "warn")
            .command()
            .run();
        ended.refuses(&[&["moody"], parts].concat());
    }
}

#[test]
fn two_environments_of_one_name() {
    let scratch = Scratch::new();
    let second = folder(&scratch, "Alpha", "chat", "", "");
    let first = fixture("alpha");
    let ended = serve(&first).and(&second).command().run();
    ended.refuses(&["alpha", first.to_str().unwrap(), &second]);
}

#[test]
fn a_data_directory_that_is_missing_or_none() {
    let scratch = Scratch::new();
    let file = scratch.write("file", "no directory");
    for data in [scratch.path().join("missing"), file] {
        let ended = Serve::fixtures(&["files"])
            .set("--data", &data)
            .command()
            .run();
        ended.refuses(&[data.to_str().unwrap()]);
    }
    // The same of the manifest: the path is relative to its folder.
    let path = folder(&scratch, "wants-data", "files", "data = \"gone\"", "");
    refused(Path::new(&path), &["gone"]);
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Serve::fixtures(&["alpha"]).command_at(&address).run();
    ended.refuses(&[&address, "in use"]);
}

#[test]
fn flags_that_make_no_sense_name_themselves() {
    let check = |flag: &str, value: &str, parts: &[&str]| {
        let ended = Serve::path("anything").set(flag, value).command().run();
        ended.refuses(&[&[flag, value], parts].concat());
    };
    check("--call-wall", "60", &["60s", "60ms"]);
    check("--memory", "64MB", &["MiB"]);
    check("--memory", "0", &[]);
    check("--max-sessions", "0", &[]);
    check("--create-rate", "0", &[]);
    check("--body-rate", "0", &["1GiB"]);
    check("--idle-timeout", "soon", &["60s"]);
    check("--log-format", "xml", &["text", "json"]);

    let ended = Serve::path("anything").command_at("example.test:80").run();
    ended.refuses(&["--listen", "127.0.0.1:8080"]);
    let ended = Serve::path("anything")
        .set("--memroy", "64MiB")
        .command()
        .run();
    ended.refuses(&["--memroy", "--memory"]);
    Orwd::new(["serve"]).run().refuses(&["PATH"]);
    Orwd::new(["srve"]).run().refuses(&["srve", "serve"]);
}

#[test]
fn with_several_environments_each_bad_one_is_named() {
    let scratch = Scratch::new();
    let text = scratch.write("text.wasm", "no component");
    let missing = scratch.path().join("missing");
    let ended = serve(fixture("alpha"))
        .and(&text)
        .and(&missing)
        .command()
        .run();
    ended.refuses(&[text.to_str().unwrap(), missing.to_str().unwrap()]);
}

#[test]
fn the_good_ones_are_served_when_asked_to_keep_going() {
    let scratch = Scratch::new();
    let text = scratch.write("text.wasm", "no component");
    let server = serve(&text)
        .and(fixture("alpha"))
        .and(scratch.path().join("missing"))
        .and(fixture("chat"))
        .flag("--no-build")
        .flag("--keep-going")
        .start();
    let listed = server.ors().get("/list_environments").json();
    assert_eq!(listed, json!(["alpha", "chat"]));
    server.logs("text.wasm");
    server.logs("missing");

    let nothing = serve(&text).flag("--keep-going").command().run();
    nothing.refuses(&["text.wasm"]);
}
