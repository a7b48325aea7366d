//! The recipes in `deploy/`: that what they say exists. Whether an image comes
//! of them only a container runtime could tell.

use std::fs;
use std::process::Command;

use orwd_tests::artifacts::{binary, workspace};
use orwd_tests::command::Orwd;
use orwd_tests::scratch::Scratch;

fn recipe(name: &str) -> String {
    fs::read_to_string(workspace().join("deploy").join(name)).unwrap()
}

/// The flags that stand in a text, without their values.
fn flags(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| c.is_whitespace() || "\"[],'".contains(c));
    words
        .filter(|word| word.starts_with("--"))
        .map(|word| word.split('=').next().unwrap())
        .collect()
}

/// What comes after `orwd serve` where it is started, continued lines joined.
fn served(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let commands = text
        .lines()
        .filter_map(|line| line.split_once("orwd serve "));
    let uses = commands.map(|(_, rest)| rest.to_owned());
    uses.filter(|rest| rest.contains("--listen")).collect()
}

#[test]
fn every_flag_of_a_recipe_is_one_of_serve() {
    let help = Orwd::new(["serve", "--help"]).run();
    let known = flags(help.succeeds());
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
    // Each of them, and not all together, says who may use it and that no
    // toolchain is needed.
    assert!(
        uses.iter().all(|text| text.contains("--no-build")),
        "{uses:?}"
    );
    assert!(uses.iter().skip(1).all(|text| text.contains("--api-keys")));
}

#[test]
fn the_image_is_made_of_what_is_there() {
    let text = recipe("Containerfile");
    let mut members = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("COPY ")) {
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        if words.iter().any(|word| word.starts_with("--from")) {
            continue;
        }
        let (_, sources) = words.split_last().unwrap();
        for source in sources {
            assert!(workspace().join(source).exists(), "{line}");
            members.push(*source);
        }
    }
    // The workspace is not read without its members.
    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
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
    // The toolchain is the one that the repository is built with.
    let toolchain = fs::read_to_string(workspace().join("rust-toolchain.toml")).unwrap();
    let channel = toolchain.split("channel = \"").nth(1).unwrap();
    let version = channel.split(".0\"").next().unwrap();
    assert!(text.contains(&format!("rust:{version}-")), "{version}");
    assert!(text.contains("\nUSER 65532:65532\n"));
}

#[test]
fn the_unit_is_one_and_leaves_little_open() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("left out: there is no systemd-analyze");
        return;
    }
    let scratch = Scratch::new();
    // The program is not where the unit will find it.
    let unit = recipe("orwd.service");
    let here = unit.replace("/usr/local/bin/orwd", binary().to_str().unwrap());
    assert_ne!(here, unit);
    let file = scratch.write("orwd.service", here);
    for arguments in [
        &["verify", "--man=no", "--generators=no"][..],
        // On a scale to 100; a unit without walls has 96.
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
