//! A server on its own state directory, which can be killed and restarted at the
//! same address.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use orwd_tests::process::{ServeCommand, ServerProcess};
use orwd_tests::test_dir::TestDir;
use rustix::process::Signal;

use crate::servers::BenchTarget;

/// The limit for a shutdown.
const END: Duration = Duration::from_secs(60);

/// A restartable server.
pub(super) struct BenchServer {
    scratch: TestDir,
    address: String,
    flags: Vec<(&'static str, String)>,
}

impl BenchServer {
    /// Creates a server with default limits and without an access log.
    pub(super) fn new() -> BenchServer {
        BenchServer {
            scratch: TestDir::new(),
            address: "127.0.0.1:0".to_owned(),
            flags: vec![("--log", "warn".to_owned())],
        }
    }

    /// Adds a flag.
    pub(super) fn set(mut self, flag: &'static str, value: impl ToString) -> BenchServer {
        self.flags.push((flag, value.to_string()));
        self
    }

    /// Starts it with the fixture `alpha`.
    pub(super) fn alpha(&mut self) -> Result<(ServerProcess, SocketAddr), String> {
        self.start(ServeCommand::fixtures(&["alpha"]))
    }

    /// Starts it, at the same address as before.
    pub(super) fn start(
        &mut self,
        serve: ServeCommand,
    ) -> Result<(ServerProcess, SocketAddr), String> {
        let mut serve = serve.set("--state", self.scratch.at("state"));
        for (flag, value) in &self.flags {
            serve = serve.set(flag, value);
        }
        let server = serve.start_at(&self.address);
        self.address = server.address().to_owned();
        let address = BenchTarget::started("orwd", server.base())?.address;
        Ok((server, address))
    }

    /// Returns the sizes of the database and its write-ahead log; 0 if missing.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let size = |file: &str| {
            fs::metadata(self.scratch.at(&format!("state/{file}"))).map_or(0, |file| file.len())
        };
        (size("journal.db"), size("journal.db-wal"))
    }
}

/// Shuts a server down, so that its journal is complete.
pub(super) fn stop(mut server: ServerProcess) -> Result<(), String> {
    server.signal(Signal::TERM);
    match server.wait(END) {
        Some(0) => Ok(()),
        code => Err(format!("the server ended with {code:?}:\n{}", server.log())),
    }
}
