//! Toolsets that a client requests by name.

use orwd_tests::artifacts::component;
use orwd_tests::expect::{error_detail, tool_names};
use orwd_tests::ors::{SessionClient, fresh_id};
use orwd_tests::process::{ServeCommand, unused_address};
use orwd_tests::test_dir::TestDir;
use serde_json::{Value, json};

use crate::support::{bash, ran, server, text};

fn open(toolset: &str) -> SessionClient {
    let ors = server().ors();
    let id = fresh_id();
    let body = json!({
        "env_name": "workbench", "split": "playground", "index": 0, "toolset_name": toolset,
    });
    let created = ors.create(&id, &body);
    assert_eq!(created.status(), 200, "{created:?}");
    ors.session("workbench", &id)
}

fn names(session: &SessionClient) -> Vec<String> {
    tool_names(&session.get("task_tools").json())
}

const COMMON: [&str; 9] = [
    "submit",
    "bash",
    "edit_file",
    "glob",
    "grep",
    "list_dir",
    "multi_edit",
    "read_file",
    "write_file",
];

#[test]
fn without_a_toolset_there_are_the_tools_of_the_environment() {
    let session = crate::support::playground();
    assert_eq!(names(&session), COMMON);
    let listed = server().ors().get("/workbench/tools").json();
    assert_eq!(tool_names(&listed), COMMON);
    // A tool of a toolset cannot be called without it.
    for name in ["todo_write", "claude-code/todo_write"] {
        let call = session.call(name, json!({"todos": []}));
        assert_eq!(call.reason(), "not_found", "{name}");
    }
}

#[test]
fn the_tools_of_a_toolset_come_last_and_replace_others() {
    for (toolset, own) in [
        (
            "claude-code",
            &[
                "bash",
                "edit",
                "glob",
                "grep",
                "read",
                "todo_write",
                "write",
            ][..],
        ),
        ("codex", &["bash"]),
        (
            "gemini-cli",
            &[
                "glob",
                "grep_search",
                "list_directory",
                "read_file",
                "replace",
                "run_shell_command",
                "write_file",
                "write_todos",
            ],
        ),
        (
            "hermes",
            &[
                "patch",
                "read_file",
                "search_files",
                "terminal",
                "write_file",
            ],
        ),
        (
            "openclaw",
            &["apply_patch", "edit", "exec", "process", "read", "write"],
        ),
    ] {
        let session = open(toolset);
        let mut expected: Vec<&str> = COMMON.into_iter().filter(|n| !own.contains(n)).collect();
        expected.extend(own);
        assert_eq!(names(&session), expected, "{toolset}");
    }
}

#[test]
fn claude_code_has_its_tools() {
    let session = open("claude-code");
    let call = |tool: &str, input: Value| text(&session, tool, input);
    let path = "/orwd_data/work/a.txt";
    let wrote = call("write", json!({"file_path": path, "content": "one\ntwo"}));
    assert_eq!(wrote, format!("Successfully wrote to {path}\n\n(exit 0)"));
    let read = call("read", json!({"file_path": path}));
    assert_eq!(read, "     1\tone\n     2\ttwo\n\n\n(exit 0)");
    let edit = json!({"file_path": path, "old_string": "two", "new_string": "2"});
    assert_eq!(
        call("edit", edit),
        format!("Successfully edited {path}\n\n(exit 0)")
    );
    assert_eq!(
        call("bash", json!({"command": "cat a.txt"})),
        "one\n2\n\n\n(exit 0)"
    );
    assert_eq!(
        call("glob", json!({"pattern": "*.txt"})),
        "./a.txt\n\n\n(exit 0)"
    );
    let found = call("grep", json!({"pattern": "one", "glob": "*.txt"}));
    assert_eq!(found, "./a.txt:1:one\n\n\n(exit 0)");
    let todo = json!({"todos": [{"content": "x", "status": "pending", "priority": "high"}]});
    assert_eq!(
        call("todo_write", todo),
        "=== TODO LIST ===\n[pending] [high] x"
    );
    // Of an unknown member, as with the published tools.
    let refused = session.call("bash", json!({"command": "ls", "nope": 1}));
    assert_eq!(refused.reason(), "input_validation");
}

