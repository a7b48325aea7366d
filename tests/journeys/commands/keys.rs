//! `orwd keys`: API keys are made, listed, expire and are revoked, while the
//! server runs.

use orwd_tests::background::wait_until;
use orwd_tests::http::HttpRequest;
use orwd_tests::process::{CommandResult, OrwdCommand, ServeCommand};
use orwd_tests::test_dir::TestDir;
use serde_json::Value;

use crate::support::TIMEOUT;

fn keys(file: &str, arguments: &[&str]) -> CommandResult {
    OrwdCommand::new([&["keys"], arguments, &["--api-keys", file]].concat()).run()
}

#[test]
fn keys_are_listed_expire_and_are_revoked_while_the_server_runs() {
    let scratch = TestDir::new();
    let file = scratch.at("keys/keys.toml");
    std::fs::create_dir(scratch.path().join("keys")).unwrap();
    let add = |arguments: &[&str]| {
        let added = keys(&file, &[&["add"], arguments].concat());
        added.expect_success().trim().to_owned()
    };
    let alice = add(&["alice"]);
    let server = ServeCommand::fixtures(&["alpha"])
        .set("--api-keys", &file)
        .start();
    let status = |key: &str| {
        let request = HttpRequest::get("/list_environments").header("x-api-key", key);
        let reply = server.ors().fetch(&request);
        (reply.status(), reply.text().to_owned())
    };
    assert_eq!(status(&alice).0, 200);
    // A new key works without a restart.
    let bob = add(&["bob", "--expires", "30d"]);
    wait_until("the key is accepted", TIMEOUT, || status(&bob).0 == 200);

    let listed = keys(&file, &["list"]);
    for part in ["alice", "bob", "never", "valid"] {
        assert!(listed.expect_success().contains(part), "{listed}");
    }
    let json = keys(&file, &["list", "--json"]);
    let json: Value = serde_json::from_str(json.expect_success()).unwrap();
    assert_eq!(json["keys"][1]["name"], "bob");
    assert_eq!(json["keys"][1]["expired"], false);
    let text = std::fs::read_to_string(&file).unwrap();
    for key in [&alice, &bob] {
        let secret = key.rsplit('_').next().unwrap();
        assert!(!text.contains(secret) && !listed.stdout.contains(secret));
    }
    keys(&file, &["add", "bob"]).expect_failure(&["\"bob\" exists", "orwd keys revoke bob"]);
    keys(&file, &["add", "carol", "--expires", "2001-01-01"]).expect_failure(&["has passed"]);

    // An expired key differs from a wrong one.
    let (head, tail) = text.split_once("expires = ").unwrap();
    let (_, rest) = tail.split_once(' ').unwrap();
    std::fs::write(
        &file,
        format!("{head}expires = 2020-01-02T03:04:05Z {rest}"),
    )
    .unwrap();
    wait_until("the key has expired", TIMEOUT, || status(&bob).0 == 401);
    assert!(
        status(&bob)
            .1
            .contains("API key expired at 2020-01-02T03:04:05Z")
    );
    assert!(status("orwd_1_2").1.contains("Invalid API key"));
    assert!(keys(&file, &["list"]).expect_success().contains("expired"));

    keys(&file, &["revoke", "alice"]).expect_success();
    wait_until("the key is revoked", TIMEOUT, || status(&alice).0 == 401);
    keys(&file, &["revoke", "alice"]).expect_failure(&["no key named \"alice\""]);
}
