//! Who sent a request, and whether it may proceed.

pub(crate) mod api_keys;
pub(crate) mod authenticate;
pub(crate) mod host_check;
pub(crate) mod key_file;
pub(crate) mod key_time;
pub(crate) mod proxy_key;