#[test]
fn the_other_toolsets_have_their_tools() {
    let codex = open("codex");
    assert_eq!(
        text(&codex, "bash", json!({"command": "echo x"})),
        "x\n\n\n(exit 0)"
    );
    let gemini = open("gemini-cli");
    text(
        &gemini,
        "write_file",
        json!({"file_path": "d/a", "content": "x\nx\n"}),
    );
    let replace = json!({
        "file_path": "d/a", "old_string": "x", "new_string": "y", "allow_multiple": true,
    });
    assert!(text(&gemini, "replace", replace).starts_with("Successfully edited d/a"));
    let ran_in = json!({"command": "cat a", "dir_path": "d"});
    assert_eq!(
        text(&gemini, "run_shell_command", ran_in),
        "y\ny\n\n\n(exit 0)"
    );
    let found = json!({"pattern": "y", "names_only": true});
    assert_eq!(text(&gemini, "grep_search", found), "./d/a\n\n\n(exit 0)");
    let hermes = open("hermes");
    text(
        &hermes,
        "write_file",
        json!({"path": "a.txt", "content": "one\ntwo\n"}),
    );
    assert_eq!(
        text(&hermes, "read_file", json!({"path": "a.txt", "offset": 2})),
        "2|two"
    );
    let patch = "--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n-one\n+ONE\n two\n";
    let patched = text(&hermes, "patch", json!({"mode": "patch", "patch": patch}));
    assert!(
        patched.starts_with("Successfully applied patch"),
        "{patched}"
    );
    assert_eq!(
        text(&hermes, "terminal", json!({"command": "head -1 a.txt"})),
        "ONE\n\n\n(exit 0)"
    );
    let found = text(&hermes, "search_files", json!({"pattern": "tw."}));
    assert_eq!(found, "./a.txt:2:two");
    let openclaw = open("openclaw");
    text(
        &openclaw,
        "write",
        json!({"path": "a.txt", "content": "one\ntwo\n"}),
    );
    let edits = json!([{"oldText": "one", "newText": "1"}, {"oldText": "two", "newText": "2"}]);
    text(&openclaw, "edit", json!({"path": "a.txt", "edits": edits}));
    assert_eq!(text(&openclaw, "read", json!({"path": "a.txt"})), "1\n2");
    let ran = ran(&crate::support::output(
        &openclaw,
        "exec",
        json!({"command": "exit 4"}),
    ));
    assert_eq!(ran.exit, 4);
    let listed = text(&openclaw, "process", json!({"action": "list"}));
    assert_eq!(listed, "No background processes.");
}

#[test]
fn others_are_refused() {
    let ors = server().ors();
    let create = |environment: &str, toolset: &str| {
        let body = json!({
            "env_name": environment, "split": "playground", "index": 0, "toolset_name": toolset,
        });
        error_detail(&ors.create(&fresh_id(), &body), 400)
    };
    // Known to the protocol, but not offered.
    let refused = create("workbench", "web");
    assert!(refused.contains("sandbox"), "{refused}");
    let unknown = create("workbench", "vim");
    assert!(unknown.contains("unknown toolset 'vim'"), "{unknown}");
}

#[test]
fn a_toolset_stays_when_the_session_resumes() {
    let scratch = TestDir::new();
    let address = unused_address();
    let start = || {
        let serve = ServeCommand::workbench().set("--state", scratch.at("state"));
        serve.start_at(&address)
    };
    let mut server = start();
    let id = fresh_id();
    let body = json!({
        "env_name": "workbench", "split": "playground", "index": 0, "toolset_name": "hermes",
    });
    assert_eq!(server.ors().create(&id, &body).status(), 200);
    let session = server.ors().session("workbench", &id);
    text(
        &session,
        "write_file",
        json!({"path": "a", "content": "kept"}),
    );
    server.kill();
    let server = start();
    let session = server.ors().session("workbench", &id);
    assert_eq!(text(&session, "read_file", json!({"path": "a"})), "1|kept");
    assert_eq!(
        text(&session, "terminal", json!({"command": "cat a"})),
        "kept\n\n\n(exit 0)"
    );
    assert_eq!(bash(&session, "echo both").output, "both\n");
    assert!(names(&session).contains(&"terminal".to_owned()));
}

#[test]
fn a_manifest_offers_only_what_the_component_has() {
    let scratch = TestDir::new();
    scratch.write(
        "bare/orwd.toml",
        "name = \"alpha\"\ntoolsets = [\"codex\"]\n[build]\ncomponent = \"alpha.wasm\"\n",
    );
    std::fs::copy(component("alpha"), scratch.path().join("bare/alpha.wasm"))
        .expect("the component can be copied");
    let folder = scratch.at("bare");
    let served = ServeCommand::path(&folder).command().run();
    served.expect_failure(&["offers the toolset \"codex\"", "no tools of it"]);
}
