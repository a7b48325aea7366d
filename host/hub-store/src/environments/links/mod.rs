//! What environments are deployed from: a repository of the platform, or one
//! elsewhere.

pub(super) mod elsewhere;
pub(super) mod own;
