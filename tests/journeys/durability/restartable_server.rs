//! A server that can be killed and started again on the same state directory.

use orwd_tests::background::wait_until;
use orwd_tests::http::HttpRequest;
use orwd_tests::ors::SessionClient;
use orwd_tests::process::{ServeCommand, ServerProcess, unused_address};
use orwd_tests::test_dir::TestDir;
use serde_json::{Value, json};

use crate::support::TIMEOUT;

/// Adds to the session's counter and returns its value.
pub(crate) fn bump(session: &SessionClient, by: i64) -> String {
    session.call("bump", json!({"by": by})).text()
}

pub(crate) fn until(is_so: impl FnMut() -> bool) {
    wait_until("it happens", TIMEOUT, is_so);
}

pub(crate) fn call_with(
    session: &SessionClient,
    headers: &[(&str, &str)],
    body: &Value,
) -> HttpRequest {
    let mut request = session.post_request("call", body);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request
}

/// A server on its own state directory and address, which can be restarted.
pub(crate) struct RestartableServer<'s> {
    scratch: &'s TestDir,
    address: String,
    flags: Vec<(&'static str, String)>,
}

impl<'s> RestartableServer<'s> {
    pub(crate) fn new(scratch: &'s TestDir) -> RestartableServer<'s> {
        RestartableServer {
            scratch,
            // Clients connect while it is down.
            address: unused_address(),
            flags: Vec::new(),
        }
    }

    pub(crate) fn set(mut self, flag: &'static str, value: &str) -> RestartableServer<'s> {
        self.flags.push((flag, value.to_owned()));
        self
    }

    /// Starts it at its address.
    pub(crate) fn start(&mut self, serve: ServeCommand) -> ServerProcess {
        let mut serve = serve;
        if !self.flags.iter().any(|(flag, _)| *flag == "--state") {
            serve = serve.set("--state", self.scratch.at("state"));
        }
        for (flag, value) in &self.flags {
            serve = serve.set(flag, value);
        }
        let server = serve.start_at(&self.address);
        self.address = server.address().to_owned();
        server
    }

    pub(crate) fn alpha(&mut self) -> ServerProcess {
        self.start(ServeCommand::fixtures(&["alpha"]))
    }
}

/// Returns whether the journal on disk contains this text.
pub(crate) fn journal_contains(scratch: &TestDir, text: &str) -> bool {
    orwd_tests::process::journal_contains(scratch.path().join("state"), text)
}
