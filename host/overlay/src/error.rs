//! Results of operations on the overlay.

pub(crate) use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

/// The result of an operation on the overlay.
pub(crate) type Result<T, E = ErrorCode> = std::result::Result<T, E>;
