//! What a newcomer types: `orwd build`, `new`, `play`, `inspect`, and what the
//! commands say where an environment cannot be built.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use orwd_tests::artifacts::workspace_dir;
use orwd_tests::ors::fresh_id;
use orwd_tests::process::ServeCommand;
use orwd_tests::test_dir::TestDir;

use crate::building::{BUILD, build, cache, orwd, source};

/// The smallest environment with a tool.
const SMALL: &str = r#"
from openreward.environments import Environment, Server, TextBlock, ToolOutput, tool


class Small(Environment):
    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    def list_tasks(cls, split):
        return [{"id": "one"}]

    def get_prompt(self):
        return [TextBlock(text=GREETING)]

    @tool
    async def end(self) -> ToolOutput:
        """End."""
        return ToolOutput(blocks=[TextBlock(text="the end")], reward=1.0, finished=True)
"#;

#[test]
fn one_file_becomes_a_component_that_serves_anywhere() {
    let dir = TestDir::new();
    fs::copy(source("plain").join("env.py"), dir.path().join("env.py")).expect("a copy");
    let module = dir.at("env.py");
    let built = orwd(&["build", &module]).run();
    let said = built.expect_success();
    assert!(said.contains("environment plain"), "{said}");
    assert!(said.contains("dist/plain.wasm"), "{said}");
    let component = fs::read(dir.path().join("dist/plain.wasm")).expect("the component");
    // The same sources are the same component, and are not built again.
    let again = orwd(&["build", &module]).run();
    again.expect_success();
    assert!(!again.stderr.contains("building env.py"), "{again}");
    assert!(component == fs::read(dir.path().join("dist/plain.wasm")).expect("the component"));
    dir.write(
        "script.jsonl",
        r#"{"split": "train", "index": 0}
{"tool": "move", "input": {"by": 1}, "expect": {"text": "1", "reward": null, "finished": false}}
{"tool": "move", "input": {"by": "x"}, "expect": {"error": "input_validation"}}
{"tool": "move", "input": {"by": 2}, "expect": {"text": "3", "reward": 1.0, "finished": true}}
"#,
    );
    for played in [module.as_str(), &dir.at("dist"), &dir.at("")] {
        let played = orwd(&["play", played, "--script", &dir.at("script.jsonl")]).run();
        played.expect_success();
    }
    let shown = orwd(&["inspect", &module, "--json"]).run();
    let shown = shown.expect_success();
    assert!(shown.contains("\"move\""), "{shown}");
}

