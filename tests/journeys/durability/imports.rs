//! Episodes that come from elsewhere: they are marked, this host signs
//! nothing that it did not run, and they get nothing of a namesake.

use std::fs;

use orwd_tests::artifacts::target_dir;
use orwd_tests::expect::error_detail;
use orwd_tests::ors::{OrsClient, TaskSelector};
use orwd_tests::process::{CommandResult, OrwdCommand, ServeCommand, ServerProcess};
use orwd_tests::test_dir::TestDir;
use serde_json::{Value, json};

use super::restartable_server::bump;
use crate::support::environment_dir;

/// A state directory and the environment that is served on it.
struct Host {
    state: String,
    environment: String,
}

impl Host {
    fn start(&self) -> ServerProcess {
        ServeCommand::path(&self.environment)
            .set("--state", &self.state)
            .start()
    }

    fn orwd(&self, arguments: &[&str]) -> CommandResult {
        let state = ["--state", &self.state];
        OrwdCommand::new([arguments, &state].concat()).run()
    }

    fn key(&self) -> String {
        self.orwd(&["keys", "host"])
            .expect_success()
            .trim()
            .to_owned()
    }
}

fn host(scratch: &TestDir, name: &str, fixture: &str, keys: &str) -> Host {
    let folder = format!("{name}-folder");
    fs::create_dir_all(scratch.path().join(&folder).join("data")).unwrap();
    let environment = environment_dir(scratch, &folder, fixture, keys, "");
    let manifest = fs::read_to_string(scratch.path().join(&folder).join("orwd.toml")).unwrap();
    let manifest = manifest.replace(&folder, "victim");
    scratch.write(&format!("{folder}/orwd.toml"), manifest);
    Host {
        state: scratch.at(&format!("{name}-state")),
        environment,
    }
}

fn show(ors: &OrsClient, session: &str) -> Value {
    ors.get(&format!("/orwd/sessions/{session}")).json()
}

fn receipt(ors: &OrsClient, session: &str) -> Value {
    ors.get(&format!("/orwd/sessions/{session}/receipt")).json()
}

#[test]
fn an_ended_episode_of_another_host_is_marked_and_gets_no_receipt() {
    let scratch = TestDir::new();
    let there = host(&scratch, "there", "alpha", "");
    let server = there.start();
    let session = server.ors().open("victim", TaskSelector::At("train", 0));
    session.call("finish", json!({"reward": 1000000.25}));
    assert_eq!(session.delete().status(), 200);
    drop(server);
    let file = scratch.at("one.episode");
    there
        .orwd(&["export", session.id(), "-o", &file])
        .expect_success();

    let here = host(&scratch, "here", "alpha", "");
    let said = here.orwd(&["import", &file]);
    let said = said.expect_success();
    assert!(
        said.contains(&format!("signed by {}", there.key())),
        "{said}"
    );
    let server = here.start();
    let ors = server.ors();
    let shown = show(&ors, session.id());
    assert_eq!(
        shown["imported_records"],
        json!(shown["steps"].as_array().unwrap().len() * 2 + 2)
    );
    assert_eq!(shown["imported_receipt_keys"], json!([there.key()]));
    for step in shown["steps"].as_array().unwrap() {
        assert_eq!(step["imported"], true, "{step}");
    }
    let path = format!("/orwd/sessions/{}/receipt", session.id());
    let refused = error_detail(&ors.get(&path), 409);
    assert!(refused.contains("imported"), "{refused}");
    // The receipt of the host that ran it travels on, and ours is not added.
    let again = scratch.at("two.episode");
    here.orwd(&["export", session.id(), "-o", &again])
        .expect_success();
    let third = host(&scratch, "third", "alpha", "");
    let said = third.orwd(&["import", &again]);
    let said = said.expect_success();
    assert!(
        said.contains(&there.key()) && !said.contains(&here.key()),
        "{said}"
    );
}

