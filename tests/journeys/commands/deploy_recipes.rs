//! The recipes in `deploy/`: the flags and files that they name exist. Building
//! the image needs a container runtime and is not tested here.

use std::fs;
use std::process::Command;

use orwd_tests::artifacts::{binary, workspace_dir};
use orwd_tests::process::OrwdCommand;
use orwd_tests::requirement;
use orwd_tests::test_dir::TestDir;

fn recipe(name: &str) -> String {
    fs::read_to_string(workspace_dir().join("deploy").join(name)).unwrap()
}

/// Returns the flags in a text, without their values.
fn flags(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| c.is_whitespace() || "\"[],'".contains(c));
    words
        .filter(|word| word.starts_with("--"))
        .map(|word| word.split('=').next().unwrap())
        .collect()
}

/// Returns the arguments of each `orwd serve` in a text; joins continued lines.
fn served(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let commands = text
        .lines()
        .filter_map(|line| line.split_once("orwd serve "));
    let uses = commands.map(|(_, rest)| rest.to_owned());
    uses.filter(|rest| rest.contains("--listen")).collect()
}

#[test]
fn every_flag_of_a_recipe_is_a_flag_of_serve() {
    let help = OrwdCommand::new(["serve", "--help"]).run();
    let known = flags(help.expect_success());
    let container = recipe("Containerfile");
    let command = container.lines().find(|line| line.starts_with("CMD ["));
    let deployment = recipe("kubernetes.yaml");
    let arguments = deployment.split("args:").nth(1).unwrap();
    let arguments = arguments.split("ports:").next().unwrap();
    let mut uses = vec![command.unwrap().to_owned(), arguments.to_owned()];
    for name in ["orwd.service", "README.md"] {
        let found = served(&recipe(name));
        assert!(!found.is_empty(), "{name}");
        uses.extend(found);
    }
    let mut count = 0;
    for text in &uses {
        for flag in flags(text) {
            assert!(known.contains(&flag), "{flag} in {text}");
            count += 1;
        }
    }
    assert!(count > 10, "{uses:?}");
    // Each of them requires API keys and needs no toolchain.
    assert!(
        uses.iter().all(|text| text.contains("--no-build")),
        "{uses:?}"
    );
    assert!(uses.iter().skip(1).all(|text| text.contains("--api-keys")));
}

#[test]
fn the_image_copies_existing_paths() {
    let text = recipe("Containerfile");
    let mut members = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("COPY ")) {
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        if words.iter().any(|word| word.starts_with("--from")) {
            continue;
        }
        let (_, sources) = words.split_last().unwrap();
        for source in sources {
            assert!(workspace_dir().join(source).exists(), "{line}");
            members.push(*source);
        }
    }
    // Cargo cannot read the workspace without its members.
    let manifest = fs::read_to_string(workspace_dir().join("Cargo.toml")).unwrap();
    let list = manifest.split("members = [").nth(1).unwrap();
    for member in list
        .split(']')
        .next()
        .unwrap()
        .split('"')
        .skip(1)
        .step_by(2)
    {
        let folder = member.split('/').next().unwrap();
        assert!(members.contains(&folder), "{member}");
    }
    // The image uses the toolchain of the repository.
    let toolchain = fs::read_to_string(workspace_dir().join("rust-toolchain.toml")).unwrap();
    let channel = toolchain.split("channel = \"").nth(1).unwrap();
    let version = channel.split(".0\"").next().unwrap();
    assert!(text.contains(&format!("rust:{version}-")), "{version}");
    assert!(text.contains("\nUSER 65532:65532\n"));
}

#[test]
fn the_unit_is_valid_and_hardened() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        requirement::skip("systemd-analyze is missing", "install systemd");
        return;
    }
    let scratch = TestDir::new();
    // The binary is not installed at the unit's path.
    let unit = recipe("orwd.service");
    let here = unit.replace("/usr/local/bin/orwd", binary().to_str().unwrap());
    assert_ne!(here, unit);
    // It would hide the size of memory and the limit of memory mappings.
    assert!(!unit.lines().any(|line| line == "ProcSubset=pid"));
    let file = scratch.write("orwd.service", here);
    for arguments in [
        &["verify", "--man=no", "--generators=no"][..],
        // On a scale to 100; a unit without hardening has 96.
        &["security", "--offline=yes", "--threshold=15"],
    ] {
        let output = Command::new("systemd-analyze")
            .args(arguments)
            .arg(&file)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(output.status.success(), "{arguments:?}: {text}");
    }
}
