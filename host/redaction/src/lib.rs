//! Removes the secrets of a session from byte streams: the output of its guest,
//! and the responses to its HTTP requests.

mod patterns;
mod redact;

pub use patterns::SecretPatterns;
pub use redact::Redactor;
