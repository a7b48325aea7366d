//! Limits per key, for any kind of key: an address, a network, an API key.
//!
//! [`KeyedSemaphore`] bounds how many are held at once, [`KeyedRateLimiter`] how
//! often something is done, and [`ByteBudget`] how many bytes are held, by a key
//! and by all of them. These refuse, and only bytes can be waited for. [`FairQueue`]
//! lets work wait for a shared amount, fairly by key. None of them grows without bound. The
//! crate knows nothing of HTTP or sessions.

mod byte_budget;
mod fair_queue;
mod rate_limiter;
mod semaphore;

pub use byte_budget::{BudgetExceeded, ByteBudget, BytePermit};
pub use fair_queue::{FairPermit, FairQueue, QueueFull};
pub use rate_limiter::KeyedRateLimiter;
pub use semaphore::{KeyedPermit, KeyedSemaphore};
