//! The pages of the platform, for browsers.

mod accounts;
mod catalogue;
mod deployments;
mod environment;
mod form;
mod live;
mod page;
pub(crate) mod router;
mod sessions;
mod viewer;
