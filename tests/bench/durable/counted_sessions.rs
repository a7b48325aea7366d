//! Sessions that count their calls: each is called over its own connection and
//! must return the number of the call. The first response shows whether a resumed
//! session lost or repeated a call.

use std::net::SocketAddr;

use serde_json::json;

use crate::load::{
    LoadGenerator, LoadMeasurement, StopCondition, Workload, call, is_text, run_and_result,
};

/// Sessions on `alpha` with their expected counts.
pub(super) struct CountedSessions {
    pub(super) ids: Vec<String>,
    counts: Vec<u64>,
}

impl CountedSessions {
    /// Creates the counts of new sessions.
    pub(super) fn new(ids: Vec<String>) -> CountedSessions {
        let counts = vec![0; ids.len()];
        CountedSessions { ids, counts }
    }

    /// Calls each session `times` times, concurrently.
    pub(super) fn call_all(
        &mut self,
        address: SocketAddr,
        times: u64,
    ) -> Result<LoadMeasurement, String> {
        let all = (0..self.ids.len()).collect();
        self.call(address, all, times)
    }

    /// Calls one session once.
    pub(super) fn call_one(
        &mut self,
        address: SocketAddr,
        session: usize,
    ) -> Result<LoadMeasurement, String> {
        self.call(address, vec![session], 1)
    }

    fn call(
        &mut self,
        address: SocketAddr,
        sessions: Vec<usize>,
        times: u64,
    ) -> Result<LoadMeasurement, String> {
        let io = |error: std::io::Error| error.to_string();
        let mut lines = LoadGenerator::open(address, sessions.len()).map_err(io)?;
        let mut work = CountedCalls {
            address,
            left: vec![times; sessions.len()],
            sessions,
            counted: self,
        };
        lines
            .run(&mut work, StopCondition::Done)
            .map_err(io)?
            .without_errors()
    }
}

struct CountedCalls<'c> {
    address: SocketAddr,
    /// The session of each connection.
    sessions: Vec<usize>,
    /// The number of calls left.
    left: Vec<u64>,
    counted: &'c mut CountedSessions,
}

impl Workload for CountedCalls<'_> {
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