#[test]
fn several_classes_are_laid_out_in_a_folder_each() {
    let dir = TestDir::new();
    copy(&source("gallery"), &dir.path().join("gallery"));
    let gallery = dir.at("gallery");
    // The second time, the folder of the first is replaced.
    for _ in 0..2 {
        let built = orwd(&["build", &gallery]).run();
        let said = built.expect_success();
        assert!(said.contains("environment sums\n"), "{said}");
    }
    // They are one file, since each has tens of megabytes.
    let component = fs::metadata(dir.at("gallery/dist/sums/sums.wasm")).expect("a component");
    assert_eq!(component.nlink(), 18);
    let shown = orwd(&["inspect", &dir.at("gallery/dist/sums"), "--json"]).run();
    let shown: serde_json::Value =
        serde_json::from_str(shown.expect_success()).expect("a report is JSON");
    assert_eq!(shown["tools"][0]["name"], "answer", "{shown}");
    let all = ServeCommand::path(dir.at("gallery/dist")).start();
    let names = all.ors().get("/list_environments").json();
    assert_eq!(names.as_array().map(Vec::len), Some(18), "{names}");
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

#[test]
fn what_cannot_be_built_is_refused_with_the_reason() {
    for (files, path, parts) in [
        (
            &[("env.py", "import no_such_package\n")][..],
            "env.py",
            &[
                "env.py cannot be imported",
                "line 1",
                "No module named 'no_such_package'",
                "requirements.txt",
            ][..],
        ),
        (
            &[("env.py", "x = 1\n")],
            "",
            &["env.py has no environment", "Server([...])"],
        ),
        (
            &[("env.py", SMALL)],
            "env.py:Other",
            &["env.py has no class Other"],
        ),
        (
            &[("env.py", SMALL), ("requirements.txt", "torch>=2\n")],
            "env.py",
            &[
                "torch cannot be used in an environment",
                "no wheel for WASI",
            ],
        ),
        (
            &[
                ("env.py", SMALL),
                ("requirements.txt", "git+https://example.org/x\n"),
            ],
            "env.py",
            &["git+https://example.org/x", "is not the name of a package"],
        ),
        (
            &[("my-env.py", SMALL)],
            "my-env.py",
            &["my-env.py cannot be the name of a Python module"],
        ),
        (
            &[("orwd.toml", "name = 'abc'\n[build]\npython = '../env.py'\n")],
            "",
            &["expected a Python module in this folder"],
        ),
    ] {
        let dir = TestDir::new();
        for (name, content) in files {
            dir.write(name, content);
        }
        let refused = orwd(&["build", &dir.at(path)]).run();
        refused.expect_failure(parts);
        assert!(!dir.path().join("dist").exists(), "{refused}");
    }
}

#[test]
fn a_module_that_reads_its_data_waits_for_the_session() {
    let dir = TestDir::new();
    let module = SMALL.replace(
        "\n\nclass Small",
        "\nwith open('/orwd_data/greeting.txt') as file:\n    GREETING = file.read()\n\n\nclass Small",
    );
    // A source that no earlier run has built, since its messages are checked.
    dir.write("env.py", format!("{module}\n# {}\n", fresh_id()));
    dir.write("data/greeting.txt", "Hello.");
    dir.write("orwd.toml", "name = 'greeter'\ndata = 'data'\n");
    let script = dir.write(
        "script.jsonl",
        "{\"split\": \"train\", \"index\": 0}\n{\"tool\": \"end\", \"input\": {}, \"expect\": {\"reward\": 1.0}}\n",
    );
    let script = script.to_str().expect("a UTF-8 path");
    let folder = dir.at("");
    let played = || {
        let played = orwd(&["play", &folder, "--script", script]).run();
        played.expect_success();
        played
    };
    let first = played();
    assert!(first.stdout.contains("Hello."), "{first}");
    assert!(
        first
            .stderr
            .contains("/orwd_data/greeting.txt while it is imported"),
        "{first}"
    );
    // Data is no source: the same component sees what is there now.
    dir.write("data/greeting.txt", "Good day.");
    let second = played();
    assert!(second.stdout.contains("Good day."), "{second}");
    assert!(!second.stderr.contains("building"), "{second}");
}

#[test]
fn every_example_passes_its_transcript() {
    let folder = workspace_dir().join("examples/python");
    let folder = folder.to_str().expect("a UTF-8 path");
    build(folder.as_ref());
    let mut played = 0;
    for entry in fs::read_dir(folder).expect("the folder of examples") {
        let path = entry.expect("an entry").path();
        let script = path.join("transcript.jsonl");
        if !script.exists() {
            continue;
        }
        let (path, script) = (path.to_str().unwrap(), script.to_str().unwrap());
        let done = orwd(&["play", path, "--script", script]).run();
        done.expect_success();
        played += 1;
    }
    assert!(played >= 2, "{played} transcripts");
}

#[test]
fn the_template_is_built_played_and_served() {
    let dir = TestDir::new();
    let folder = dir.at("my-env");
    let made = orwd(&["new", &folder, "--template", "python"]).run();
    made.expect_success();
    let script = format!("{folder}/transcript.jsonl");
    orwd(&["play", &folder, "--script", &script])
        .run()
        .expect_success();
    let server = ServeCommand::path(&folder).start();
    let names = server.ors().get("/list_environments").json();
    assert_eq!(names, serde_json::json!(["my-env"]));
    // Without a build, the last one of the same sources is served.
    let module = dir.path().join("my-env/env.py");
    let changed = fs::read_to_string(&module).expect("the module") + "\n# changed\n";
    fs::write(&module, changed).expect("the module");
    let refused = ServeCommand::path(&folder)
        .flag("--no-build")
        .flag("--check")
        .command()
        .timeout(BUILD)
        .run();
    refused.expect_failure(&["not built with its present sources", "orwd build"]);
    assert!(cache().join("python").is_dir());
}
