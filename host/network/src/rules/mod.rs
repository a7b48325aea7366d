//! What may be reached.

pub(crate) mod address;
pub(crate) mod grant;
pub(crate) mod rule;
pub(crate) mod url;
