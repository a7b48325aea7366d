//! Folders of strangers: what an author writes reaches nothing outside of the
//! author's folder, cannot stop the server from starting, and runs nothing.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use orwd_tests::artifacts::component;
use orwd_tests::ors::TaskSelector;
use orwd_tests::process::{OrwdCommand, ServeCommand};
use orwd_tests::requirement;
use orwd_tests::test_dir::TestDir;
use serde_json::json;

use crate::support::{environment_dir, serve};

/// Writes the folder of an environment that reads files.
fn reader(scratch: &TestDir, name: &str, keys: &str) -> PathBuf {
    PathBuf::from(environment_dir(scratch, name, "files", keys, ""))
}

/// Returns what a session of an environment reads there.
fn read(server: ServeCommand, name: &str, path: &str) -> String {
    let server = server.start();
    let session = server.ors().open(name, TaskSelector::Spec(json!({})));
    session.call("read", json!({ "path": path })).text()
}

#[test]
fn data_outside_of_the_authors_folder_is_refused_and_the_operator_may_map_it() {
    let scratch = TestDir::new();
    let key = scratch.write("home/.ssh/id_ed25519", "OPERATOR");
    let ssh = key.parent().unwrap();
    let quoted = |path: &Path| format!("data = {:?}", path.to_str().unwrap());
    let by_absolute_path = reader(&scratch, "by-absolute-path", &quoted(ssh));
    let by_parent = reader(&scratch, "by-parent-folder", "data = \"../home/.ssh\"");
    let by_link = reader(&scratch, "by-link", "data = \"data\"");
    symlink(ssh, by_link.join("data")).unwrap();
    let by_inner_link = reader(&scratch, "by-inner-link", "data = \"a/b\"");
    symlink("../home", by_inner_link.join("a")).unwrap();
    for folder in [by_absolute_path, by_parent, by_link.clone(), by_inner_link] {
        let path = folder.to_str().unwrap();
        let ended = serve(&folder).command().run();
        ended.expect_failure(&[path]);
        assert!(
            ended.stderr.contains("leads out") || ended.stderr.contains("--data NAME=DIR"),
            "{ended}"
        );
        OrwdCommand::new(["inspect", path])
            .run()
            .expect_failure(&[path]);
    }
    let mapped = serve(&by_link).set("--data", format!("by-link={}", ssh.display()));
    assert_eq!(read(mapped, "by-link", "/orwd_data/id_ed25519"), "OPERATOR");
    let misspelt = serve(&by_link).set("--data", format!("by-lnik={}", ssh.display()));
    misspelt.command().run().expect_failure(&["by-lnik"]);
}

#[test]
fn links_in_the_data_are_not_followed_out_of_it_and_are_named_at_the_start() {
    let scratch = TestDir::new();
    scratch.write("hub/blobs/0a1b", "rows");
    scratch.write("hub/snapshots/main/README.md", "hello");
    let snapshot = scratch.path().join("hub/snapshots/main");
    symlink("../../blobs/0a1b", snapshot.join("train.csv")).unwrap();
    symlink("/etc", snapshot.join("etc")).unwrap();
    let folder = reader(&scratch, "cached", "");
    let server = serve(&folder).set("--data", &snapshot).start();
    server.wait_for_log("links lead out of the data directory");
    let log = server.log();
    for part in ["links=2", "cp -rL", "--data"] {
        assert!(log.contains(part), "no {part} in {log}");
    }
    let session = server.ors().open("cached", TaskSelector::Spec(json!({})));
    let text = |path: &str| session.call("read", json!({ "path": path })).text();
    assert_eq!(text("/orwd_data/README.md"), "hello");
    for path in ["/orwd_data/train.csv", "/orwd_data/etc/passwd"] {
        assert!(text(path).starts_with("error: "), "{path}");
    }
    // With the folder that holds both, it works.
    let whole = serve(&folder).set("--data", scratch.at("hub"));
    let path = "/orwd_data/snapshots/main/train.csv";
    assert_eq!(read(whole, "cached", path), "rows");
}

