//! Errors at startup: one message that names the problem and its location, and a
//! non-zero exit code.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use orwd_tests::artifacts::{component, fixture};
use orwd_tests::process::{OrwdCommand, ServeCommand};
use orwd_tests::test_dir::TestDir;
use serde_json::json;

use crate::support::{environment_dir, serve};

/// Asserts that serving this path fails with a message that names it and each
/// part.
#[track_caller]
fn refused(path: &Path, parts: &[&str]) {
    let ended = serve(path).command().run();
    ended.expect_failure(&[&[path.to_str().unwrap()], parts].concat());
}

#[test]
fn a_missing_path() {
    let scratch = TestDir::new();
    refused(&scratch.path().join("nowhere"), &[]);
    refused(&scratch.path().join("nowhere.wasm"), &[]);
}

#[test]
fn a_folder_without_an_environment() {
    let scratch = TestDir::new();
    scratch.write("empty/README.md", "nothing to serve here");
    refused(&scratch.path().join("empty"), &["orwd.toml"]);
}

#[test]
fn a_file_that_is_not_a_component() {
    let scratch = TestDir::new();
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
    // Precompiled code is an ELF file; loading one would run it.
    let mut elf = b"\x7fELF\x02\x01\x01\0".to_vec();
    elf.extend_from_slice(&noise);
    check("precompiled.cwasm", &elf, &["component"]);
}

#[test]
fn a_component_of_another_world() {
    let scratch = TestDir::new();
    // A valid but empty component.
    let empty = scratch.write("other.wasm", b"\0asm\x0d\0\x01\0");
    refused(&empty, &["orwd-catalog", "orwd-episode"]);
}

/// Writes a copy of `alpha` with one name replaced by another of equal length.
fn renamed(scratch: &TestDir, file: &str, from: &str, to: &str) -> std::path::PathBuf {
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
    let scratch = TestDir::new();
    let newer = renamed(
        &scratch,
        "newer.wasm",
        "/orwd-episode@0.1.0",
        "/orwd-episode@0.9.0",
    );
    refused(&newer, &["orwd-episode", "0.9.0"]);
}

#[test]
fn a_component_with_an_import_that_is_not_granted() {
    let scratch = TestDir::new();
    let greedy = renamed(
        &scratch,
        "consumer.wasm",
        "wasi:cli/stderr@",
        "wasi:cli/remote@",
    );
    refused(&greedy, &["wasi:cli/remote"]);
}

#[test]
fn an_environment_that_does_not_describe_itself() {
    let scratch = TestDir::new();
    for (mode, parts) in [
        ("panic", &["describe", "env_trap"][..]),
        ("loop", &["describe", "limit_cpu"]),
        ("empty", &["describe", "no split"]),
    ] {
        scratch.write(&format!("{mode}/mode"), mode);
        let ended = ServeCommand::fixtures(&["catalog-faults"])
            .set("--data", scratch.path().join(mode))
            .set("--call-cpu", "500ms")
            // Without the guest's own output.
            .set("--log", "warn")
            .command()
            .run();
        ended.expect_failure(&[&["catalog-faults"], parts].concat());
    }
}

#[test]
fn two_environments_with_one_name() {
    let scratch = TestDir::new();
    let second = environment_dir(&scratch, "Alpha", "chat", "", "");
    let first = fixture("alpha");
    let ended = serve(&first).and_path(&second).command().run();
    ended.expect_failure(&["alpha", first.to_str().unwrap(), &second]);
}

#[test]
fn a_missing_data_directory() {
    let scratch = TestDir::new();
    let file = scratch.write("file", "no directory");
    for data in [scratch.path().join("missing"), file] {
        let ended = ServeCommand::fixtures(&["files"])
            .set("--data", &data)
            .command()
            .run();
        ended.expect_failure(&[data.to_str().unwrap()]);
    }
    // A path in the manifest is relative to its directory.
    let path = environment_dir(&scratch, "wants-data", "files", "data = \"gone\"", "");
    refused(Path::new(&path), &["gone"]);
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = ServeCommand::fixtures(&["alpha"])
        .command_at(&address)
        .run();
    ended.expect_failure(&[&address, "in use"]);
}

#[test]
fn an_invalid_flag_is_named() {
    let check = |flag: &str, value: &str, parts: &[&str]| {
        let ended = ServeCommand::path("anything")
            .set(flag, value)
            .command()
            .run();
        ended.expect_failure(&[&[flag, value], parts].concat());
    };
    check("--call-wall", "60", &["60s", "60ms"]);
    check("--memory", "64MB", &["MiB"]);
    check("--memory", "0", &[]);
    check("--max-sessions", "0", &[]);
    check("--create-rate", "0", &[]);
    check("--body-rate", "0", &["1GiB"]);
    check("--idle-timeout", "soon", &["60s"]);
    check("--log-format", "xml", &["text", "json"]);

    let ended = ServeCommand::path("anything")
        .command_at("example.test:80")
        .run();
    ended.expect_failure(&["--listen", "127.0.0.1:8080"]);
    let ended = ServeCommand::path("anything")
        .set("--memroy", "64MiB")
        .command()
        .run();
    ended.expect_failure(&["--memroy", "--memory"]);
    OrwdCommand::new(["serve"]).run().expect_failure(&["PATH"]);
    OrwdCommand::new(["srve"])
        .run()
        .expect_failure(&["srve", "serve"]);
}

#[test]
fn every_invalid_environment_is_named() {
    let scratch = TestDir::new();
    let text = scratch.write("text.wasm", "no component");
    let missing = scratch.path().join("missing");
    let ended = serve(fixture("alpha"))
        .and_path(&text)
        .and_path(&missing)
        .command()
        .run();
    ended.expect_failure(&[text.to_str().unwrap(), missing.to_str().unwrap()]);
}

#[test]
fn keep_going_serves_the_valid_environments() {
    let scratch = TestDir::new();
    let text = scratch.write("text.wasm", "no component");
    let server = serve(&text)
        .and_path(fixture("alpha"))
        .and_path(scratch.path().join("missing"))
        .and_path(fixture("chat"))
        .flag("--no-build")
        .flag("--keep-going")
        .start();
    let listed = server.ors().get("/list_environments").json();
    assert_eq!(listed, json!(["alpha", "chat"]));
    server.wait_for_log("text.wasm");
    server.wait_for_log("missing");

    let nothing = serve(&text).flag("--keep-going").command().run();
    nothing.expect_failure(&["text.wasm"]);
}