#[test]
fn a_live_episode_of_another_host_continues_without_borrowing_its_reward() {
    let scratch = TestDir::new();
    let there = host(&scratch, "there", "alpha", "");
    let server = there.start();
    let session = server.ors().open("victim", TaskSelector::At("train", 0));
    assert_eq!(bump(&session, 5), "5");
    session.call("reward", json!({"reward": 900.0}));
    let file = scratch.at("live.episode");
    let export = ["export", session.id(), "--component", "-o", &file];
    there.orwd(&export).expect_success();
    drop(server);

    // Here the name belongs to another component.
    let here = host(&scratch, "here", "files", "data = \"data\"");
    here.orwd(&["import", &file]).expect_success();
    let server = here.start();
    let ors = server.ors();
    let session = ors.session("victim", session.id());
    assert_eq!(bump(&session, 1), "6", "{}", server.log());
    session.call("reward", json!({"reward": 0.5}));
    let listed = ors.get("/orwd/sessions").json()["sessions"][0].clone();
    let imported = listed["imported_records"].as_u64().unwrap();
    assert!(imported >= 5, "{listed}");
    let steps = show(&ors, session.id())["steps"].clone();
    let marks: Vec<&Value> = steps
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["imported"])
        .collect();
    assert_eq!(
        marks.iter().filter(|mark| ***mark == json!(false)).count(),
        2,
        "{steps}"
    );
    let ours = receipt(&ors, session.id());
    let body = &ours["receipt"];
    assert_eq!(body["total_reward"], 0.5, "{ours}");
    assert_eq!(body["calls"].as_array().unwrap().len(), 2);
    assert_eq!(body["imported_records"], imported);
    assert_eq!(body["environment"], "imported:victim");

    let forked = ors.post(&format!("/orwd/sessions/{}/fork", session.id()), &json!({}));
    let child = forked.json()["sessions"][0].as_str().unwrap().to_owned();
    let child = ors.session("victim", &child);
    assert_eq!(bump(&child, 1), "7");
    let parent = &show(&ors, child.id())["parent"];
    assert_eq!(parent["imported"], true, "{parent}");
    let listed = OrwdCommand::new(["sessions", "list", "--url", server.base()]).run();
    let listed = listed.expect_success();
    assert_eq!(listed.matches("imported:victim").count(), 2, "{listed}");
    let body = receipt(&ors, child.id())["receipt"].clone();
    assert_eq!(body["environment"], "imported:victim");
    assert_eq!(body["total_reward"], 0.5);
    assert!(body["imported_records"].as_u64().unwrap() > 0, "{body}");

    let text = ours.to_string();
    let receipt = scratch.write("receipt.json", text);
    let again = scratch.at("again.episode");
    here.orwd(&["export", session.id(), "-o", &again])
        .expect_success();
    let verified = OrwdCommand::new(["verify", receipt.to_str().unwrap(), "--journal", &again]);
    let said = verified.run();
    assert!(
        said.expect_success()
            .contains("imported: the signer did not run"),
        "{said}"
    );
    drop(server);
    // A restart forgets nothing of it.
    let server = here.start();
    let session = server.ors().session("victim", session.id());
    assert_eq!(bump(&session, 1), "7", "{}", server.log());
    session.leave_open();
}

#[test]
fn an_imported_episode_sees_the_data_that_its_importer_named_and_no_other() {
    let scratch = TestDir::new();
    let data = "data = \"data\"";
    let there = host(&scratch, "there", "files", data);
    // The author of the file knows the digest of data that is not theirs.
    let here = host(&scratch, "here", "files", data);
    for host in ["there", "here"] {
        scratch.write(&format!("{host}-folder/data/answers.txt"), "42");
    }
    let server = there.start();
    let session = server.ors().open("victim", TaskSelector::Spec(json!({})));
    let read = json!({"path": "/orwd_data/answers.txt"});
    assert_eq!(session.call("read", read.clone()).text(), "42");
    let file = scratch.at("live.episode");
    let export = ["export", session.id(), "--component", "-o", &file];
    there.orwd(&export).expect_success();
    drop(server);
    drop(here.start());

    here.orwd(&["import", &file])
        .expect_failure(&["--data DIR", "digest"]);
    scratch.write("other/answers.txt", "43");
    let other = scratch.at("other");
    here.orwd(&["import", &file, "--data", &other])
        .expect_failure(&["is not the data"]);
    // What a replay of the file sees is named, too.
    let cache = target_dir().join("orwd-cache");
    let cache = ["--cache", cache.to_str().unwrap()];
    let replayed = here.orwd(&[&["replay", &file], &cache[..]].concat());
    assert!(replayed.stderr.contains("--data DIR"), "{replayed}");

    let named = scratch.at("there-folder/data");
    here.orwd(&["import", &file, "--data", &named])
        .expect_success();
    let server = here.start();
    let session = server.ors().session("victim", session.id());
    assert_eq!(session.call("read", read).text(), "42", "{}", server.log());
    let shown = show(&server.ors(), session.id());
    assert!(shown["imported_records"].as_u64().unwrap() > 0, "{shown}");
    session.leave_open();
}

