//! The limits of HTTP requests that environments make.

use std::time::Duration;

use super::spec::LimitDefault::Fixed;

const KIB: u64 = 1 << 10;

const fn ms(millis: u64) -> u64 {
    millis * 1_000_000
}

const HOUR: u64 = ms(3_600_000);

crate::declare_limits! {
    /// Limits of HTTP requests that environments make.
    pub struct HttpLimits, "Limits of HTTP requests of environments" {
        /// Requests each second for one API key, or for all clients without
        /// keys; ten times as many in a burst. Further ones wait.
        rate: u32 = "http-rate"
            (Count, Fixed(100), 1, 1_000_000);
        /// Requests that are sent at once. Further ones wait.
        at_once: usize = "http-at-once"
            (Count, Fixed(64), 1, 1024);
        /// Requests that are sent at once for one API key, or for all clients
        /// without keys. Further ones wait.
        at_once_per_key: usize = "http-at-once-per-key"
            (Count, Fixed(16), 1, 1024);
        /// Time until one address of a host accepts a connection. A request
        /// that takes longer fails with the code `timeout`.
        connect: Duration = "http-connect-timeout"
            (Time, Fixed(ms(5000)), ms(10), HOUR);
        /// Time from then until the head of the response has come. A request
        /// that takes longer fails with the code `timeout`.
        head: Duration = "http-head-timeout"
            (Time, Fixed(ms(60_000)), ms(10), HOUR);
        /// Time of a whole request. One that takes longer fails with the code
        /// `timeout`.
        total: Duration = "http-timeout"
            (Time, Fixed(ms(90_000)), ms(10), HOUR);
        /// Size of the headers of a request. Larger ones fail with the code
        /// `limit`.
        request_headers: usize = "http-request-headers"
            (Size, Fixed(16 * KIB), KIB, 256 * KIB);
        /// Size of the head of a response. A larger one fails with the code
        /// `failed`.
        response_head: usize = "http-response-head"
            (Size, Fixed(64 * KIB), 8 * KIB, 1024 * KIB);
    }
}
