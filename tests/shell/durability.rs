//! Long episodes of the shell: forked, killed, replayed.

use std::time::Duration;

use orwd_tests::artifacts::{target_dir, workspace_dir};
use orwd_tests::ors::{SessionClient, TaskSelector};
use orwd_tests::process::{OrwdCommand, ServeCommand, unused_address};
use orwd_tests::test_dir::TestDir;
use serde_json::{Value, json};

use crate::support::{Ran, bash, output, playground, prints, server};

/// Command lines that change files, variables, the folder and time.
fn step(number: usize) -> String {
    match number % 10 {
        0 => format!("mkdir -p d{number}/sub && cd d{number} && pwd"),
        1 => format!("for i in $(seq {number}); do echo $RANDOM >> numbers; done; wc -l numbers"),
        2 => "sort -n numbers | awk '{s+=$1} END {print s}' | tee sum".to_owned(),
        3 => format!("total=$((total + {number})); list+=({number}); echo $total ${{#list[@]}}"),
        4 => "f() { echo \"f $1 $total\"; }; f x; date +%s; sleep 0.5; date +%s.%N".to_owned(),
        5 => "cd ..; ls -la | awk '{print $1, $5, $NF}'; find . -type f | sort | xargs cat | md5sum".to_owned(),
        6 => "tar czf t.tgz d* && tar tzf t.tgz | sort | head -5; ln -sf t.tgz link; readlink link".to_owned(),
        7 => "jq -n --arg t \"$total\" '{t: $t, n: [range(3)]}' > j.json; jq -c . j.json".to_owned(),
        8 => "sed -i 's/1/2/g' */numbers; grep -c 2 */numbers; mktemp; head -c 6 /dev/urandom | xxd -p".to_owned(),
        _ => "timeout 0.2 sleep 5; echo $?; nope; while :; do :; done".to_owned(),
    }
}

/// Returns all that later commands depend on.
fn state(session: &SessionClient) -> Ran {
    bash(
        session,
        "pwd; cd /orwd_data/work; find . | sort; find . -type f | sort | xargs md5sum; \
         echo $total ${list[@]}; f y; echo $RANDOM",
    )
}

fn run_step(session: &SessionClient, number: usize) -> Value {
    output(
        session,
        "bash",
        json!({"command": step(number), "timeout": 1}),
    )
}

#[test]
fn a_long_episode_survives_kills_and_replays_equal() {
    let scratch = TestDir::new();
    let address = unused_address();
    let start = || {
        let serve = ServeCommand::workbench().set("--state", scratch.at("state"));
        serve.start_at(&address)
    };
    let mut server = start();
    let seed = &[("X-ORWD-Seed", "7")];
    let at = TaskSelector::At("playground", 0);
    let session = server.ors().open_with("workbench", at.clone(), seed);
    let mut seen = Vec::new();
    for number in 0..60 {
        seen.push(run_step(&session, number));
        if number % 25 == 11 {
            server.kill();
            server = start();
        }
    }
    assert!(
        seen.iter()
            .any(|step| step["metadata"]["timed_out"] == true)
    );
    // Without kills the same steps leave the same files, variables and folder.
    let other = server.ors().open_with("workbench", at, seed);
    for number in 0..60 {
        run_step(&other, number);
    }
    let without = |ran: Ran| {
        let lines = ran.output.lines().map(str::to_owned);
        let mut lines: Vec<String> = lines.collect();
        // It contains the times of its files, which differ.
        lines.retain(|line| !line.contains("t.tgz"));
        lines
    };
    assert_eq!(without(state(&session)), without(state(&other)));
    server.kill();
    let replayed = OrwdCommand::new([
        "replay",
        "--all",
        "--state",
        &scratch.at("state"),
        "--cache",
        target_dir().join("orwd-cache").to_str().expect("UTF-8"),
        "--data",
        workspace_dir()
            .join("examples/workbench/data")
            .to_str()
            .expect("UTF-8"),
    ])
    // A busy machine takes long for the loops that are stopped.
    .timeout(Duration::from_secs(240))
    .run();
    let said = replayed.expect_success();
    assert!(said.contains("0 different"), "{said}");
}

#[test]
fn a_fork_at_step_20_goes_two_ways() {
    let ors = server().ors();
    let parent = ors.open(
        "workbench",
        TaskSelector::Spec(json!({"id": "x", "kind": "csv-totals", "seed": 9})),
    );
    for number in 0..20 {
        let made = format!("echo {number} >> notes; n={number}");
        output(&parent, "bash", json!({"command": made}));
    }
    let path = format!("/orwd/sessions/{}/fork", parent.id());
    let forked = ors.post(&path, &json!({"at": 20, "count": 2})).json();
    let children: Vec<SessionClient> = forked["sessions"]
        .as_array()
        .unwrap_or_else(|| panic!("{forked}"))
        .iter()
        .map(|id| ors.session("workbench", id.as_str().expect("an id")))
        .collect();
    for child in &children {
        prints(child, "wc -l < notes; echo $n", "20\n19\n", 0);
    }
    let void = "grep -c ,void, orders.csv > void.txt";
    let right = output(&children[0], "bash", json!({"command": void}));
    let wrong = output(
        &children[1],
        "bash",
        json!({"command": "echo none > void.txt"}),
    );
    assert!(right["reward"].as_f64().expect("a reward") > 0.1, "{right}");
    assert_eq!(wrong["reward"], json!(null), "{wrong}");
    let ends: Vec<f64> = children
        .iter()
        .map(|child| {
            output(child, "submit", json!({}))["reward"]
                .as_f64()
                .expect("a reward")
        })
        .collect();
    assert!(ends[0] > ends[1], "{ends:?}");
    // The parent has neither.
    prints(&parent, "ls void.txt 2>/dev/null; wc -l < notes", "20\n", 0);
}

#[test]
fn sessions_of_one_seed_are_equal() {
    let ran = |_| {
        let at = TaskSelector::At("playground", 0);
        let seed = &[("X-ORWD-Seed", "11")];
        let session = server().ors().open_with("workbench", at, seed);
        bash(
            &session,
            "echo $RANDOM; mktemp; head -c 9 /dev/urandom | xxd -p; declare -A m=([a]=1 [b]=2 [c]=3); echo ${!m[@]}",
        )
    };
    assert_eq!(ran(0), ran(1));
    assert_ne!(ran(0), bash(&playground(), "echo $RANDOM"));
}
