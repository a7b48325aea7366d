//! One request, from its check to the end of its response.

pub(crate) mod dns_message;
pub(crate) mod limits;
pub(crate) mod request;
pub(crate) mod resolver;
pub(crate) mod secrets;
pub(crate) mod sender;
pub(crate) mod tls;
