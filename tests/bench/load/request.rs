//! The requests of the protocol as bytes, and a workload that sends one request
//! per session.

use std::net::SocketAddr;

use serde_json::Value;

use super::generator::{LoadGenerator, LoadMeasurement, StopCondition, Workload};

/// Returns a POST of JSON for a session.
pub(crate) fn post(address: SocketAddr, path: &str, session: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\n\
         Host: {address}\r\n\
         Accept: */*\r\n\
         Content-Type: application/json\r\n\
         X-Session-ID: {session}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Returns the request that creates a session on `alpha`.
pub(crate) fn create(address: SocketAddr, session: &str) -> Vec<u8> {
    create_on(address, "alpha", session)
}

/// Returns the request that creates a session on the first task of an
/// environment.
pub(crate) fn create_on(address: SocketAddr, environment: &str, session: &str) -> Vec<u8> {
    let body = format!(r#"{{"env_name":"{environment}","split":"train","index":0}}"#);
    post(address, "/create", session, &body)
}

/// Returns the request that deletes a session.
pub(crate) fn delete(address: SocketAddr, session: &str) -> Vec<u8> {
    post(address, "/delete", session, "")
}

/// Sends a request for each session over this number of connections; any response
/// except a 200 that names the session is an error.
pub(crate) fn each(
    address: SocketAddr,
    connections: usize,
    sessions: &[String],
    make: fn(SocketAddr, &str) -> Vec<u8>,
) -> Result<LoadMeasurement, String> {
    let mut work = RequestPerSession {
        address,
        make,
        rest: sessions.iter(),
        asked: vec![None; connections],
    };
    let mut lines =
        LoadGenerator::open(address, connections).map_err(|e| format!("{address}: {e}"))?;
    let measured = lines.run(&mut work, StopCondition::Done);
    measured
        .map_err(|error| error.to_string())?
        .without_errors()
}

struct RequestPerSession<'a> {
    address: SocketAddr,
    make: fn(SocketAddr, &str) -> Vec<u8>,
    rest: std::slice::Iter<'a, String>,
    asked: Vec<Option<&'a str>>,
}

impl Workload for RequestPerSession<'_> {
    fn next(&mut self, connection: usize, request: &mut Vec<u8>) -> bool {
        self.asked[connection] = self.rest.next().map(String::as_str);
        let Some(session) = self.asked[connection] else {
            return false;
        };
        request.extend_from_slice(&(self.make)(self.address, session));
        true
    }

    fn check(&mut self, connection: usize, status: u16, body: &[u8]) -> Result<(), String> {
        let answer: Option<Value> = serde_json::from_slice(body).ok();
        let named = answer.as_ref().and_then(|answer| answer["sid"].as_str());
        if status == 200 && named.is_some() && named == self.asked[connection] {
            return Ok(());
        }
        Err(unexpected(status, body))
    }
}

/// Formats an unexpected response.
pub(crate) fn unexpected(status: u16, body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).chars().take(300).collect();
    format!("status {status}: {text:?}")
}
