//! The server, and sessions on it.

use std::sync::OnceLock;

use orwd_tests::ors::{SessionClient, TaskSelector};
use orwd_tests::process::{ServeCommand, ServerProcess};
use serde_json::{Value, json};

/// Returns the server that tests share.
pub(crate) fn server() -> &'static ServerProcess {
    static SERVER: OnceLock<ServerProcess> = OnceLock::new();
    SERVER.get_or_init(|| ServeCommand::workbench().start())
}

/// Opens a session without a goal.
pub(crate) fn playground() -> SessionClient {
    server()
        .ors()
        .open("workbench", TaskSelector::At("playground", 0))
}

/// Ends a session. Hundreds of open ones would make the server evict some on a machine
/// with little memory.
pub(crate) fn close(session: &SessionClient) {
    assert_eq!(session.delete().status(), 200);
}

/// The result of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) output: String,
    pub(crate) exit: i64,
}

/// Runs a command line with the tool `bash`.
pub(crate) fn bash(session: &SessionClient, command: &str) -> Ran {
    ran(&output(session, "bash", json!({"command": command})))
}

/// Returns the result in the metadata of a tool's output.
pub(crate) fn ran(output: &Value) -> Ran {
    let metadata = &output["metadata"];
    Ran {
        output: metadata["output"].as_str().expect("an output").to_owned(),
        exit: metadata["exit_code"].as_i64().expect("an exit code"),
    }
}

/// Calls a tool, and returns its output, which must not be an error.
#[track_caller]
pub(crate) fn output(session: &SessionClient, tool: &str, input: Value) -> Value {
    session.call(tool, input).output()
}

/// Calls a tool, and returns the text of its output.
#[track_caller]
pub(crate) fn text(session: &SessionClient, tool: &str, input: Value) -> String {
    let output = output(session, tool, input);
    let blocks = output["blocks"].as_array().expect("blocks");
    let texts = blocks.iter().filter_map(|block| block["text"].as_str());
    texts.collect()
}

/// Asserts the output and the exit code of a command line.
#[track_caller]
pub(crate) fn prints(session: &SessionClient, command: &str, output: &str, exit: i64) {
    let expected = Ran {
        output: output.to_owned(),
        exit,
    };
    assert_eq!(bash(session, command), expected, "{command}");
}
