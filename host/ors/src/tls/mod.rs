//! TLS of the listener: a certificate with its key, which is reloaded when its
//! files change.

pub(crate) mod certificate;
pub(crate) mod files;