#[test]
fn state_cache_and_keys_are_never_data() {
    let scratch = TestDir::new();
    let folder = reader(&scratch, "greedy", "data = \"data\"");
    fs::create_dir_all(folder.join("data/sub")).unwrap();
    fs::create_dir(scratch.path().join("keys")).unwrap();
    OrwdCommand::new([
        "keys",
        "new",
        "alice",
        "--api-keys",
        &scratch.at("keys/more.toml"),
    ])
    .run()
    .expect_success();
    let refused = |flags: &[(&str, &Path)]| {
        let command = flags.iter().fold(serve(&folder), |serve, (flag, value)| {
            serve.set(flag, value)
        });
        let ended = command.command().run();
        ended.expect_failure(&["greedy", "state, cache or keys"]);
    };
    let data = folder.join("data");
    let (state, cache, keys) = (
        scratch.path().join("state"),
        scratch.path().join("cache"),
        scratch.path().join("keys"),
    );
    // Chosen by the author, who guesses where the server's own files are.
    refused(&[("--state", &data)]);
    refused(&[("--state", &data.join("sub/not/yet"))]);
    refused(&[("--cache", &folder)]);
    // Chosen by the operator, by mistake.
    fs::create_dir(&state).unwrap();
    fs::create_dir(&cache).unwrap();
    refused(&[("--state", &state), ("--data", &state)]);
    refused(&[("--state", &state), ("--data", scratch.path())]);
    refused(&[("--cache", &cache), ("--data", &cache)]);
    refused(&[("--api-keys", &keys.join("more.toml")), ("--data", &keys)]);
    // By another name of the same directory.
    let link = scratch.path().join("link");
    symlink(&state, &link).unwrap();
    refused(&[("--state", &state), ("--data", &link)]);
    // The state of another server is recognised by its files.
    drop(serve(component("files")).set("--state", &state).start());
    refused(&[("--data", &state)]);
    refused(&[("--data", &state.join("components"))]);
}

#[test]
fn bind_mounts_and_hard_links_do_not_disguise_the_operators_files() {
    let scratch = TestDir::new();
    let folder = reader(&scratch, "greedy", "data = \"data\"");
    scratch.write("greedy/data/sub/notes.txt", "notes");
    let keys = scratch.at("keys.toml");
    OrwdCommand::new(["keys", "add", "alice", "--api-keys", &keys])
        .run()
        .expect_success();
    let state = scratch.path().join("state");
    fs::create_dir(&state).unwrap();
    drop(serve(component("files")).set("--state", &state).start());
    let arguments = [
        "serve",
        "--no-build",
        "--listen",
        "127.0.0.1:0",
        "--api-keys",
        &keys,
        "--state",
        &scratch.at("state"),
        "--cache",
        &scratch.at("cache"),
        folder.to_str().unwrap(),
    ];
    let notes = folder.join("data/sub/notes.txt");
    let linked = folder.join("data/hard-link");
    fs::hard_link(&keys, &linked).unwrap();
    let ended = OrwdCommand::new(arguments).run();
    ended.expect_failure(&["greedy", "state, cache or keys"]);
    fs::remove_file(&linked).unwrap();
    // Any user may mount in a namespace of its own.
    let unshare = ["--user", "--map-root-user", "--mount"];
    let permitted = Command::new("unshare").args(unshare).arg("true").status();
    if !permitted.is_ok_and(|status| status.success()) {
        requirement::skip(
            "this user may not mount in a namespace",
            "install util-linux, and allow user namespaces or run the tests as root",
        );
        return;
    }
    let data = folder.join("data");
    for (from, to) in [
        (state.as_path(), data.as_path()),
        (&state.join("components"), &data),
        (scratch.path(), &data),
        (&state, &data.join("sub")),
        (Path::new(&keys), &notes),
        (&state.join("receipts.key"), &notes),
    ] {
        let script = r#"mount --bind "$1" "$2" && shift 2 && exec "$@""#;
        let mount = ["sh", "-c", script, "sh"].map(OsStr::new);
        let binary = orwd_tests::artifacts::binary();
        let paths = [from.as_os_str(), to.as_os_str(), binary.as_os_str()];
        let all = unshare
            .map(OsStr::new)
            .into_iter()
            .chain(mount)
            .chain(paths);
        let all = all.chain(arguments.map(OsStr::new));
        let ended = OrwdCommand::of_binary(Path::new("unshare"), all).run();
        assert!(!ended.stderr.contains("mount:"), "{ended}");
        ended.expect_failure(&["greedy", "state, cache or keys"]);
    }
}

