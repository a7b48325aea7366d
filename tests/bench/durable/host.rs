//! A server on a directory of state of its own, which can be killed and
//! started again at the same address.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use orwd_tests::scratch::Scratch;
use orwd_tests::server::{Serve, Server};
use rustix::process::Signal;

use crate::target::Target;

/// How long a polite end may take.
const END: Duration = Duration::from_secs(60);

/// Such a server.
pub(super) struct Host {
    scratch: Scratch,
    address: String,
    flags: Vec<(&'static str, String)>,
}

impl Host {
    /// One with the defaults of every limit. Its log of every call is off, as
    /// in each of these measurements.
    pub(super) fn new() -> Host {
        Host {
            scratch: Scratch::new(),
            address: "127.0.0.1:0".to_owned(),
            flags: vec![("--log", "warn".to_owned())],
        }
    }

    /// With this flag.
    pub(super) fn set(mut self, flag: &'static str, value: impl ToString) -> Host {
        self.flags.push((flag, value.to_string()));
        self
    }

    /// Starts it with the fixture that the calls are made to.
    pub(super) fn alpha(&mut self) -> Result<(Server, SocketAddr), String> {
        self.start(Serve::fixtures(&["alpha"]))
    }

    /// Starts it, at the address that it had before.
    pub(super) fn start(&mut self, serve: Serve) -> Result<(Server, SocketAddr), String> {
        let mut serve = serve.set("--state", self.scratch.at("state"));
        for (flag, value) in &self.flags {
            serve = serve.set(flag, value);
        }
        let server = serve.start_at(&self.address);
        self.address = server.address().to_owned();
        let address = Target::started("orwd", server.base())?.address;
        Ok((server, address))
    }

    /// Bytes of the database and of its log; those that are not there have none.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let size = |file: &str| {
            fs::metadata(self.scratch.at(&format!("state/{file}"))).map_or(0, |file| file.len())
        };
        (size("journal.db"), size("journal.db-wal"))
    }
}

/// Ends a server in the polite way; what it has of its sessions is written.
pub(super) fn stop(mut server: Server) -> Result<(), String> {
    server.signal(Signal::TERM);
    match server.wait(END) {
        Some(0) => Ok(()),
        code => Err(format!("the server ended with {code:?}:\n{}", server.log())),
    }
}
