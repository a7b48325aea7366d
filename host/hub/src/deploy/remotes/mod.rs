//! Repositories elsewhere: their addresses, checks for new commits, and webhooks.

pub(crate) mod address;
pub(crate) mod poll;
mod signature;
pub(crate) mod webhook;
