//! Limits per key, for any kind of key: an address, a network, an API key.
//!
//! [`KeyedSemaphore`] bounds how many are held at once, [`KeyedRateLimiter`] how
//! often something is done. Both refuse instead of waiting, and neither grows
//! without bound. The crate knows nothing of HTTP or sessions.

mod rate_limiter;
mod semaphore;

pub use rate_limiter::KeyedRateLimiter;
pub use semaphore::{KeyedPermit, KeyedSemaphore};
