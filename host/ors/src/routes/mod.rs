//! What each route does.

pub(crate) mod admin;
pub(crate) mod context;
pub(crate) mod dispatch;
mod environments;
mod episode;
pub(crate) mod router;
mod server_info;
mod sessions;
