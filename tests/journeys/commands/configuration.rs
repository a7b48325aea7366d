//! The configuration file of `orwd serve`, and completions.

use std::process::Command;

use orwd_tests::artifacts::{binary, component, components};
use orwd_tests::process::{OrwdCommand, ServeCommand};
use orwd_tests::test_dir::TestDir;

#[test]
fn a_server_takes_its_settings_from_a_file() {
    components();
    let scratch = TestDir::new();
    let alpha = component("alpha");
    std::fs::copy(alpha, scratch.path().join("alpha.wasm")).unwrap();
    let file = scratch.write(
        "orwd.server.toml",
        "paths = [\"alpha.wasm\"]\nmemory = \"48MiB\"\ndrain = \"1s\"\n",
    );
    let file = file.to_str().unwrap();
    // The path is relative to the file, and a flag comes before the file.
    let server = ServeCommand::path("--keep-going")
        .set("--config", file)
        .set("--call-cpu", "3s")
        .start();
    let response = server.ors().get("/version");
    let version = response.text();
    assert!(
        version.contains("48MiB") && version.contains("3s"),
        "{version}"
    );
    drop(server);

    let serve = |arguments: &[&str]| {
        OrwdCommand::new([&["serve", "--config", file], arguments].concat()).run()
    };
    let printed = serve(&["--memory", "64MiB", "--print-config"]);
    for part in [
        "memory = \"64MiB\"  # command line",
        "drain = \"1s\"  # ",
        "# state is not set",
    ] {
        assert!(
            printed.expect_success().contains(part),
            "no {part:?} in {printed}"
        );
    }
    let checked = serve(&["--check"]);
    assert!(
        checked.expect_success().contains("can be served"),
        "{checked}"
    );

    scratch.write("orwd.server.toml", "# Settings\n\nmemroy = \"48MiB\"\n");
    let mistyped = serve(&[]);
    mistyped.expect_failure(&["orwd.server.toml:3: unknown key `memroy`; did you mean `memory`?"]);
}

#[test]
fn a_folder_of_environments_cannot_configure_the_server() {
    components();
    let scratch = TestDir::new();
    std::fs::copy(component("alpha"), scratch.path().join("alpha.wasm")).unwrap();
    scratch.write("orwd.server.toml", "no-such-key = true\n");
    let checked = OrwdCommand::new(["serve", "--check", "alpha.wasm"])
        .current_dir(scratch.path())
        .run();
    checked.expect_success();
}

#[test]
fn bash_loads_the_completions() {
    let script = OrwdCommand::new(["completions", "bash"]).run();
    let script = script.expect_success();
    let scratch = TestDir::new();
    let file = scratch.write("orwd.bash", script);
    let load = "source \"$1\" && complete -p orwd && \
                COMP_WORDS=(orwd sess) COMP_CWORD=1 && _orwd orwd sess orwd && echo \"${COMPREPLY[@]}\"";
    let loaded = Command::new("bash")
        .args(["--norc", "-c", load, "bash"])
        .arg(&file)
        .output()
        .expect("bash can be started");
    let said = String::from_utf8_lossy(&loaded.stdout);
    let error = String::from_utf8_lossy(&loaded.stderr);
    assert!(loaded.status.success(), "{said}{error}");
    assert!(
        said.contains("complete") && said.contains("sessions"),
        "{said}{error}"
    );
    assert!(
        !script.contains("__compile"),
        "hidden commands are completed"
    );
    for shell in ["zsh", "fish"] {
        let script = OrwdCommand::new(["completions", shell]).run();
        assert!(script.expect_success().contains("sessions"), "{shell}");
    }
    assert!(binary().is_file());
}
