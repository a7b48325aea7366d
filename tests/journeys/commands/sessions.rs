//! `orwd sessions`: lists, shows, deletes and forks sessions, of a server and of
//! the journal that it leaves.

use orwd_tests::artifacts::component;
use orwd_tests::ors::TaskSelector;
use orwd_tests::process::{CommandResult, OrwdCommand, ServeCommand};
use orwd_tests::test_dir::TestDir;
use serde_json::{Value, json};

/// Runs `orwd sessions` with the state directories of a user who has none but
/// this.
fn sessions(home: &TestDir, arguments: &[&str]) -> CommandResult {
    OrwdCommand::new([&["sessions"], arguments].concat())
        .env("XDG_STATE_HOME", home.path())
        .run()
}

fn json_of(result: &CommandResult) -> Value {
    serde_json::from_str(result.expect_success()).expect("JSON")
}

fn ids(list: &Value) -> Vec<&str> {
    let sessions = list["sessions"].as_array().expect("a list");
    sessions
        .iter()
        .map(|session| session["session"].as_str().expect("an id"))
        .collect()
}

#[test]
fn a_running_server_shows_what_its_sessions_did() {
    let home = TestDir::new();
    let server = ServeCommand::fixtures(&["alpha", "chat"]).start();
    let ors = server.ors();
    let session = ors.open("alpha", TaskSelector::At("train", 0));
    session.get("prompt");
    session.call(
        "echo",
        json!({"text": "first line\nsecond line", "upper": true}),
    );
    session.call("fail", json!({"message": "there is no door"}));
    session.call("finish", json!({"reward": 0.5}));
    let other = ors.open("chat", TaskSelector::At("train", 0));
    let run =
        |arguments: &[&str]| sessions(&home, &[arguments, &["--url", server.base()]].concat());

    let text = run(&["list"]);
    let lines: Vec<&str> = text.expect_success().lines().collect();
    assert!(lines[0].starts_with("SESSION"), "{text}");
    assert!(
        lines[1].contains(session.id()) && lines[1].contains("alpha"),
        "{text}"
    );
    assert!(
        lines[2].contains(other.id()) && lines[2].contains("ready"),
        "{text}"
    );
    let only = json_of(&run(&["list", "--environment", "chat", "--json"]));
    assert_eq!(ids(&only), [other.id()]);

    let shown = run(&["show", &session.id()[..12]]);
    for part in [
        "step 1: call echo",
        "\"upper\":true",
        "FIRST LINE",
        "SECOND LINE",
        "failed: there is no door",
        "reward    0.5",
        "finished  yes",
        "3 calls, 0.5 reward in total, finished",
    ] {
        assert!(
            shown.expect_success().contains(part),
            "no {part:?} in {shown}"
        );
    }
    let shown = json_of(&run(&["show", session.id(), "--json"]));
    assert_eq!(shown["session"], session.id());
    let calls: Vec<&Value> = shown["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .filter(|step| step["kind"] == "call")
        .collect();
    assert_eq!(
        calls[0]["input"],
        json!({"text": "first line\nsecond line", "upper": true})
    );
    assert_eq!(
        calls[0]["output"]["blocks"][0]["text"],
        "FIRST LINE\nSECOND LINE"
    );
    assert_eq!(calls[1]["output"]["error"]["message"], "there is no door");
    assert_eq!(calls[2]["output"]["reward"], 0.5);

    let forked = json_of(&run(&["fork", other.id(), "--count", "2", "--json"]));
    assert_eq!(forked["sessions"].as_array().expect("a list").len(), 2);
    run(&["fork", other.id(), "--at", "9"]).expect_failure(&["no such step"]);
    run(&["delete", session.id()]).expect_success();
    assert_eq!(ids(&json_of(&run(&["list", "--json"]))).len(), 3);
    let all = json_of(&run(&["list", "--all", "--json"]));
    assert_eq!(ids(&all).len(), 4);
    run(&["list", "--status", "bogus"]).expect_failure(&["bogus", "asleep"]);
    let ended = json_of(&run(&["list", "--status", "ended", "--json"]));
    assert_eq!(ids(&ended), [session.id()]);
    let again = run(&["show", session.id()]);
    assert!(
        again.expect_success().contains("state        deleted"),
        "{again}"
    );

    run(&["delete", session.id()]).expect_failure(&["has ended already"]);
    run(&["show", "no-such"]).expect_failure(&["there is no session \"no-such\"", "list --all"]);
    run(&["list", "--key-name", "x"]).expect_failure(&["--key-name requires --state"]);
}

#[test]
fn a_stopped_servers_journal_shows_the_same() {
    let home = TestDir::new();
    let state = home.at("orwd/one");
    let mut server = ServeCommand::fixtures(&["alpha"])
        .set("--state", &state)
        .start();
    let session = server.ors().open("alpha", TaskSelector::At("train", 0));
    session.call("echo", json!({"text": "remembered"}));
    let gone = server.ors().open("alpha", TaskSelector::At("train", 1));
    gone.delete();
    let busy = sessions(&home, &["delete", session.id(), "--state", &state]);
    busy.expect_failure(&["another orwd uses", "--url URL"]);
    server.signal(rustix::process::Signal::TERM);
    server.wait(std::time::Duration::from_secs(30));

    // The only state directory is found without a flag.
    let url = format!("http://{}", orwd_tests::process::unused_address());
    sessions(&home, &["list", "--url", &url]).expect_failure(&["cannot connect", "--state DIR"]);
    for flags in [&[][..], &["--state", &state][..]] {
        let shown = OrwdCommand::new([&["sessions", "show", session.id()], flags].concat())
            .env("XDG_STATE_HOME", home.path())
            .run();
        if flags.is_empty() && shown.code != Some(0) {
            // A server of someone else runs at the default address.
            continue;
        }
        assert!(shown.expect_success().contains("remembered"), "{shown}");
    }
    let list = sessions(&home, &["list", "--state", &state, "--all", "--json"]);
    let list = json_of(&list);
    assert_eq!(ids(&list), [session.id(), gone.id()]);
    assert_eq!(list["sessions"][0]["state"], "live");
    assert_eq!(list["sessions"][1]["state"], "ended");
    let fork = sessions(&home, &["fork", session.id(), "--state", &state]);
    fork.expect_failure(&["running server"]);

    // Other commands find the directory too.
    let replay = OrwdCommand::new(["replay", session.id()])
        .env("XDG_STATE_HOME", home.path())
        .run();
    assert!(replay.expect_success().contains("0 different"), "{replay}");
    let file = home.at("s.episode");
    OrwdCommand::new(["export", &session.id()[..10], "-o", &file])
        .env("XDG_STATE_HOME", home.path())
        .run()
        .expect_success();
    std::fs::create_dir_all(home.path().join("orwd/two")).unwrap();
    std::fs::copy(
        home.path().join("orwd/one/format"),
        home.path().join("orwd/two/format"),
    )
    .unwrap();
    let several = OrwdCommand::new(["export", session.id()])
        .env("XDG_STATE_HOME", home.path())
        .run();
    several.expect_failure(&["several servers", "orwd/one", "orwd/two", "--state DIR"]);

    let ended = sessions(&home, &["delete", session.id(), "--state", &state]);
    ended.expect_success();
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--state", &state)
        .start();
    let open = server.ors().get("/orwd/sessions").json();
    assert_eq!(open, json!({"sessions": []}));
}

#[test]
fn a_replay_says_which_field_differs_and_how() {
    let home = TestDir::new();
    let state = home.at("state");
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--state", &state)
        .start();
    let session = server.ors().open("alpha", TaskSelector::At("train", 0));
    session.call("echo", json!({"text": "a\nb\nc"}));
    session.call("finish", json!({"reward": 0.25}));
    let against = component("chat").to_str().unwrap().to_owned();
    let replay = |more: &[&str]| {
        let arguments = [
            "replay",
            session.id(),
            "--state",
            &state,
            "--against",
            &against,
        ];
        OrwdCommand::new([&arguments, more].concat()).run()
    };
    let text = replay(&[]);
    assert_eq!(text.code, Some(4), "{text}");
    for part in [
        "outcome: expected output, got",
        "blocks[0].text: - expected, + got",
        "          - a",
        "reward: expected 0.25, got nothing",
        "the first difference is in step 1, record",
    ] {
        assert!(text.stdout.contains(part), "no {part:?} in {text}");
    }
    let json = replay(&["--json"]);
    let lines: Vec<Value> = json
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let finish = &lines[2]["differences"];
    let reward = finish
        .as_array()
        .unwrap()
        .iter()
        .find(|field| field["field"] == "reward");
    assert_eq!(
        reward,
        Some(&json!({"field": "reward", "expected": "0.25", "actual": null}))
    );
}
