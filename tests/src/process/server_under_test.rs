//! The server that a whole test target uses: `orwd` with the contract's
//! fixtures, started once per test process, or the server at `ORS_BASE_URL`,
//! which must serve the same fixtures.

use std::sync::OnceLock;

use crate::ors::OrsClient;

use super::server::ServerProcess;

/// The server under test.
pub struct ServerUnderTest {
    ors: OrsClient,
    base: String,
    is_reference: bool,
    /// Kept alive, because dropping it ends the server.
    _server: Option<ServerProcess>,
}

/// Returns the server under test; the first call starts it.
pub fn server_under_test() -> &'static ServerUnderTest {
    static SERVER: OnceLock<ServerUnderTest> = OnceLock::new();
    SERVER.get_or_init(|| match std::env::var("ORS_BASE_URL") {
        Ok(base) => ServerUnderTest::external(&base),
        Err(_) => ServerUnderTest::start(),
    })
}

impl ServerUnderTest {
    fn external(base: &str) -> Self {
        let base = base.trim_end_matches('/');
        let ors = OrsClient::at(base);
        let health = ors.get("/health");
        assert_eq!(health.status(), 200, "{base}/health: {health:?}");
        Self {
            ors,
            base: base.to_owned(),
            // The reference implementation runs on uvicorn.
            is_reference: health.header("server") == Some("uvicorn"),
            _server: None,
        }
    }

    fn start() -> Self {
        let server = ServerProcess::contract();
        Self {
            ors: server.ors(),
            base: server.base().to_owned(),
            is_reference: false,
            _server: Some(server),
        }
    }

    /// Returns a client of it.
    pub fn ors(&self) -> &OrsClient {
        &self.ors
    }

    /// Returns its base URL, without a slash at the end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Returns whether it is the reference implementation, where orwd's
    /// deliberate deviations do not apply.
    pub fn is_reference(&self) -> bool {
        self.is_reference
    }
}
