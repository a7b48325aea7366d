//! The rate limits: how often a client may create sessions, and send wrong API
//! keys.
//!
//! A valid key is never refused because of wrong keys from the same address.
//! That does not help guessing: a key has 256 random bits. What is bounded is the
//! cost of wrong keys, above all their log lines.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use orwd_limiter::KeyedRateLimiter;
use orwd_session::Principal;

use super::client::Client;
use super::client_network::client_network;
use super::log_throttle::LogThrottle;

/// The burst of session creations, in seconds at the full rate.
const CREATE_BURST_SECONDS: u32 = 10;

/// The requests of an address that are no HTTP and are logged each minute.
const UNREADABLE_LOGGED: u32 = 10;

/// The rate limits of one server.
#[derive(Debug)]
pub(crate) struct RateLimits {
    create_burst: u32,
    creations: KeyedRateLimiter<Client>,
    auth_failures: KeyedRateLimiter<IpAddr>,
    unreadable: KeyedRateLimiter<IpAddr>,
    warning: LogThrottle,
}

impl RateLimits {
    /// Creates limits of `creations` per second and `auth_failures` per minute.
    pub(crate) fn new(creations: u32, auth_failures: u32) -> RateLimits {
        let burst = creations.saturating_mul(CREATE_BURST_SECONDS);
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        RateLimits {
            create_burst: burst,
            creations: KeyedRateLimiter::new(burst, creations, second),
            auth_failures: KeyedRateLimiter::new(auth_failures, auth_failures, minute),
            unreadable: KeyedRateLimiter::new(UNREADABLE_LOGGED, UNREADABLE_LOGGED, minute),
            warning: LogThrottle::default(),
        }
    }

    /// Counts a session creation. An error is the time until the next is allowed.
    pub(crate) fn create(&self, principal: &Principal, from: IpAddr) -> Result<(), Duration> {
        self.create_many(principal, from, 1)
    }

    /// Returns how many sessions can be created at once.
    pub(crate) fn create_burst(&self) -> u32 {
        self.create_burst
    }

    /// Counts the creation of this many sessions, at most the burst. An error is
    /// the time until they are allowed; then none is counted.
    pub(crate) fn create_many(
        &self,
        principal: &Principal,
        from: IpAddr,
        sessions: u32,
    ) -> Result<(), Duration> {
        let client = Client::of(principal, from);
        self.creations
            .try_take_many(client, sessions, Instant::now())
    }

    /// Counts a request that is no HTTP, and returns whether to log it.
    pub(crate) fn unreadable(&self, from: IpAddr) -> bool {
        let taken = self
            .unreadable
            .try_take(client_network(from), Instant::now());
        taken.is_ok()
    }

    /// Counts a request without a valid key. An error is the time until the next
    /// is allowed.
    pub(crate) fn auth_failure(&self, from: IpAddr) -> Result<(), Duration> {
        let taken = self
            .auth_failures
            .try_take(client_network(from), Instant::now());
        if taken.is_err() && self.warning.allows() {
            tracing::warn!(address = %from, "auth failure rate limit reached");
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_rate_at_all_addresses() {
        let limits = RateLimits::new(1, 3);
        let addresses = ["10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"];
        let [one, other, six, same_six] = addresses.map(|text| text.parse().unwrap());
        let [alice, bob] = ["alice", "bob"].map(|name| Principal::Named(name.into()));
        let allowed = |principal: &Principal, from: IpAddr| {
            (0..CREATE_BURST_SECONDS + 5)
                .filter(|_| limits.create(principal, from).is_ok())
                .count()
        };
        assert_eq!(allowed(&alice, one), 10);
        assert_eq!(allowed(&alice, other), 0);
        assert_eq!(allowed(&bob, one), 10);
        assert_eq!(allowed(&Principal::Anyone, one), 10);
        assert_eq!(allowed(&Principal::Anyone, six), 10);
        assert_eq!(allowed(&Principal::Anyone, same_six), 0);

        let failures: Vec<bool> = (0..5).map(|_| limits.auth_failure(one).is_ok()).collect();
        assert_eq!(failures, [true, true, true, false, false]);
        assert!(limits.auth_failure(other).is_ok());
    }
}
