//! The server under test: `orwd` with the contract's fixtures, started once
//! for the test process, or whatever `ORS_BASE_URL` points to, which must
//! serve the same fixtures.

use std::sync::OnceLock;

use crate::ors::Ors;
use crate::server::Server;

/// What is under test.
pub struct Subject {
    ors: Ors,
    base: String,
    is_reference: bool,
    /// Kept, since dropping it would end the server.
    _server: Option<Server>,
}

/// The server under test, found or started by the first who asks.
pub fn subject() -> &'static Subject {
    static SUBJECT: OnceLock<Subject> = OnceLock::new();
    SUBJECT.get_or_init(|| match std::env::var("ORS_BASE_URL") {
        Ok(base) => Subject::found(&base),
        Err(_) => Subject::started(),
    })
}

impl Subject {
    fn found(base: &str) -> Self {
        let base = base.trim_end_matches('/');
        let ors = Ors::at(base);
        let health = ors.get("/health");
        assert_eq!(health.status(), 200, "{base}/health: {health:?}");
        Self {
            ors,
            base: base.to_owned(),
            // What the reference implementations are run by.
            is_reference: health.header("server") == Some("uvicorn"),
            _server: None,
        }
    }

    fn started() -> Self {
        let server = Server::contract();
        Self {
            ors: server.ors(),
            base: server.base().to_owned(),
            is_reference: false,
            _server: Some(server),
        }
    }

    /// The protocol's verbs.
    pub fn ors(&self) -> &Ors {
        &self.ors
    }

    /// Its address, without a slash at the end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// True if it is a reference server, where orwd's deliberate deviations
    /// do not hold.
    pub fn is_reference(&self) -> bool {
        self.is_reference
    }
}
