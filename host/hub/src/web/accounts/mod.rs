//! Signing in, what belongs to a user, and the users of the platform.

pub(super) mod account;
pub(super) mod audit;
pub(super) mod sign_in;
pub(super) mod users;