#[test]
fn an_import_over_the_disk_quota_of_its_owner_is_refused() {
    let scratch = TestDir::new();
    let there = host(&scratch, "there", "alpha", "");
    let server = there.start();
    let ors = server.ors();
    let export = |name: &str, bytes: usize| {
        let session = ors.open("victim", TaskSelector::At("train", 0));
        session.call("big", json!({"unit": "x", "count": bytes}));
        assert_eq!(session.delete().status(), 200);
        let file = scratch.at(name);
        there
            .orwd(&["export", session.id(), "-o", &file])
            .expect_success();
        file
    };
    let large = export("large.episode", 3 << 20);
    let small: Vec<String> = (0..3)
        .map(|n| export(&format!("small-{n}.episode"), 800_000))
        .collect();
    drop(server);

    let here = host(&scratch, "here", "alpha", "");
    let serve = |quota: &str| {
        let server = ServeCommand::path(&here.environment)
            .set("--state", &here.state)
            .set("--max-disk-per-key", quota);
        drop(server.start());
    };
    serve("2MiB");
    here.orwd(&["import", &large]).expect_failure(&[
        "disk quota exceeded",
        "clients without a key",
        "2.0 MiB are allowed",
        "--max-disk-per-key",
    ]);
    here.orwd(&["import", &small[0]]).expect_success();
    here.orwd(&["import", &small[1]]).expect_success();
    here.orwd(&["import", &small[2]])
        .expect_failure(&["disk quota exceeded"]);
    // Another owner has a quota of its own, and a repetition takes nothing.
    here.orwd(&["import", &small[1]]).expect_success();
    here.orwd(&["import", &small[2], "--owner", "alice"])
        .expect_success();
    serve("8MiB");
    here.orwd(&["import", &large]).expect_success();
}

#[test]
fn a_receipt_is_verified_with_the_journal_of_the_only_state_directory() {
    let scratch = TestDir::new();
    let there = host(&scratch, "there", "alpha", "");
    let server = there.start();
    let session = server.ors().open("victim", TaskSelector::At("train", 0));
    session.call("finish", json!({"reward": 0.5}));
    assert_eq!(session.delete().status(), 200);
    let file = scratch.at("one.episode");
    there
        .orwd(&["export", session.id(), "-o", &file])
        .expect_success();
    let text = receipt(&server.ors(), session.id()).to_string();
    let text = scratch.write("receipt.json", text);
    let text = text.to_str().unwrap();
    drop(server);
    // A user with a single server.
    let home = scratch.path().join("home");
    fs::create_dir_all(home.join("orwd")).unwrap();
    let orwd = |arguments: &[&str]| {
        OrwdCommand::new(arguments)
            .env("XDG_STATE_HOME", &home)
            .run()
    };
    orwd(&["verify", text, "--journal"]).expect_failure(&["no server has a state directory"]);
    fs::rename(&there.state, home.join("orwd/here")).unwrap();
    let verified = orwd(&["verify", text, "--journal"]);
    assert!(
        verified.expect_success().contains("matches the journal"),
        "{verified}"
    );
    let imported = orwd(&["import", &file]);
    assert!(
        imported
            .expect_success()
            .contains("is already in the journal"),
        "{imported}"
    );
    // Another server does not know the episode.
    let here = host(&scratch, "other", "alpha", "");
    drop(here.start());
    orwd(&["verify", text, "--journal", "--state", &here.state]).expect_failure(&["no episode"]);
}
