//! Responses and event streams, byte for byte as the contract says.

pub(crate) mod flatten;
pub(crate) mod json;
pub(crate) mod python_repr;
pub(crate) mod response;
pub(crate) mod run_stream;
pub(crate) mod sse;
pub(crate) mod wire;
