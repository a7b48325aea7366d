//! Calls that count: each session is called over a connection of its own, and
//! has to answer with the number of the call. One that came back without its
//! last call, or with one twice, is known by the first answer.

use std::net::SocketAddr;

use serde_json::json;

use crate::call::{call, is_text, run_and_result};
use crate::load::{Lines, Measured, Until, Work};

/// Sessions on `alpha` with what they have counted.
pub(super) struct Counted {
    pub(super) ids: Vec<String>,
    counts: Vec<u64>,
}

impl Counted {
    /// Sessions that count from nothing.
    pub(super) fn new(ids: Vec<String>) -> Counted {
        let counts = vec![0; ids.len()];
        Counted { ids, counts }
    }

    /// Calls each of them so often, all at once.
    pub(super) fn call_all(&mut self, address: SocketAddr, times: u64) -> Result<Measured, String> {
        let all = (0..self.ids.len()).collect();
        self.call(address, all, times)
    }

    /// Calls one of them once.
    pub(super) fn call_one(
        &mut self,
        address: SocketAddr,
        session: usize,
    ) -> Result<Measured, String> {
        self.call(address, vec![session], 1)
    }

    fn call(
        &mut self,
        address: SocketAddr,
        sessions: Vec<usize>,
        times: u64,
    ) -> Result<Measured, String> {
        let io = |error: std::io::Error| error.to_string();
        let mut lines = Lines::open(address, sessions.len()).map_err(io)?;
        let mut work = Calls {
            address,
            left: vec![times; sessions.len()],
            sessions,
            counted: self,
        };
        lines.run(&mut work, Until::Done).map_err(io)?.whole()
    }
}

struct Calls<'c> {
    address: SocketAddr,
    /// Whom each connection calls.
    sessions: Vec<usize>,
    /// How often still.
    left: Vec<u64>,
    counted: &'c mut Counted,
}

impl Work for Calls<'_> {
    fn next(&mut self, connection: usize, request: &mut Vec<u8>) -> bool {
        let Some(left) = self.left[connection].checked_sub(1) else {
            return false;
        };
        self.left[connection] = left;
        let session = self.sessions[connection];
        self.counted.counts[session] += 1;
        let id = &self.counted.ids[session];
        request.extend_from_slice(&call(self.address, id, "bump", &json!({})));
        true
    }

    fn check(&mut self, connection: usize, status: u16, body: &[u8]) -> Result<(), String> {
        let (_, result) = run_and_result(status, body)?;
        let count = self.counted.counts[self.sessions[connection]];
        is_text(result, &count.to_string())
    }
}
