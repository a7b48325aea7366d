//! Why a request fails, and the response that it gets.

pub(crate) mod request_error;
pub(crate) mod status;

#[cfg(test)]
mod tests;
