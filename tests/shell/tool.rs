//! The tool `bash`: what stays between calls, what a session sees, how limits end.

use orwd_tests::ors::TaskSelector;
use serde_json::json;

use crate::support::{bash, close, output, playground, prints, server, text};

#[test]
fn an_agent_runs_bash() {
    let session = playground();
    let listed = output(&session, "bash", json!({"command": "echo a > x; ls"}));
    assert_eq!(listed["blocks"][0]["text"], "x\n\n\n(exit 0)");
    assert_eq!(listed["finished"], false);
    assert_eq!(listed["reward"], json!(null));
    prints(
        &session,
        "cat x; cat nope",
        "a\ncat: nope: No such file or directory\n",
        1,
    );
}

#[test]
fn the_folder_variables_and_functions_stay_and_options_do_not() {
    let session = playground();
    bash(
        &session,
        "mkdir -p a/b; cd a; x=5; f() { echo f$x; }; set -e; trap 'echo bye' EXIT",
    );
    prints(
        &session,
        "pwd; f; false; echo on",
        "/orwd_data/work/a\nf5\non\n",
        0,
    );
    prints(&session, "exit 3; echo never", "", 3);
    prints(&session, "cd b && cd .. && rm -r ../a; echo $x", "5\n", 0);
    // The folder is gone, so the next command begins at home.
    prints(&session, "pwd", "/orwd_data/work\n", 0);
}

#[test]
fn variables_stay_only_if_the_environment_asks_for_it() {
    let at = TaskSelector::At("playground", 1);
    let session = server().ors().open("workbench", at);
    bash(
        &session,
        "mkdir -p a; cd a; x=5; export y=6; z=(1 2); f() { echo f; }; alias g='echo g'; set -f",
    );
    // The folder and the files stay, nothing else.
    prints(
        &session,
        "pwd; echo \"[$x$y${z[*]}]\"; type -t f; alias; echo *",
        "/orwd_data/work/a\n[]\n*\n",
        0,
    );
    close(&session);
}

#[test]
fn a_large_value_is_forgotten_and_an_open_file_is_closed() {
    let session = playground();
    bash(
        &session,
        "small=$(printf '%9000s' x); large=$small$small$small$small$small$small$small$small; \
         exec 3> out",
    );
    prints(
        &session,
        "echo ${#small} ${#large}; (echo x >&3) 2> /dev/null || echo closed",
        "9000 0\nclosed\n",
        0,
    );
    prints(&session, "exit 3", "", 3);
    prints(&session, "echo ${#small}", "9000\n", 0);
}

#[test]
fn a_session_sees_its_own_files_and_no_others() {
    let (one, other) = (playground(), playground());
    bash(&one, "echo mine > f; echo tmp > /tmp/f");
    prints(
        &other,
        "cat f /tmp/f 2>/dev/null; ls -A . /tmp | grep -c f",
        "0\n",
        1,
    );
    // The data beside the folder of the agent cannot be reached, nor by a link.
    prints(&one, "ls -A /orwd_data", "work\n", 0);
    for command in [
        "cat /orwd_data/about.txt",
        "cat ../about.txt",
        "ln -s ../about.txt l; cat l",
        "ln -s /orwd_data/about.txt m; cat m",
        "ln -s .. up; cat up/about.txt",
        "cat /proc/self/environ",
    ] {
        let ran = bash(&one, command);
        assert!(ran.exit != 0, "{command}: {ran:?}");
        assert!(!ran.output.contains("created beside"), "{command}: {ran:?}");
    }
    prints(
        &one,
        "echo x > /usr/x",
        "bash: line 1: /usr/x: Read-only file system\n",
        1,
    );
}

#[test]
fn what_does_not_exist_is_said_so_that_an_agent_can_act() {
    let session = playground();
    for (command, exit, part) in [
        (
            "python3 -c 1",
            127,
            "python3: command not found: other programs cannot run here",
        ),
        ("git status", 127, "other programs cannot run here"),
        ("make", 127, "`compgen -c` lists the commands"),
        (
            "curl http://example.org",
            127,
            "curl: command not found: there is no network here",
        ),
        ("ssh host ls", 127, "there is no network here"),
        ("cat x | vim -", 127, "there is no terminal here"),
        ("nope", 127, "bash: line 1: nope: command not found"),
        ("echo true > s; ./s", 126, "Permission denied"),
        ("mkdir -p d; ./d", 126, "Is a directory"),
        ("./missing", 127, "No such file or directory"),
        ("bash missing", 127, "No such file or directory"),
        ("echo a | xargs ./s", 126, "Permission denied"),
        ("env nope_nope", 127, "No such file or directory"),
        ("source missing", 1, "No such file or directory"),
        ("fg", 1, "no such job"),
    ] {
        let ran = bash(&session, command);
        assert_eq!(ran.exit, exit, "{command}: {ran:?}");
        assert!(ran.output.contains(part), "{command}: {ran:?}");
    }
    // Background jobs run to their end, in the same call.
    prints(
        &session,
        "(sleep 1; echo job) & echo now; wait; echo end",
        "now\njob\nend\n",
        0,
    );
    let late = output(
        &session,
        "bash",
        json!({"command": "sleep 900 & echo x", "timeout": 1}),
    );
    let said = late["blocks"][0]["text"].as_str().expect("text");
    assert!(
        said.contains("was stopped, with its background jobs"),
        "{said}"
    );
    assert_eq!(late["metadata"]["exit_code"], 124);
    let said = text(&session, "bash", json!({"command": "python3 x.py"}));
    assert!(said.contains("command not found"), "{said}");
    assert!(said.contains("no processes and no network"), "{said}");
    prints(&session, "command -v python3 || echo absent", "absent\n", 0);
}

#[test]
fn a_command_is_stopped_after_its_time_and_the_session_continues() {
    let session = playground();
    for command in [
        "sleep 15",
        "while :; do :; done",
        "x=1; for ((;;)); do x=$((x+1)); done",
    ] {
        let output = output(
            &session,
            "bash",
            json!({"command": command, "timeout": 0.5}),
        );
        assert_eq!(output["metadata"]["exit_code"], 124, "{command}: {output}");
        assert_eq!(output["metadata"]["timed_out"], true, "{command}");
        prints(&session, "echo on", "on\n", 0);
    }
}

#[test]
fn long_output_loses_its_middle() {
    let session = playground();
    let output = output(&session, "bash", json!({"command": "seq 50000; echo end"}));
    assert_eq!(output["metadata"]["truncated"], true);
    let text = output["metadata"]["output"].as_str().expect("text");
    assert!(text.starts_with("1\n2\n") && text.ends_with("end\n"));
    assert!(text.contains(" bytes left out ...]"));
    assert!(text.len() < 33 << 10);
}

#[test]
fn clocks_and_random_numbers_are_those_of_the_session() {
    let seen = || {
        let session = playground();
        bash(
            &session,
            "echo $RANDOM$RANDOM; head -c 8 /dev/urandom | od -An -tx1",
        )
        .output
    };
    // Another seed, other numbers.
    assert_ne!(seen(), seen());
    let session = playground();
    let ran = bash(
        &session,
        "a=$(date +%s); sleep 2; echo $(( $(date +%s) - a ))",
    );
    assert_eq!(ran.output, "2\n");
}
