//! The tasks of `examples/workbench`: solved, not solved, and out of steps.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use orwd_tests::artifacts::workspace_dir;
use orwd_tests::ors::{SessionClient, TaskSelector};
use orwd_tests::process::OrwdCommand;
use serde_json::{Value, json};

use crate::support::{close, output, server};

/// A slow machine takes minutes to build and compile the component first.
const START: Duration = Duration::from_secs(600);

/// Returns the reference solutions by kind of task.
fn solutions() -> BTreeMap<String, String> {
    let file = workspace_dir().join("examples/workbench/solutions.sh");
    let text = fs::read_to_string(file).expect("the solutions can be read");
    let sections = text.split("\n## ").skip(1);
    sections
        .map(|section| {
            let (kind, script) = section.split_once('\n').expect("a script");
            (kind.to_owned(), script.to_owned())
        })
        .collect()
}

/// Returns all tasks of a split.
fn tasks(split: &str) -> Vec<Value> {
    let listed = server()
        .ors()
        .post("/workbench/tasks", &json!({"split": split}))
        .json();
    listed["tasks"].as_array().expect("tasks").clone()
}

fn open(task: &Value) -> SessionClient {
    server()
        .ors()
        .open("workbench", TaskSelector::Spec(task.clone()))
}

/// Returns what a solution takes from the prompt, as variables.
fn variables(session: &SessionClient) -> String {
    let prompt = session.get("prompt").json();
    let prompt = prompt[0]["text"].as_str().expect("a prompt").to_owned();
    let word = |before: &str, after: &str| {
        let (_, rest) = prompt.split_once(before)?;
        rest.split_once(after).map(|(word, _)| word.to_owned())
    };
    let least = word("different word of ", " or more").unwrap_or_default();
    let (old, new) = (word("the function `", "`"), word("` to `", "`"));
    format!(
        "LEAST='{least}' OLD='{}' NEW='{}'\n",
        old.unwrap_or_default(),
        new.unwrap_or_default()
    )
}

fn reward(output: &Value) -> f64 {
    output["reward"].as_f64().unwrap_or(0.0)
}

#[test]
fn every_task_can_be_solved_with_bash() {
    let solutions = solutions();
    let all: Vec<Value> = [tasks("train"), tasks("test")].concat();
    assert!(solutions.len() >= 20);
    assert_eq!(all.len(), solutions.len() * 5);
    for task in &all {
        let session = open(task);
        let kind = task["kind"].as_str().expect("a kind");
        let script = format!("{}{}", variables(&session), solutions[kind]);
        let worked = output(&session, "bash", json!({"command": script}));
        let end = output(&session, "submit", json!({}));
        let total = reward(&worked) + reward(&end);
        let said = &worked["metadata"]["output"];
        assert!((total - 1.0).abs() < 1e-9, "{task}: {end} {said}");
        assert_eq!(end["finished"], true);
        // A part is paid as soon as it is done.
        assert!(reward(&worked) > 0.0, "{task}");
        close(&session);
    }
}

#[test]
fn nothing_done_is_worth_nothing() {
    for task in tasks("train") {
        let session = open(&task);
        let looked = output(&session, "bash", json!({"command": "ls -R"}));
        assert_eq!(looked["reward"], json!(null), "{task}");
        let end = output(&session, "submit", json!({}));
        assert_eq!(end["reward"], 0.0, "{task}: {end}");
        close(&session);
    }
}

#[test]
fn what_is_undone_is_taken_back() {
    let session = open(&json!({"id": "x", "kind": "csv-totals", "seed": 5}));
    let script = &solutions()["csv-totals"];
    let done = output(&session, "bash", json!({"command": script}));
    assert!((reward(&done) - 0.5).abs() < 1e-9, "{done}");
    output(
        &session,
        "bash",
        json!({"command": "rm totals.csv void.txt"}),
    );
    let end = output(&session, "submit", json!({}));
    // One of three checks passes in the end.
    assert!(
        (reward(&done) + reward(&end) - 1.0 / 3.0).abs() < 1e-9,
        "{end}"
    );
}

#[test]
fn the_episode_ends_when_the_steps_are_used_up() {
    let session = open(&json!({"id": "x", "kind": "log-gaps", "seed": 5, "steps": 3}));
    for step in 1..=3 {
        let looked = output(&session, "list_dir", json!({}));
        assert_eq!(looked["finished"], step == 3, "{looked}");
    }
    assert_eq!(
        session.call("bash", json!({"command": "ls"})).reason(),
        "episode_finished"
    );
}

#[test]
fn the_checks_survive_what_an_agent_does_to_their_files() {
    for command in [
        "mkdir totals.csv void.txt largest.txt",
        "ln -s /orwd_data/work totals.csv; ln -s void.txt void.txt; ln -s nope largest.txt",
        "head -c 5000000 /dev/zero > totals.csv; printf '\\xff\\xfe' > void.txt",
        "cd ..; rm -rf work/*; rm -rf work",
    ] {
        let session = open(&json!({"id": "x", "kind": "csv-totals", "seed": 5}));
        output(&session, "bash", json!({"command": command}));
        let end = output(&session, "submit", json!({}));
        assert_eq!(end["reward"], 0.0, "{command}: {end}");
    }
}

#[test]
fn a_transcript_plays() {
    let folder = workspace_dir().join("examples/workbench");
    let script = folder.join("transcript.jsonl");
    orwd_tests::artifacts::workbench();
    let played = OrwdCommand::new([
        "play".as_ref(),
        folder.as_os_str(),
        "--script".as_ref(),
        script.as_os_str(),
    ]);
    played.timeout(START).run().expect_success();
}