#[test]
fn what_is_no_regular_file_of_a_sensible_size_is_refused_at_once() {
    let scratch = TestDir::new();
    let folder = |name: &str, manifest: &str| {
        scratch.write(
            &format!("{name}/orwd.toml"),
            format!("name = \"{name}\"\n{manifest}"),
        );
        scratch.copy(&format!("{name}/x.wasm"), component("files"));
        scratch.path().join(name)
    };
    let pipe = |path: PathBuf| {
        let made = Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    let sparse = |path: PathBuf, size: u64| {
        fs::File::create(path).unwrap().set_len(size).unwrap();
    };
    let device = folder("device-as-component", "build.component = \"zero\"");
    symlink("/dev/zero", device.join("zero")).unwrap();
    let pipe_component = folder("pipe-as-component", "build.component = \"pipe\"");
    pipe(pipe_component.join("pipe"));
    let huge = folder("huge-component", "build.component = \"huge\"");
    sparse(huge.join("huge"), 1 << 40);
    let linked = folder("device-as-manifest", "");
    fs::remove_file(linked.join("orwd.toml")).unwrap();
    symlink("/dev/zero", linked.join("orwd.toml")).unwrap();
    let endless = folder("pipe-as-manifest", "");
    fs::remove_file(endless.join("orwd.toml")).unwrap();
    pipe(endless.join("orwd.toml"));
    let large = folder("huge-manifest", "");
    sparse(large.join("orwd.toml"), 1 << 40);
    let holes = folder(
        "sparse-data",
        "data = \"data\"\nbuild.component = \"x.wasm\"",
    );
    fs::create_dir(holes.join("data")).unwrap();
    sparse(holes.join("data/hole"), 1 << 43);
    let deep = folder("deep-data", "data = \"data\"\nbuild.component = \"x.wasm\"");
    fs::create_dir_all(deep.join("data").join(["d"; 80].join("/"))).unwrap();
    let kernel = folder(
        "kernel-data",
        "data = \"data\"\nbuild.component = \"x.wasm\"",
    );
    symlink("/proc/self", kernel.join("data")).unwrap();
    for (folder, part) in [
        (device, "leads out"),
        (pipe_component, "not a regular file"),
        (huge, "--component-limit"),
        (linked, "leads out"),
        (endless, "not a regular file"),
        (large, "too large"),
        (holes, "\"hole\" is sparse"),
        (deep, "deeper than 64 levels"),
        (kernel, "leads out"),
    ] {
        let path = folder.to_str().unwrap();
        serve(&folder).command().run().expect_failure(&[path, part]);
        for command in ["inspect", "play"] {
            let ended = OrwdCommand::new([command, path]).run();
            ended.expect_failure(&[path, part]);
        }
    }
}

#[test]
fn too_much_data_is_refused_by_the_operators_limits() {
    let scratch = TestDir::new();
    let folder = reader(&scratch, "large", "data = \"data\"");
    for number in 0..20 {
        scratch.write(&format!("large/data/{number}"), "12345");
    }
    let started = |flag: &str, value: &str| serve(&folder).set(flag, value);
    let refused = |flag: &str, value: &str| {
        let ended = started(flag, value).command().run();
        ended.expect_failure(&["large", flag]);
    };
    refused("--data-entries", "10");
    drop(started("--data-limit", "1KiB").start());
    scratch.write("large/data/more", "x".repeat(2000));
    refused("--data-limit", "1KiB");
    drop(started("--data-entries", "21").start());
    drop(started("--data-limit", "1MiB").start());
}

/// Writes a folder whose build leaves a trace, and returns both.
fn with_build(scratch: &TestDir) -> [(PathBuf, PathBuf); 2] {
    let by_command = scratch.path().join("by-command");
    let manifest = "name = \"by-command\"\n[build]\ncommand = [\"sh\", \"-c\", \"env > ran; cp w out.wasm\"]\ncomponent = \"out.wasm\"\n";
    scratch.write("by-command/orwd.toml", manifest);
    scratch.copy("by-command/w", component("files"));
    // cargo runs the compiler that a folder configures, even to list packages.
    let by_cargo = scratch.path().join("by-cargo");
    scratch.write("by-cargo/orwd.toml", "name = \"by-cargo\"\n");
    let package = "[package]\nname = \"by-cargo\"\nversion = \"1.0.0\"\n[lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n";
    scratch.write("by-cargo/Cargo.toml", package);
    scratch.write("by-cargo/src/lib.rs", "");
    scratch.write(
        "by-cargo/.cargo/config.toml",
        "[build]\nrustc = \"./evil\"\n",
    );
    // Written by another process, since a file that is open for writing in a
    // process that another test starts cannot be run.
    let script = "#!/bin/sh\ntouch \"$(dirname \"$0\")/ran\"\nexit 1\n";
    let written = Command::new("sh")
        .args(["-c", "printf '%s' \"$0\" > evil && chmod +x evil", script])
        .current_dir(&by_cargo)
        .status();
    assert!(written.unwrap().success());
    [
        (by_command.clone(), by_command.join("ran")),
        (by_cargo.clone(), by_cargo.join("ran")),
    ]
}

#[test]
fn nothing_of_a_strangers_folder_runs_until_the_operator_says_so() {
    let scratch = TestDir::new();
    for (folder, trace) in with_build(&scratch) {
        let path = folder.to_str().unwrap();
        for arguments in [
            &["inspect", path][..],
            &["inspect", "--no-build", path],
            &["play", path],
            &["play", "--no-build", path],
        ] {
            let ended = OrwdCommand::new(arguments).run();
            ended.expect_failure(&[path, "not built", "orwd build"]);
            assert!(!trace.exists(), "{arguments:?} ran {}", trace.display());
        }
        for command in [serve(&folder), serve(&folder).flag("--no-build")] {
            let ended = command.command().run();
            ended.expect_failure(&[path, "not built", "--build"]);
            assert!(!trace.exists(), "serve ran {}", trace.display());
        }
        let both = OrwdCommand::new(["inspect", "--build", "--no-build", path]).run();
        both.expect_failure(&["--no-build"]);
        // The command is printed before it runs.
        let built = OrwdCommand::new(["build", path])
            .env("ORWD_SEAL_KEY", "secret")
            .run();
        assert!(built.stderr.contains("building by-c"), "{built}");
        assert!(trace.exists(), "{built}");
        let seen = fs::read_to_string(trace).unwrap();
        assert!(
            !seen.contains("ORWD_"),
            "a build sees keys of the host: {seen}"
        );
    }
    // What was built once is served as it is, and not built again.
    let folder = scratch.path().join("by-command");
    fs::remove_file(folder.join("ran")).unwrap();
    let server = serve(&folder).start();
    server.wait_for_log("last build");
    assert!(!folder.join("ran").exists());
    drop(server);
    drop(serve(&folder).flag("--build").start());
    assert!(folder.join("ran").exists());
}
